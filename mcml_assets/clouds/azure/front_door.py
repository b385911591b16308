"""Azure Front Door (Standard and Premium): a route as an origin group of its own. Imports Azure's client: import late.

An origin group and its origins are written one by one, and Azure takes no condition with any of them. So each route gets a
new group, named by its epoch and content, and the last change lets Front Door's route name that group: callers see all of
it or nothing, and what is published is read from the name. The group before it is kept, because Azure takes minutes until
all its places know the new one; older ones are deleted. Two writers at the same moment may still overtake each other: what
is left then is seen by the next reading, and a second publication sets it right.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any

from azure.mgmt.cdn import CdnManagementClient

from mcml_assets.clouds.azure.credentials import azure_identity
from mcml_assets.clouds.azure.management import ask, client_options, request_options
from mcml_assets.clouds.traffic import Request
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.route import Route
from mcml_assets.domain.traffic import FrontDoorRoute, Published, TrafficAccess, levels, to_publish

PRIORITIES = 5  # Front Door knows no more
PROBE_SECONDS = 30
SAMPLES, SUCCESSES = 4, 3
# Front Door prefers the nearest origin of a priority, and shares by weight only among those within this latency of it: its
# largest, so that the shares are the route's.
LATENCY_MILLISECONDS = 1000
POLL_SECONDS = 2
Json = dict[str, Any]


class FrontDoorTraffic:
    """A `TrafficAdapter` for one route of one endpoint, both of which exist."""

    def __init__(self, access: TrafficAccess) -> None:
        if not isinstance(access.where, FrontDoorRoute):
            raise TypeError(f"{access.key} is not Front Door's")
        self.access, self.where = access, access.where

    def published(self) -> Published | None:
        """What the name of the route's origin group says."""
        return _published(self.access, self._group())

    def plan(self, route: Route) -> list[Request]:
        """The new origin group, its origins, the change of the route, and what is deleted then."""
        present = self._group()
        wanted = to_publish(self.access, route, _published(self.access, present))
        if wanted is None:
            return []
        name, bodies = group_name(self.access, wanted), list(origins(self.access, route))
        group = {**self._profile, "origin_group_name": name}
        return [
            {"call": "afd_origin_groups.begin_create", **group, "origin_group": origin_group(self.access)},
            *({"call": "afd_origins.begin_create", **group, "origin_name": key, "origin": body} for key, body in bodies),
            {
                "call": "routes.begin_update",
                **self._route,
                "route_update_properties": {"properties": {"originGroup": {"id": self._group_id(name)}}},
            },
            *(
                {"call": "afd_origin_groups.begin_delete", **self._profile, "origin_group_name": stray}
                for stray in self._groups()
                if stray not in (present, name) and _published(self.access, stray) is not None
            ),
        ]

    def publish(self, route: Route) -> bool:
        """Publish; see `TrafficAdapter.publish`."""
        planned = self.plan(route)
        for asked in planned:
            called = asked.pop("call")
            change = attrgetter(called)(self._client)
            options = {"polling_interval": POLL_SECONDS, **request_options(self.access)}
            ask(self.access, called, lambda change=change, asked=asked, options=options: change(**asked, **options).result())
        return bool(planned)

    def _group(self) -> str | None:
        """The name of the route's origin group."""
        found = ask(
            self.access,
            f"read the route {self.where.route!r} of the endpoint {self.where.endpoint!r}",
            lambda: self._client.routes.get(**self._route, **request_options(self.access)).as_dict(),
        )
        identifier = (found.get("properties", {}).get("originGroup") or {}).get("id")
        return identifier.rpartition("/")[2] if identifier else None

    def _groups(self) -> list[str]:
        """The names of all origin groups of the profile."""
        listed = self._client.afd_origin_groups.list_by_profile
        options = request_options(self.access)
        return ask(
            self.access,
            "list the origin groups",
            lambda: [found.name for found in listed(**self._profile, **options) if found.name is not None],
        )

    def _group_id(self, name: str) -> str:
        where = self.where
        return (
            f"/subscriptions/{where.subscription}/resourceGroups/{where.resource_group}/providers/Microsoft.Cdn"
            f"/profiles/{where.profile}/originGroups/{name}"
        )

    @property
    def _profile(self) -> dict[str, str]:
        return {"resource_group_name": self.where.resource_group, "profile_name": self.where.profile}

    @property
    def _route(self) -> dict[str, str]:
        return {**self._profile, "endpoint_name": self.where.endpoint, "route_name": self.where.route}

    @cached_property
    def _client(self) -> CdnManagementClient:
        return CdnManagementClient(azure_identity(self.access), self.where.subscription, **client_options(self.access))


def group_name(access: TrafficAccess, wanted: Published) -> str:
    """The name of a route's origin group; Azure takes letters, digits and hyphens."""
    return f"{_prefix(access)}e{wanted.epoch}-{wanted.content}"


def origin_group(access: TrafficAccess) -> Json:
    """A group whose origins are asked whether they can answer for the workload."""
    return {
        "properties": {
            "loadBalancingSettings": {
                "sampleSize": SAMPLES,
                "successfulSamplesRequired": SUCCESSES,
                "additionalLatencyInMilliseconds": LATENCY_MILLISECONDS,
            },
            "healthProbeSettings": {
                "probePath": access.ready_path,
                "probeRequestType": "GET",
                "probeProtocol": "Https",
                "probeIntervalInSeconds": PROBE_SECONDS,
            },
            "sessionAffinityState": "Disabled",
        }
    }


def origins(access: TrafficAccess, route: Route) -> Iterator[tuple[str, Json]]:
    """Each location's origin, by its name. Raises `ConfigurationError` for more priorities than Front Door knows."""
    groups = levels(route)
    if len(groups) > PRIORITIES:
        raise ConfigurationError(
            f"{access.key}: the route of epoch {route.epoch} has {len(groups)} priorities; Front Door knows {PRIORITIES}"
        )
    for priority, group in enumerate(groups, 1):
        for entry in group:
            target = access.target(entry.location)
            yield (
                entry.location.replace("/", "-"),
                {
                    "properties": {
                        "hostName": target,
                        "originHostHeader": target,
                        "httpPort": 80,
                        "httpsPort": 443,
                        "priority": priority,
                        "weight": entry.weight,
                        "enabledState": "Enabled",
                        "enforceCertificateNameCheck": True,
                    }
                },
            )


def _prefix(access: TrafficAccess) -> str:
    return f"mcml-{access.workload.replace('_', '-')}-{access.jurisdiction}-"


def _published(access: TrafficAccess, group: str | None) -> Published | None:
    """What a group's name says; None for one that is not ours. Azure may write it in other letters than we did."""
    said = re.fullmatch(rf"{re.escape(_prefix(access))}e(\d+)-([0-9a-f]+)", group or "", re.IGNORECASE)
    return Published(int(said[1]), said[2].lower()) if said is not None else None
