"""The edge's traces as Envoy's configuration: one span for a request, and one for each location that was asked. Pure.

W3C `traceparent` is kept: a caller's trace goes on here, and from here to the endpoint.
"""

from mcml_assets.serving.collector import Collector
from mcml_assets.serving.edge.watched import EXTENSIONS, TYPE, Json

SERVICE = "mcml-edge"
CLUSTER = "collector"
TIMEOUT = "1s"
MILLION = 1_000_000
MAX_WAITING = 64  # of batches: a collector that does not answer costs spans, and no memory


def tracing(collector: Collector) -> Json:
    """The listener's part."""
    uri = {"uri": collector.traces, "cluster": CLUSTER, "timeout": TIMEOUT}
    return {
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": f"{TYPE}.config.trace.v3.OpenTelemetryConfig",
                "http_service": {"http_uri": uri},
                "service_name": SERVICE,
                "sampler": _sampler(collector.share),
            },
        },
        # The sampler decides: a share here would drop traces that a caller has begun.
        "random_sampling": {"value": 100.0},
        "spawn_upstream_span": True,
    }


def _sampler(share: float) -> Json:
    """What a caller has decided holds; of the others a share, by their id, so that every service decides the same."""
    samplers, names = f"{EXTENSIONS}.tracers.opentelemetry.samplers.v3", "envoy.tracers.opentelemetry.samplers"
    percentage = {"numerator": round(share * MILLION), "denominator": "MILLION"}
    by_id = {
        "name": f"{names}.trace_id_ratio_based",
        "typed_config": {"@type": f"{samplers}.TraceIdRatioBasedSamplerConfig", "sampling_percentage": percentage},
    }
    return {
        "name": f"{names}.parent_based",
        "typed_config": {"@type": f"{samplers}.ParentBasedSamplerConfig", "wrapped_sampler": by_id},
    }


def collector_cluster(collector: Collector) -> Json:
    """How Envoy reaches the collector; apart from all that serves."""
    address = {"socket_address": {"address": collector.host, "port_value": collector.port}}
    return {
        "name": CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": TIMEOUT,
        "circuit_breakers": {"thresholds": [{"max_requests": MAX_WAITING, "max_pending_requests": MAX_WAITING}]},
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
