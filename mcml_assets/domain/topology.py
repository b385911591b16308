"""Clouds, regions and the jurisdictions they lie in.

A `Location` is a cloud and a region, written `aws/eu-west-2`; that string is the partition key everywhere.
A `Topology` is one profile's set of locations. How a topology is read from YAML is `configuration/`'s business,
which workload lives where is `domain/workload.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, get_args

from mcml_assets.domain.compute_access import ComputeAccess, ComputeProfile, LocalCompute
from mcml_assets.domain.digest import DEFAULT_DIGEST, DigestAlgorithm
from mcml_assets.domain.endpoint_access import EndpointAccess, LocalEndpoints
from mcml_assets.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from mcml_assets.domain.traffic import TrafficAccess

StoreKind = Literal["local", "s3", "gcs", "azure"]
STORE_KINDS: tuple[StoreKind, ...] = get_args(StoreKind)


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A secret by the name of the environment variable that holds it.

    It is resolved where a store is opened and nowhere else, so no topology, event, error or `repr` can show a secret.
    """

    variable: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """How one location's store is entered: a method of its kind, and the values that the method needs.

    `none` is the method of a local folder. Which methods a kind has, and which values they take, is said in
    `configuration/store_access.py`.
    """

    method: str = "none"
    values: Mapping[str, str | SecretReference] = field(default_factory=dict[str, str | SecretReference])


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """Which protocol a location's bucket speaks, where it answers, and how it is entered.

    `endpoint` is None at the provider's own address; `allow_http` permits an endpoint without TLS, as on loopback;
    `account` is the storage account that holds an Azure container, None elsewhere.
    """

    kind: StoreKind = "local"
    endpoint: str | None = None
    allow_http: bool = False
    account: str | None = None
    credentials: Credentials = field(default_factory=Credentials)


@dataclass(frozen=True, slots=True)
class Location:
    """One region of one cloud: the unit of placement, of failure, and the partition key.

    `egress_price` is what one GiB leaving this location costs, in `currency`. `store` says how its bucket is reached.
    `copies_from` has the other locations of its cloud and jurisdiction whose buckets its own credentials may read, so that
    the provider copies from there by itself; none unless the topology says so. `endpoints` says where its endpoints run,
    `compute` where its heavy work does.
    """

    cloud: str
    region: str
    jurisdiction: str
    bucket: str
    egress_price: Decimal
    currency: str
    compute_profiles: Mapping[str, ComputeProfile]
    store: StoreAccess = field(default_factory=StoreAccess)
    copies_from: Mapping[str, "Location"] = field(default_factory=dict[str, "Location"])
    endpoints: EndpointAccess = field(default_factory=LocalEndpoints)
    compute: ComputeAccess = field(default_factory=LocalCompute)

    @property
    def key(self) -> str:
        return f"{self.cloud}/{self.region}"

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class Topology:
    """The locations of one profile (`local`, `emulated`, `production`), by key.

    `digest` is what new snapshots digest their files with, in every location alike: else equal content had two ids.
    `traffic` has the global load balancers that publish a workload's routes, by workload and jurisdiction.
    """

    profile: str
    locations: Mapping[str, Location]
    digest: DigestAlgorithm = DEFAULT_DIGEST
    traffic: Mapping[tuple[str, str], "tuple[TrafficAccess, ...]"] = field(
        default_factory=dict[tuple[str, str], "tuple[TrafficAccess, ...]"]
    )

    def location(self, key: str) -> Location:
        """The location with this key.

        Raises `ConfigurationError` naming the nearest known key.
        """
        try:
            return self.locations[key]
        except KeyError:
            raise ConfigurationError(f"unknown location {key!r}{did_you_mean(key, self.locations)}") from None

    @property
    def clouds(self) -> tuple[str, ...]:
        return tuple(sorted({location.cloud for location in self.locations.values()}))

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        return tuple(sorted({location.jurisdiction for location in self.locations.values()}))


def did_you_mean(word: str, choices: Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    """The end of an error message that offers the nearest valid choice, or all of them when none is near."""
    names = list(choices)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(repr(name) for name in sorted(names))}" if names else ""
