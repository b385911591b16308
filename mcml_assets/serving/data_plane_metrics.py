"""What the data plane tells Prometheus: routes, endpoints, prediction logs, and where everything else is to be scraped.

Read from the data plane's folder when Prometheus asks, so nothing is counted here and nothing can be old. Requests are
counted by Envoy and by the servers themselves. One address, loopback only:

    /metrics    the gauges below, and those of `promise_metrics.py`
    /targets    the edge and every model server that runs now, for Prometheus' `http_sd_configs`
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from mcml_assets.configuration.settings import Settings
from mcml_assets.serving.edge.watched import HOST
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.prediction_log.shipper import read_shipped
from mcml_assets.serving.promise_metrics import PromiseMetrics
from mcml_assets.serving.routes import read_routes

EDGE_PATH, SERVER_PATH = "/stats/prometheus", "/metrics"
ROUTE, ENDPOINT = ("workload", "jurisdiction"), ("workload", "location")


class DataPlaneMetrics(Collector):
    """Gauges of one data plane."""

    def __init__(self, settings: Settings) -> None:
        self.folder = DataPlaneFolder.of(settings)
        self.platform = LocalEndpointPlatform(settings)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What is so now."""
        yield from self._routes()
        yield from self._endpoints()
        yield from self._prediction_logs()

    def _routes(self) -> Iterator[GaugeMetricFamily]:
        epoch = _gauge("mcml_route_epoch", "Epoch of the route that the edge obeys.", ROUTE)
        updated = _gauge("mcml_route_updated_timestamp_seconds", "When that route was decided.", ROUTE)
        version = _gauge("mcml_route_model_version", "Version that the acting location was to answer with.", ROUTE)
        priority = _gauge("mcml_route_priority", "The order in which locations are asked; 0 is acting.", (*ROUTE, "location"))
        for route in read_routes(self.folder):
            labels = (route.workload, route.jurisdiction)
            epoch.add_metric(labels, route.epoch)
            updated.add_metric(labels, datetime.fromisoformat(route.updated_at).timestamp())
            version.add_metric(labels, route.version)
            for entry in route.weights:
                priority.add_metric((*labels, entry.location), entry.priority)
        yield from (epoch, updated, version, priority)

    def _endpoints(self) -> Iterator[GaugeMetricFamily]:
        state = _gauge("mcml_endpoint_state", "1 for the endpoint's state, 0 for the others.", (*ENDPOINT, "state"))
        version = _gauge("mcml_endpoint_model_version", "Version of the server that answers; 0 for none.", ENDPOINT)
        for status in self._statuses():
            labels = (status.workload, status.location)
            for one in EndpointState:
                state.add_metric((*labels, one.value), float(status.state is one))
            version.add_metric(labels, status.version or 0)
        yield from (state, version)

    def _prediction_logs(self) -> Iterator[GaugeMetricFamily]:
        rows = _gauge("mcml_prediction_log_rows", "Predictions in the location's bucket.", ENDPOINT)
        lost = _gauge("mcml_prediction_log_lost", "Predictions that were answered and are missing in the log.", ENDPOINT)
        failing = _gauge("mcml_prediction_log_failing", "1 while predictions wait because their bucket fails.", ENDPOINT)
        for name in self.folder.wanted_names():
            said = read_shipped(self.folder, name)
            if said is not None:
                labels = (said.workload, said.location)
                rows.add_metric(labels, said.rows)
                lost.add_metric(labels, said.lost)
                failing.add_metric(labels, float(said.problem is not None))
        yield from (rows, lost, failing)

    def _statuses(self) -> Iterator[EndpointStatus]:
        for name in self.folder.wanted_names():
            yield self.platform.status(name)


def targets(settings: Settings) -> list[dict[str, Any]]:
    """What Prometheus should scrape now, as its HTTP service discovery wants it."""
    platform = LocalEndpointPlatform(settings)
    found = [_target(settings.edge_admin_port, EDGE_PATH, {"job": "mcml-edge"})]
    for name in platform.folder.wanted_names():
        status = platform.status(name)
        if status.port is not None:
            labels = {"job": "mcml-endpoint", "workload": status.workload, "location": status.location}
            found.append(_target(status.port, SERVER_PATH, labels))
    return found


def serve_metrics(settings: Settings) -> WSGIServer:
    """Answer Prometheus from a thread of this process, until the server is shut down. The port must be free."""
    registry = CollectorRegistry()
    registry.register(DataPlaneMetrics(settings))
    registry.register(PromiseMetrics(settings))
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/targets":
                start_response("200 OK", [("content-type", "application/json")])
                return [json.dumps(targets(settings)).encode()]
            case _:
                start_response("404 Not Found", [("content-type", "text/plain")])
                return [b"see /metrics and /targets\n"]

    server = make_server(HOST, settings.metrics_port, answer, ThreadingWSGIServer, _Silent)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _Silent(WSGIRequestHandler):
    """Without a line for each scrape."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gave it
        """Nothing."""


def _gauge(name: str, documentation: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)


def _target(port: int, path: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"targets": [f"{HOST}:{port}"], "labels": {"__metrics_path__": path, **labels}}
