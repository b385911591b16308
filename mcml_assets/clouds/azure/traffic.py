"""Azure Traffic Manager: a route as the priorities, or the weights, of a profile. Imports Azure's client: import late.

A profile is written as a whole, and Azure takes no condition with it: the epoch is a tag that is read first, and two
writers at the same moment may still overtake each other. What is left then is seen by the next reading, which compares
epoch and route with the register's; a second publication sets it right.
"""

from functools import cached_property
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.trafficmanager import TrafficManagerManagementClient

from mcml_assets.clouds.azure.credentials import azure_identity
from mcml_assets.clouds.azure.management import ask, client_options, code, request_options
from mcml_assets.clouds.traffic import Request
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.route import Route
from mcml_assets.domain.traffic import AzureProfile, Published, TrafficAccess, levels, to_publish

TAG = "mcml"
EXTERNAL = "Microsoft.Network/trafficManagerProfiles/externalEndpoints"
INTERVAL_SECONDS, TIMEOUT_SECONDS, FAILURES = 10, 5, 3
Json = dict[str, Any]


class AzureTraffic:
    """A `TrafficAdapter` for one profile, which it makes if it is not there."""

    def __init__(self, access: TrafficAccess) -> None:
        if not isinstance(access.where, AzureProfile):
            raise TypeError(f"{access.key} is not Azure's")
        self.access, self.where = access, access.where

    def published(self) -> Published | None:
        """What the profile's tag says."""
        return _published(self._profile())

    def plan(self, route: Route) -> list[Request]:
        """The profile as it would be written."""
        present = self._profile()
        wanted = to_publish(self.access, route, _published(present))
        if wanted is None:
            return []
        body = profile(self.access, route, wanted, (present or {}).get("tags") or {})
        return [{"call": "profiles.create_or_update", **self._at, "parameters": body}]

    def publish(self, route: Route) -> bool:
        """Publish; see `TrafficAdapter.publish`."""
        planned = self.plan(route)
        for asked in planned:
            asked.pop("call")
            ask(
                self.access,
                "write the profile",
                lambda asked=asked: self._client.profiles.create_or_update(**asked, **request_options(self.access)),
            )
        return bool(planned)

    def _profile(self) -> Json | None:
        return ask(self.access, "read the profile", self._read)

    def _read(self) -> Json | None:
        try:
            return self._client.profiles.get(**self._at, **request_options(self.access)).as_dict()
        except ResourceNotFoundError as error:
            # A missing resource group is no missing profile.
            if code(error) == "ResourceNotFound":
                return None
            raise

    @property
    def _at(self) -> dict[str, str]:
        return {"resource_group_name": self.where.resource_group, "profile_name": self.where.profile}

    @cached_property
    def _client(self) -> TrafficManagerManagementClient:
        return TrafficManagerManagementClient(
            azure_identity(self.access), self.where.subscription, **client_options(self.access)
        )


def profile(access: TrafficAccess, route: Route, wanted: Published, tags: dict[str, str]) -> Json:
    """The profile of a route; `tags` are what others wrote on it.

    Raises `ConfigurationError` for a route that has both an order and shares, which one profile cannot express.
    """
    where = access.where
    if not isinstance(where, AzureProfile):
        raise TypeError(f"{access.key} is not Azure's")
    groups = levels(route)
    if len(groups) > 1 and any(len(group) > 1 for group in groups):
        raise ConfigurationError(
            f"{access.key}: the route of epoch {route.epoch} shares requests and has an order as well; a Traffic Manager "
            "profile can do one of them"
        )
    ordered = [entry for group in groups for entry in group]
    return {
        "location": "global",
        "tags": {**tags, TAG: wanted.mark()},
        "properties": {
            "profileStatus": "Enabled",
            "trafficRoutingMethod": "Priority" if len(groups) > 1 else "Weighted",
            "dnsConfig": {"relativeName": where.dns_name, "ttl": where.ttl_seconds},
            "monitorConfig": {
                "protocol": "HTTPS",
                "port": 443,
                "path": access.ready_path,
                "intervalInSeconds": INTERVAL_SECONDS,
                "timeoutInSeconds": TIMEOUT_SECONDS,
                "toleratedNumberOfFailures": FAILURES,
            },
            "endpoints": [
                {
                    "name": entry.location.replace("/", "-"),
                    "type": EXTERNAL,
                    "properties": {
                        "target": access.target(entry.location),
                        "endpointStatus": "Enabled",
                        "priority": position,
                        "weight": entry.weight,
                    },
                }
                for position, entry in enumerate(ordered, 1)
            ],
        },
    }


def _published(present: Json | None) -> Published | None:
    return Published.read(((present or {}).get("tags") or {}).get(TAG, ""))
