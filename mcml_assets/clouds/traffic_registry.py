"""Which code publishes a route in which global load balancer: one line per service, and publishing in all of them.

The Protocol is `traffic.py`'s. SDKs load when a provider is first asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mcml_assets.clouds.traffic import TrafficAdapter
from mcml_assets.domain.errors import McmlError, ObjectNotFound, StaleEpoch, TransientError
from mcml_assets.domain.route import Route
from mcml_assets.domain.traffic import Published, TrafficAccess, TrafficKind, content_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of publishing one route in one place; `error` and `problem` are None when it is held now."""

    kind: TrafficKind
    key: str
    changed: bool
    error: str | None = None
    problem: str | None = None


def traffic_adapter(access: TrafficAccess) -> TrafficAdapter:
    """Who publishes there. Asks nobody anything."""
    match access.kind:
        case "route53":
            from mcml_assets.clouds.aws.traffic import Route53Traffic  # noqa: PLC0415 - loads boto3

            return Route53Traffic(access)
        case "google":
            from mcml_assets.clouds.gcp.traffic import GoogleTraffic  # noqa: PLC0415 - loads Google's client

            return GoogleTraffic(access)
        case "azure":
            from mcml_assets.clouds.azure.traffic import AzureTraffic  # noqa: PLC0415 - loads Azure's client

            return AzureTraffic(access)
        case "front_door":
            from mcml_assets.clouds.azure.front_door import FrontDoorTraffic  # noqa: PLC0415 - loads Azure's client

            return FrontDoorTraffic(access)


def publish_everywhere(accesses: Iterable[TrafficAccess], route: Route) -> list[Outcome]:
    """Publish a route in every place; one that fails hinders no other, and is told in its outcome."""
    return [_publish(access, route) for access in accesses]


def _publish(access: TrafficAccess, route: Route) -> Outcome:
    try:
        return Outcome(access.kind, access.key, traffic_adapter(access).publish(route))
    except McmlError as error:
        return Outcome(access.kind, access.key, False, type(error).__name__, str(error))


def deviation(access: TrafficAccess, route: Route | None) -> tuple[str, str] | None:
    """How what a provider holds differs from the route that the edge obeys: the name of an error, and what is so; None
    when it does not.
    """
    if route is None:
        return ObjectNotFound.__name__, f"{access.key}: the edge has no route of {access.workload} yet"
    try:
        held = traffic_adapter(access).published()
    except McmlError as error:
        # Not as an outage of a location: the edge answers all the same.
        return TransientError.__name__, str(error)
    wanted = Published(route.epoch, content_of(route))
    if held == wanted:
        return None
    said = f"a route of epoch {held.epoch}" if held is not None else "no route"
    return StaleEpoch.__name__, f"{access.key} holds {said}, not the one of epoch {route.epoch} that the edge obeys"
