"""Routes and addresses as Envoy's configuration: pure, and the same bytes for the same facts.

The listener is fixed; routes, clusters and endpoints are files that Envoy watches (file-based xDS), one endpoint file
per workload and jurisdiction, so that a new port of one server touches nothing else. Writing them, and the process,
are `envoy.py`'s business.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcml_assets.domain.route import Route
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.serving.problem import NO_LOCATION, NOT_ROUTED, PROBLEM_MEDIA_TYPE, Problem

HOST = "127.0.0.1"
CLUSTERS_FILE = "clusters.json"
ROUTES_FILE = "routes.json"
ENDPOINTS_FOLDER = "endpoints"
EPOCH_HEADER = "x-mcml-route-epoch"
DEFAULT_TIMEOUT_SECONDS = 2.0  # while no endpoint says its own
CONNECT_TIMEOUT = "0.25s"
MAX_RETRIES = 4096
OVERPROVISIONING = 1000
MAX_DIRECT_BODY = 1024 * 1024
TYPE = "type.googleapis.com/envoy"
EXTENSIONS = f"{TYPE}.extensions"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """Where the edge reaches one endpoint: its ports on this machine (two while a new server takes over), and how long
    its workload may take to answer, in seconds.
    """

    ports: tuple[int, ...]
    timeout_seconds: float


Addresses = Mapping[tuple[str, str], EndpointAddress]
"""Addresses by workload and location."""


def bootstrap(folder: Path, port: int, admin_port: int) -> Json:
    """What Envoy starts with: the listener on `port`, and the files under `folder` (absolute) that it watches."""
    return {
        "node": {"id": "edge", "cluster": "mcml"},
        "admin": {"address": _address(admin_port)},
        "static_resources": {"listeners": [_listener(folder, port)]},
        "dynamic_resources": {"cds_config": _watched(folder / CLUSTERS_FILE)},
    }


def edge_files(folder: Path, routes: Sequence[Route], addresses: Addresses) -> dict[Path, bytes]:
    """Every watched file with its content, in the order in which they may be replaced: endpoints, clusters, routes."""
    ordered = sorted(routes, key=lambda route: route.name)
    endpoints = {_endpoints_file(folder, route): _discovery([_assignment(route, addresses)]) for route in ordered}
    return {
        **endpoints,
        folder / CLUSTERS_FILE: _discovery([_cluster(folder, route) for route in ordered]),
        folder / ROUTES_FILE: _discovery([_route_table(ordered, addresses)]),
    }


def _listener(folder: Path, port: int) -> Json:
    connection_manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "HTTP1",
        "normalize_path": True,
        "merge_slashes": True,
        "stream_idle_timeout": "30s",
        "request_timeout": "10s",
        "rds": {"route_config_name": "edge", "config_source": _watched(folder / ROUTES_FILE)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{EXTENSIONS}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "local_reply_config": _local_replies(),
    }
    return {
        "name": "edge",
        "address": _address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": connection_manager,
                    }
                ]
            }
        ],
    }


def _local_replies() -> Json:
    """Envoy's own 5xx, which mean that no location answered, as problems; direct responses have their bodies."""
    return {
        "mappers": [
            {
                "filter": {
                    "status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "unused"}}}
                },
                "body_format_override": {
                    "json_format": {
                        "type": NO_LOCATION,
                        "title": "No location answers",
                        "status": "%RESPONSE_CODE%",
                        "detail": "no location of this workload's route answered in time: %RESPONSE_CODE_DETAILS%",
                    },
                    "content_type": PROBLEM_MEDIA_TYPE,
                },
            }
        ]
    }


def _route_table(routes: Sequence[Route], addresses: Addresses) -> Json:
    unknown = Problem(404, NOT_ROUTED, "the edge knows /<jurisdiction>/v2/models/<workload>/infer and …/ready; see /routes")
    entries = [entry for route in routes for entry in _routes_of(route, addresses)]
    table = {"routes": [{**asdict(route), "locations": route.locations} for route in routes]}
    return {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration",
        "name": "edge",
        "max_direct_response_body_size_bytes": MAX_DIRECT_BODY,
        "virtual_hosts": [
            {
                "name": "edge",
                "domains": ["*"],
                "routes": [
                    *entries,
                    _direct({"path": "/healthz"}, 200, json.dumps({"status": "ok"}), "application/json"),
                    _direct({"path": "/routes"}, 200, canonical_json(table).decode(), "application/json"),
                    _direct({"prefix": "/"}, 404, unknown.to_json(), PROBLEM_MEDIA_TYPE),
                ],
            }
        ],
    }


