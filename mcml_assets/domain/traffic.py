"""Global load balancers: which of them publish a route, and what of a route is published. Pure.

The edge obeys a route; a global load balancer in front of the edges sends callers to them by the same route. How a
provider is told is `clouds/`'s business, how people write it `configuration/traffic.py`'s.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Literal

from mcml_assets.domain.errors import ConfigurationError, StaleEpoch
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.domain.topology import StoreAccess

TrafficKind = Literal["route53", "google", "azure", "front_door"]


@dataclass(frozen=True, slots=True)
class Route53Records:
    """A name of a hosted zone, without the last dot."""

    zone: str
    name: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class GoogleUrlMap:
    """A path matcher of a URL map; targets are backend services of the project."""

    project: str
    url_map: str
    path_matcher: str


@dataclass(frozen=True, slots=True)
class AzureProfile:
    """A Traffic Manager profile, which the platform owns."""

    subscription: str
    resource_group: str
    profile: str
    dns_name: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class FrontDoorRoute:
    """A route of an endpoint of an Azure Front Door profile (Standard or Premium), whose origin group the platform sets."""

    subscription: str
    resource_group: str
    profile: str
    endpoint: str
    route: str


@dataclass(frozen=True, slots=True)
class TrafficAccess:
    """One global load balancer that publishes the routes of one workload in one jurisdiction.

    `targets` has what each location's edge is called there (a host name; a backend service at Google), `store` how the
    provider is reached and entered: the same form as a bucket's.
    """

    workload: str
    jurisdiction: str
    targets: Mapping[str, str]
    where: Route53Records | GoogleUrlMap | AzureProfile | FrontDoorRoute
    store: StoreAccess = field(default_factory=StoreAccess)
    region: str = "us-east-1"  # Route 53 is global, and is signed for here

    @property
    def kind(self) -> TrafficKind:
        """The provider's service."""
        match self.where:
            case Route53Records():
                return "route53"
            case GoogleUrlMap():
                return "google"
            case AzureProfile():
                return "azure"
            case FrontDoorRoute():
                return "front_door"

    @property
    def key(self) -> str:
        """What it is called in messages."""
        return f"traffic/{self.kind}/{self.workload}.{self.jurisdiction}"

    @property
    def ready_path(self) -> str:
        """The path by which an edge says that it can answer, with golden predictions passed."""
        return f"/{self.jurisdiction}/v2/models/{self.workload}/ready"

    def target(self, location: str) -> str:
        """What a location's edge is called there. Raises `ConfigurationError` for a location without one."""
        try:
            return self.targets[location]
        except KeyError:
            raise ConfigurationError(f"{self.key}: the topology names no target for {location}") from None


@dataclass(frozen=True, slots=True)
class Published:
    """What a provider holds: the epoch of the route, and the digest of its locations (see `content_of`)."""

    epoch: int
    content: str

    def mark(self) -> str:
        """As text that fits a TXT record, a description and a tag."""
        return f"mcml epoch={self.epoch} route={self.content}"

    @classmethod
    def read(cls, mark: str) -> "Published | None":
        """From a mark; None for anything else."""
        said = re.fullmatch(r"mcml epoch=(\d+) route=([0-9a-f]+)", mark)
        return cls(int(said[1]), said[2]) if said is not None else None


def content_of(route: Route) -> str:
    """A digest of what callers notice of a route: locations, priorities and weights."""
    entries = sorted((entry.priority, entry.location, entry.weight) for entry in route.weights)
    return sha256(canonical_json(entries)).hexdigest()[:16]


def to_publish(access: TrafficAccess, route: Route, present: Published | None) -> Published | None:
    """What is to be held now; None when it is held already.

    Raises `StaleEpoch` when a newer route is held, and `ConfigurationError` for the route of another workload or
    jurisdiction.
    """
    if (route.workload, route.jurisdiction) != (access.workload, access.jurisdiction):
        raise ConfigurationError(f"{access.key} does not publish the route of {route.workload} in {route.jurisdiction}")
    wanted = Published(route.epoch, content_of(route))
    if present is not None and present.epoch > wanted.epoch:
        raise StaleEpoch(f"{access.key} holds a route of epoch {present.epoch}, newer than {wanted.epoch}: nothing is changed")
    return None if present == wanted else wanted


def levels(route: Route) -> tuple[tuple[RouteLocation, ...], ...]:
    """The locations by priority, the lowest first."""
    ordered = sorted(route.weights, key=lambda entry: (entry.priority, entry.location))
    return tuple(tuple(group) for _, group in groupby(ordered, key=lambda entry: entry.priority))
