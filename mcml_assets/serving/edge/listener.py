"""What Envoy starts with: its listener with all bounds on what comes in, and the names of the files that it watches. Pure.

What stands in the files is `render.py`'s for routes, `access.py`'s for callers and `tls.py`'s for certificates.
"""

from pathlib import Path

from mcml_assets.serving.collector import Collector
from mcml_assets.serving.edge.access import access_filters, unnaming_filter
from mcml_assets.serving.edge.access_log import application_log, refusal_log, request_log
from mcml_assets.serving.edge.attempts import answer_log, attempt_log, stats_config
from mcml_assets.serving.edge.entrance import Entrance
from mcml_assets.serving.edge.render import CLUSTERS_FILE, ROUTES_FILE
from mcml_assets.serving.edge.replies import MAX_REQUEST_BYTES, local_replies
from mcml_assets.serving.edge.tls import HANDSHAKE_SECONDS, transport_socket
from mcml_assets.serving.edge.traces import collector_cluster, tracing
from mcml_assets.serving.edge.watched import EXTENSIONS, Json, socket_address, watched

MAX_CONNECTIONS = 4096  # at once; past it new ones are refused, so that those under way are answered
MAX_HEAP_BYTES = 512 * 1024 * 1024  # 64 MB are usual; from 95 % of it on requests are refused, and the edge lives on
HEADERS_SECONDS, REQUEST_SECONDS = 5, 10  # for all headers of a request, and for all of it: a slow caller is cut off
IDLE_SECONDS = 60  # a connection without a request
LONGEST_CONNECTION_SECONDS = 3600  # then a caller shows its certificate again
MAX_HEADERS, MAX_HEADERS_KIB = 64, 16


def bootstrap(folder: Path, entrance: Entrance, collector: Collector | None = None) -> Json:
    """The listener, the files under `folder` (absolute) that Envoy watches, and where traces go (None: nowhere)."""
    return {
        "node": {"id": "edge", "cluster": "mcml"},
        "admin": {"address": socket_address(entrance.admin_port)},
        "static_resources": {
            "listeners": [_listener(folder, entrance, collector)],
            "clusters": [collector_cluster(collector)] if collector is not None else [],
        },
        "dynamic_resources": {"cds_config": watched(folder / CLUSTERS_FILE)},
        "application_log_config": application_log(),
        "overload_manager": _overload(),
        "stats_config": stats_config(),
        # How long answers took is only counted up then, and a rollout is judged by it.
        "stats_flush_interval": "1s",
    }


def _overload() -> Json:
    """What is refused, and from when on, so that what is under way is still answered."""
    monitors = f"{EXTENSIONS}.resource_monitors"
    connections = {
        "@type": f"{monitors}.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": MAX_CONNECTIONS,
    }
    heap = {"@type": f"{monitors}.fixed_heap.v3.FixedHeapConfig", "max_heap_size_bytes": MAX_HEAP_BYTES}
    names = "envoy.resource_monitors"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {"name": f"{names}.global_downstream_max_connections", "typed_config": connections},
            {"name": f"{names}.fixed_heap", "typed_config": heap},
        ],
        "actions": [
            {
                "name": f"envoy.overload_actions.{action}",
                "triggers": [{"name": f"{names}.fixed_heap", "threshold": {"value": share}}],
            }
            for action, share in (("shrink_heap", 0.9), ("stop_accepting_requests", 0.95))
        ],
    }


def _listener(folder: Path, entrance: Entrance, collector: Collector | None) -> Json:
    chain: Json = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": _connection_manager(folder, entrance, collector),
            }
        ],
    }
    if entrance.identity is not None:
        chain |= {
            "transport_socket": transport_socket(folder, entrance.identity),
            "transport_socket_connect_timeout": f"{HANDSHAKE_SECONDS}s",
        }
    return {"name": "edge", "address": socket_address(entrance.port, entrance.host), "filter_chains": [chain]}


def _connection_manager(folder: Path, entrance: Entrance, collector: Collector | None) -> Json:
    certificates = entrance.identity is not None and entrance.identity.client_authority is not None
    return {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "codec_type": "HTTP1",
        "normalize_path": True,
        "merge_slashes": True,
        # No two readings of a path: what permissions judge is what is routed.
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "stream_idle_timeout": "30s",
        "request_headers_timeout": f"{HEADERS_SECONDS}s",
        "request_timeout": f"{REQUEST_SECONDS}s",
        "max_request_headers_kb": MAX_HEADERS_KIB,
        "common_http_protocol_options": {
            "idle_timeout": f"{IDLE_SECONDS}s",
            "max_connection_duration": f"{LONGEST_CONNECTION_SECONDS}s",
            "max_headers_count": MAX_HEADERS,
        },
        "rds": {"route_config_name": "edge", "config_source": watched(folder / ROUTES_FILE)},
        "http_filters": [
            unnaming_filter(),
            *(access_filters(folder, certificates=certificates) if entrance.callers is not None else ()),
            {
                # A request is sent on once it is whole: a slow caller holds no model server, and every request can be
                # asked again elsewhere.
                "name": "envoy.filters.http.buffer",
                "typed_config": {
                    "@type": f"{EXTENSIONS}.filters.http.buffer.v3.Buffer",
                    "max_request_bytes": MAX_REQUEST_BYTES,
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{EXTENSIONS}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                    "upstream_log": [attempt_log()],
                },
            },
        ],
        "local_reply_config": local_replies(),
        "access_log": [refusal_log(), request_log(traced=collector is not None), answer_log()],
        **({"tracing": tracing(collector)} if collector is not None else {}),
    }