def _routes_of(route: Route, addresses: Addresses) -> list[Json]:
    """The two paths of a workload in a jurisdiction, with the retries that carry a request past a dead location."""
    timeout = max(
        (address.timeout_seconds for entry in route.weights if (address := addresses.get(_key(route, entry.location)))),
        default=DEFAULT_TIMEOUT_SECONDS,
    )
    tries = len({entry.priority for entry in route.weights})
    retry_policy = {
        "retry_on": "connect-failure,refused-stream,reset,5xx",
        "num_retries": max(1, tries - 1),
        # All tries together keep the workload's bound, even when every location but the last hangs.
        "per_try_timeout": _seconds(timeout / max(2, tries)),
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": f"{EXTENSIONS}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
    }
    return [
        {
            "match": {"path": f"/{route.jurisdiction}/v2/models/{route.workload}/{verb}"},
            "route": {
                "cluster": route.name,
                "prefix_rewrite": f"/v2/models/{route.workload}/{verb}",
                "timeout": _seconds(timeout),
                "retry_policy": retry_policy,
            },
            "request_headers_to_add": [_header(EPOCH_HEADER, str(route.epoch))],
            "response_headers_to_add": [_header(EPOCH_HEADER, str(route.epoch))],
        }
        for verb in ("infer", "ready")
    ]


def _cluster(folder: Path, route: Route) -> Json:
    return {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": route.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _watched(_endpoints_file(folder, route))},
        "connect_timeout": CONNECT_TIMEOUT,
        # By default only three requests may be retried at once, fewer than one dead location strands under load.
        "circuit_breakers": {"thresholds": [{"max_retries": MAX_RETRIES}]},
        "common_lb_config": {
            # A dead location gets nothing, not even when all are dead.
            "healthy_panic_threshold": {"value": 0},
        },
        # A server that was taken out of the file ends soon: it gets no more requests, healthy or not.
        "ignore_health_on_host_removal": True,
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                # Without it a server that comes up before the first request stays unhealthy for a minute.
                "no_traffic_interval": "1s",
                "unhealthy_interval": "0.5s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": f"/v2/models/{route.workload}/ready"},
            }
        ],
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                # Below the server's own 65 s, so that it never closes a connection that Envoy is about to use.
                "common_http_protocol_options": {"idle_timeout": "30s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _assignment(route: Route, addresses: Addresses) -> Json:
    """Locations as priorities of one cluster; one without an address keeps its place, empty."""
    groups = []
    for entry in sorted(route.weights, key=lambda entry: (entry.priority, entry.location)):
        address = addresses.get(_key(route, entry.location))
        cloud, _, region = entry.location.partition("/")
        groups.append(
            {
                "locality": {"zone": cloud, "region": region},
                "priority": entry.priority,
                "load_balancing_weight": entry.weight,
                "lb_endpoints": [
                    {"endpoint": {"address": _address(port)}} for port in (address.ports if address is not None else ())
                ],
            }
        )
    return {
        "@type": f"{TYPE}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": route.name,
        "endpoints": groups,
        # While a new server is not yet known as healthy, half a location still is the location: without this Envoy
        # would send a part of its requests on.
        "policy": {"overprovisioning_factor": OVERPROVISIONING},
    }


def _direct(match: Json, status: int, body: str, media_type: str) -> Json:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [_header("content-type", media_type)],
    }


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _watched(path: Path) -> Json:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _endpoints_file(folder: Path, route: Route) -> Path:
    return folder / ENDPOINTS_FOLDER / f"{route.name}.json"


def _address(port: int) -> Json:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _key(route: Route, location: str) -> tuple[str, str]:
    return route.workload, location


def _seconds(value: float) -> str:
    return f"{value:.3f}s"


def _discovery(resources: Sequence[Json]) -> bytes:
    content = canonical_json(list(resources))
    return canonical_json({"version_info": sha256(content).hexdigest()[:16], "resources": list(resources)}) + b"\n"
