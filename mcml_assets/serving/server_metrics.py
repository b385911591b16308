"""What a model server counts of itself, for Prometheus. Imports prometheus_client: import it late.

KServe's server exposes the registry at `/metrics`, with what Python, KServe and Feast count in it. What the edge counts is
Envoy's own; the routes' and endpoints' state is `data_plane_metrics.py`'s.

Everything stands under the `verb` that was asked. Synthetic transactions are one of their own, so whoever asks for `infer`
gets predictions and nothing else, and their look-ups are not among those of predictions.
"""

import re
from collections.abc import Mapping

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from mcml_assets.serving.golden import GOLDEN, SYNTHETIC

# Seconds: a feature lookup takes 0.2 ms here, a prediction some milliseconds, and 2 s is a workload's usual bound.
BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
INFER = "infer"
VERBS = (INFER, SYNTHETIC, GOLDEN, "ready")
ASKED_VERB = re.compile(f"/v2/models/[^/]+/({'|'.join(VERBS)})")
OTHER = "other"


class ServerMetrics:
    """The counts of one server. A registry takes them once; a process has one, which KServe exposes."""

    def __init__(self, served: Mapping[str, str], registry: CollectorRegistry = REGISTRY) -> None:
        """`served` says what is served: the labels of `mcml_endpoint_model_info`."""
        self.requests = Counter(
            "mcml_endpoint_requests", "Requests by what was asked and the status.", ("verb", "status"), registry=registry
        )
        self.seconds = Histogram(
            "mcml_endpoint_request_seconds", "From request to answer.", ("verb",), buckets=BOUNDS, registry=registry
        )
        self.lookup_seconds = Histogram(
            "mcml_endpoint_online_lookup_seconds", "Online lookups for predictions.", buckets=BOUNDS, registry=registry
        )
        self.predict_seconds = Histogram(
            "mcml_endpoint_model_seconds", "The model alone, for predictions.", buckets=BOUNDS, registry=registry
        )
        self.route_epoch = Gauge(
            "mcml_endpoint_route_epoch", "Epoch of the route by which the edge asked last; 0 for none.", registry=registry
        )
        self.lost = Gauge(
            "mcml_endpoint_predictions_lost", "Predictions that were answered and could not be logged.", registry=registry
        )
        info = Gauge("mcml_endpoint_model_info", "1; the labels say what is served.", tuple(served), registry=registry)
        info.labels(**served).set(1)
        for verb in (INFER, SYNTHETIC):
            self.seconds.labels(verb)  # seen before the first request, so that a rate starts at zero

    def answered(self, verb: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests.labels(verb, str(status)).inc()
        self.seconds.labels(verb).observe(seconds)


def verb_of(path: str) -> str:
    """What a path asks: one of `VERBS`, or `other`, so that no caller makes new series."""
    found = ASKED_VERB.fullmatch(path)
    return found[1] if found is not None else OTHER
