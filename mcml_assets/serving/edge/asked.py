"""Which servers the edge asks now, and which it leaves out and why: one read of Envoy's admin interface."""

import json
from enum import StrEnum
from typing import Any

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import TransientError
from mcml_assets.serving.edge.watched import HOST

SECONDS = 2.0


class Asked(StrEnum):
    """How a location stands with the edge; of two servers the better one counts."""

    ASKED = "asked"
    EJECTED = "ejected"
    """It failed requests, and is left out for some seconds."""
    UNHEALTHY = "unhealthy"
    """It fails the edge's own health checks."""
    ABSENT = "absent"
    """The route does not name it, or it has no server."""


def asked_locations(settings: Settings) -> dict[tuple[str, str, str], Asked]:
    """How every location with a server stands, by workload, jurisdiction and location; any other is absent.

    Raises `TransientError` where Envoy is silent.
    """
    import httpx  # noqa: PLC0415 - only who asks

    address = f"http://{HOST}:{settings.edge_admin_port}/clusters"
    try:
        answer = httpx.get(address, params={"format": "json"}, timeout=SECONDS, trust_env=False).raise_for_status()
        return read_clusters(answer.json())
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise TransientError(f"the edge cannot be asked at {address}: {type(error).__name__}") from error


def read_clusters(document: dict[str, Any]) -> dict[tuple[str, str, str], Asked]:
    """The same, of what Envoy said."""
    order = list(Asked)
    found: dict[tuple[str, str, str], Asked] = {}
    for cluster in document.get("cluster_statuses", ()):
        workload, _, jurisdiction = cluster["name"].rpartition(".")
        for host in cluster.get("host_statuses", ()):
            locality = host.get("locality", {})
            key = (workload, jurisdiction, f"{locality.get('zone')}/{locality.get('region')}")
            found[key] = min(found.get(key, Asked.ABSENT), _standing(host["health_status"]), key=order.index)
    return found


def _standing(health: dict[str, Any]) -> Asked:
    if health.get("failed_outlier_check"):
        return Asked.EJECTED
    if health.get("failed_active_health_check") or health.get("eds_health_status") != "HEALTHY":
        return Asked.UNHEALTHY
    return Asked.ASKED
