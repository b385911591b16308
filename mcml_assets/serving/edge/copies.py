"""Copies of live requests as Envoy's configuration: to which server, of how many, and marked so that none is logged. Pure.

A copy's answer goes to nobody. Each server that gets some has a cluster of its own, whose counts are thereby its alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcml_assets.domain.route import Route
from mcml_assets.serving.edge.attempts import endpoint_metadata
from mcml_assets.serving.edge.watched import TYPE, socket_address

COPIES = "copies"
COPY_HEADER = "x-mcml-copy"
CONNECT_TIMEOUT = "0.25s"
# A server that does not keep up gets no more of them: copies must never cost a live answer.
MAX_REQUESTS = 64

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies to the server on `port`, of `percent` of the live requests."""

    port: int
    percent: int


def copies_cluster_name(route_name: str, location: str) -> str:
    """The cluster of a location's copies: a dot would end the name where Envoy counts."""
    return f"{COPIES}.{route_name}.{location.replace('/', '_')}"


def copy_clusters(route: Route, copies: Mapping[str, Copies]) -> list[Json]:
    """A cluster for each location of a route that gets copies."""
    return [_cluster(route, location, copies[location].port) for location in sorted(copies)]


def mirror_policies(route: Route, copies: Mapping[str, Copies]) -> list[Json]:
    """What the route's requests are copied to; the copies say that they are some, which no caller can."""
    mark = {"append": {"header": {"key": COPY_HEADER, "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    return [
        {
            "cluster": copies_cluster_name(route.name, location),
            "runtime_fraction": {"default_value": {"numerator": copies[location].percent, "denominator": "HUNDRED"}},
            "request_headers_mutations": [mark],
            "disable_shadow_host_suffix_append": True,
        }
        for location in sorted(copies)
    ]


def _cluster(route: Route, location: str, port: int) -> Json:
    name = copies_cluster_name(route.name, location)
    server = {"endpoint": {"address": socket_address(port)}, "metadata": endpoint_metadata(location, port)}
    return {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [server]}]},
        "circuit_breakers": {"thresholds": [{"max_requests": MAX_REQUESTS, "max_pending_requests": MAX_REQUESTS}]},
    }
