"""How Envoy reaches the locations of a route, and how long it bears with one that fails. Pure; `render.py` writes it.

Ejection and health checks decide who is asked, circuit breakers how much at once, the retry budget how much again.
"""

from typing import Any

from mcml_assets.domain.route import Route

CONNECT_TIMEOUT = "0.25s"
# Per route. A model server answers one request after the other: what waits here any longer is better refused at once.
MAX_CONNECTIONS = 1024
MAX_PENDING = 256
MAX_REQUESTS = 1024
# Retries and hedges under way, as a share of the requests under way, and how many there may always be. A location that
# dies strands what it was asked in some milliseconds, which the second covers. The first bounds what a hedge adds where
# all locations are merely slow: at 100 % two overloaded servers were asked everything twice, and stopped answering.
RETRY_BUDGET_PERCENT = 20.0
MIN_RETRIES = 32
EJECT_AFTER = 5
EJECTED_SECONDS = 5
SLOW_START_SECONDS = 2
EXTENSIONS = "type.googleapis.com/envoy.extensions"

Json = dict[str, Any]


def cluster(route: Route, endpoints: Json) -> Json:
    """The cluster of a route; `endpoints` is the source of its addresses."""
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": route.name,
        # In the names of Envoy's statistics a dot would end the cluster's name.
        "alt_stat_name": f"{route.workload}/{route.jurisdiction}",
        "type": "EDS",
        "eds_cluster_config": {"eds_config": endpoints},
        "connect_timeout": CONNECT_TIMEOUT,
        "circuit_breakers": {"thresholds": [_thresholds()]},
        "common_lb_config": {
            # A dead location gets nothing, not even when all are dead.
            "healthy_panic_threshold": {"value": 0},
        },
        # A server that takes over from another gets its share by and by.
        "round_robin_lb_config": {"slow_start_config": {"slow_start_window": f"{SLOW_START_SECONDS}s"}},
        # A server that was taken out of the file ends soon: it gets no more requests, healthy or not.
        "ignore_health_on_host_removal": True,
        "health_checks": [_health_check(route)],
        **_ejection(route),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                # Below the server's own 65 s, so that it never closes a connection that Envoy is about to use.
                "common_http_protocol_options": {"idle_timeout": "30s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _thresholds() -> Json:
    return {
        "max_connections": MAX_CONNECTIONS,
        "max_pending_requests": MAX_PENDING,
        "max_requests": MAX_REQUESTS,
        "retry_budget": {"budget_percent": {"value": RETRY_BUDGET_PERCENT}, "min_retry_concurrency": MIN_RETRIES},
    }


def _health_check(route: Route) -> Json:
    return {
        "timeout": "1s",
        "interval": "1s",
        # Without it a server that comes up before the first request stays unhealthy for a minute.
        "no_traffic_interval": "1s",
        "unhealthy_interval": "0.5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": f"/v2/models/{route.workload}/ready"},
    }


def _ejection(route: Route) -> Json:
    """A location that fails requests is left out for some seconds, sooner than its health checks notice.

    Never the only one, and never more than half: a request that no location can answer must not take all of them away.
    """
    if len(route.weights) < 2:
        return {}
    return {
        "outlier_detection": {
            "interval": "0.5s",
            "consecutive_5xx": EJECT_AFTER,
            "consecutive_gateway_failure": EJECT_AFTER,
            "enforcing_consecutive_gateway_failure": 100,
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": EJECT_AFTER,
            # Rates over all hosts say nothing of a cluster with one host that is asked.
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "base_ejection_time": f"{EJECTED_SECONDS}s",
            "max_ejection_time": "30s",
            "max_ejection_percent": 50,
        }
    }
