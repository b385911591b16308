"""How people write which global load balancers publish a workload's routes: the `traffic` block of a topology.

By jurisdiction and workload, a list of services. What is published there is decided in `domain/traffic.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mcml_assets.configuration.endpoint_access import is_address
from mcml_assets.configuration.problems import Problem, shape_problems
from mcml_assets.configuration.store_access import METHODS, Value, credentials_of, method_problems
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.topology import StoreAccess, StoreKind, did_you_mean
from mcml_assets.domain.traffic import AzureProfile, FrontDoorRoute, GoogleUrlMap, Route53Records, TrafficAccess

Text = Annotated[str, StringConstraints(min_length=1)]
HOST = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$"
Host = Annotated[str, StringConstraints(pattern=HOST)]
# The form of Google's names of resources (RFC 1035 labels).
GoogleName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
Subscription = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
# A stale answer is a caller sent to a dead location: short, as every provider's own advice for failover is.
TTL = Field(30, description="Seconds that callers may remember an answer.", ge=10, le=300)


class ServiceModel(BaseModel):
    """What all services have alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Judged by our own rules: pydantic would repeat what it refuses, which may be a secret.
    credentials: Any = Field(None, description="How the service is entered: a method, and secrets by {env: NAME}.")
    address: str | None = Field(None, description="Address of the service, where it is not the provider's own: an emulator.")


class Route53Model(ServiceModel):
    """Failover and weighted records with health checks in a hosted zone."""

    kind: Literal["route53"] = Field(description="The service.")
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{4,32}$")] = Field(description="Id of the hosted zone.")
    name: Host = Field(description="The name that callers ask; all records below it are the platform's.")
    targets: dict[str, Host] = Field(description="By location, the host name of its edge.", min_length=1)
    ttl_seconds: int = TTL


class GoogleModel(ServiceModel):
    """The weights of a path matcher of a global external Application Load Balancer."""

    kind: Literal["google"] = Field(description="The service.")
    project: GoogleName = Field(description="The project.")
    url_map: GoogleName = Field(description="The URL map, which exists.")
    path_matcher: GoogleName = Field(description="Its path matcher for this workload, which exists.")
    targets: dict[str, GoogleName] = Field(description="By location, the backend service of its edge.", min_length=1)


class AzureModel(ServiceModel):
    """A Traffic Manager profile."""

    kind: Literal["azure"] = Field(description="The service.")
    subscription: Subscription = Field(description="Id of the subscription.")
    resource_group: Text = Field(description="The resource group, which exists.")
    profile: Text = Field(description="The profile, which is the platform's alone.")
    dns_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")] = Field(
        description="Its name below trafficmanager.net."
    )
    targets: dict[str, Host] = Field(description="By location, the host name of its edge.", min_length=1)
    ttl_seconds: int = TTL


class FrontDoorModel(ServiceModel):
    """The origin group of a route of Azure Front Door, Standard or Premium."""

    kind: Literal["front_door"] = Field(description="The service.")
    subscription: Subscription = Field(description="Id of the subscription.")
    resource_group: Text = Field(description="The resource group, which exists.")
    profile: Text = Field(description="The Front Door profile, which exists.")
    endpoint: Text = Field(description="Its endpoint, which exists.")
    route: Text = Field(description="The endpoint's route for this workload, which exists.")
    targets: dict[str, Host] = Field(description="By location, the host name of its edge.", min_length=1)


MODELS: Mapping[str, type[Route53Model | GoogleModel | AzureModel | FrontDoorModel]] = {
    "route53": Route53Model,
    "google": GoogleModel,
    "azure": AzureModel,
    "front_door": FrontDoorModel,
}
STORES: Mapping[str, StoreKind] = {"route53": "s3", "google": "gcs", "azure": "azure", "front_door": "azure"}
# A key of a storage account opens neither Traffic Manager nor Front Door, and emulators are for tests.
_NOT_THERE = ("emulator", "key", "sas")

Locations = Mapping[str, str]
"""The jurisdiction of every location of the topology."""


def methods_of(kind: str) -> dict[str, Mapping[str, Value]]:
    """How a service can be entered."""
    return {name: takes for name, takes in METHODS[STORES[kind]].items() if name not in _NOT_THERE}


def traffic_problems(written: Mapping[str, Mapping[str, list[Any]]], locations: Locations) -> Iterator[Problem]:
    """What is wrong in the `traffic` block, beyond the shape of its outermost keys."""
    jurisdictions = sorted(set(locations.values()))
    for jurisdiction, of_workloads in written.items():
        if jurisdiction not in jurisdictions:
            yield Problem(("traffic", jurisdiction), f"unknown jurisdiction{did_you_mean(jurisdiction, jurisdictions)}")
            continue
        for workload, services in of_workloads.items():
            for index, service in enumerate(services):
                yield from _service_problems(service, jurisdiction, locations, ("traffic", jurisdiction, workload, index))


def _service_problems(written: Any, jurisdiction: str, locations: Locations, path: KeyPath) -> Iterator[Problem]:
    kind = written.get("kind") if isinstance(written, dict) else None
    if not isinstance(kind, str) or kind not in MODELS:
        said = "this key is missing" if kind is None else f"unknown service {kind!r}"
        yield Problem((*path, "kind"), f"{said}{did_you_mean(str(kind), list(MODELS))}")
        return
    try:
        model = MODELS[kind].model_validate(written)
    except ValidationError as error:
        for problem in shape_problems(error, MODELS[kind]):
            yield Problem((*path, *problem.path), problem.text)
        return
    for location in model.targets:
        here = (*path, "targets", location)
        if location not in locations:
            yield Problem(here, f"unknown location{did_you_mean(location, locations)}")
        elif locations[location] != jurisdiction:
            # Whoever asks there would send data of this jurisdiction.
            yield Problem(here, f"{location!r} lies in {locations[location]}: requests would leave {jurisdiction}")
    if model.address is not None and not is_address(model.address):
        yield Problem((*path, "address"), "must be https://..., or http:// on loopback, without credentials")
    yield from method_problems(f"service {kind!r}", methods_of(kind), model.credentials, (*path, "credentials"))


def traffic_access(written: Mapping[str, Mapping[str, list[Any]]]) -> dict[tuple[str, str], tuple[TrafficAccess, ...]]:
    """The services by workload and jurisdiction, of a block that has no problem."""
    return {
        (workload, jurisdiction): tuple(_access(service, workload, jurisdiction) for service in services)
        for jurisdiction, of_workloads in written.items()
        for workload, services in of_workloads.items()
    }


def _access(written: dict[str, Any], workload: str, jurisdiction: str) -> TrafficAccess:
    model = MODELS[written["kind"]].model_validate(written)
    match model:
        case Route53Model():
            where = Route53Records(model.zone, model.name, model.ttl_seconds)
        case GoogleModel():
            where = GoogleUrlMap(model.project, model.url_map, model.path_matcher)
        case AzureModel():
            where = AzureProfile(model.subscription, model.resource_group, model.profile, model.dns_name, model.ttl_seconds)
        case FrontDoorModel():
            where = FrontDoorRoute(model.subscription, model.resource_group, model.profile, model.endpoint, model.route)
    plain = model.address is not None and model.address.startswith("http://")
    store = StoreAccess(STORES[model.kind], model.address, plain, None, credentials_of(model.credentials))
    return TrafficAccess(workload, jurisdiction, dict(model.targets), where, store)
