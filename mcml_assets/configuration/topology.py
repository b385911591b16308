"""Topologies as people write them: one YAML file per profile, read into `domain.topology.Topology`.

What a location is and does belongs to `domain/`, how its store is reached and entered to `store_access.py`; which
workload lives where is written in its `defs.yaml`.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mcml_assets.configuration.compute_access import (
    ComputeProfileModel,
    compute_access,
    compute_problems,
    profile_facts,
    profile_problems,
)
from mcml_assets.configuration.endpoint_access import endpoint_access, endpoint_problems
from mcml_assets.configuration.problems import Problem, configuration_error, shape_problems
from mcml_assets.configuration.store_access import StoreModel, credential_problems, store_access, store_problems
from mcml_assets.configuration.traffic import traffic_access, traffic_problems
from mcml_assets.configuration.yaml_lines import read_yaml
from mcml_assets.domain.digest import DEFAULT_DIGEST, DigestAlgorithm
from mcml_assets.domain.register import STORES
from mcml_assets.domain.topology import Location, Topology, did_you_mean

log = logging.getLogger(__name__)

# A location's key is a partition key, a folder and a host name in the edge's configuration.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
# What S3, Google Cloud Storage and Azure containers all accept.
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]


class RegionModel(BaseModel):
    """One region of one cloud."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jurisdiction: str = Field(description="Where data in this region lawfully is: UK, EU, US.", min_length=1)
    bucket: BucketName = Field(description="Bucket or container that holds everything of this location.")
    compute_profiles: list[str] = Field(description="Names of the profiles that can be had here.", min_length=1)
    egress_price: Decimal = Field(description="What one GiB costs that leaves this location.", ge=0)
    currency: str = Field(description="Currency of the price, ISO 4217.", pattern=r"^[A-Z]{3}$")
    account: str | None = Field(
        None, description="Storage account of this region (azure), where it differs.", pattern=r"^[a-z0-9]{3,24}$"
    )
    copies_from: list[str] = Field(
        default_factory=list,
        description="Other locations of this cloud and jurisdiction whose buckets this region's credentials may read; the "
        "provider then copies from there by itself. None by default: each identity enters its own bucket only.",
    )
    # Judged by our own rules: pydantic would repeat what it refuses, which may be a secret.
    credentials: Any = Field(None, description="How this region's bucket is entered: a method, and secrets by {env: NAME}.")
    # Their keys differ by platform; `compute_access.py` and `endpoint_access.py` judge them.
    compute: Any = Field(None, description="Where this region's heavy work runs: a platform, and how it is reached.")
    endpoints: Any = Field(None, description="Where this region's endpoints run: a platform, and how it is reached.")


class CloudModel(BaseModel):
    """One cloud and its regions, under the provider's own names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: StoreModel = Field(StoreModel(), description="What its buckets speak; local folders by default.")
    compute_profiles: dict[Name, ComputeProfileModel] = Field(
        {}, description="Profiles as this cloud calls them, in place of those of the same name."
    )
    regions: dict[Name, RegionModel] = Field(description="Regions by the provider's own name.", min_length=1)


class TopologyModel(BaseModel):
    """One profile's clouds, regions and compute profiles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compute_profiles: dict[Name, ComputeProfileModel] = Field(description="Sizes of runs and servers, by name.")
    clouds: dict[Name, CloudModel] = Field(description="Clouds by name: aws, gcp, azure.", min_length=1)
    digest: DigestAlgorithm = Field(DEFAULT_DIGEST, description="What the files of new snapshots are digested with.")
    traffic: dict[str, dict[str, list[Any]]] = Field(
        {}, description="Global load balancers by jurisdiction and workload, which publish the edge's route."
    )


def load_topology(path: Path) -> Topology:
    """The topology of one profile, which is named by its file (`local.yaml`).

    Raises `ConfigurationError` with one line `<file>:<line>: <key>: ...` per problem. With fewer clouds than a register is
    kept in, a warning says so, and what is not guaranteed then.
    """
    document = read_yaml(path)
    try:
        model = TopologyModel.model_validate(document.data)
    except ValidationError as error:
        raise configuration_error(document, shape_problems(error, TopologyModel)) from None
    problems = list(_problems(model))
    if problems:
        raise configuration_error(document, problems)
    if len(model.clouds) < STORES:
        _warn_once(f"{path}:{document.line(('clouds',))}: clouds: {_unsafe_register(list(model.clouds))}")
    locations = [
        _location(model, cloud, region, written)
        for cloud, of_cloud in model.clouds.items()
        for region, written in of_cloud.regions.items()
    ]
    by_key = {location.key: location for location in locations}
    for location in locations:
        written = model.clouds[location.cloud].regions[location.region]
        if written.copies_from:
            origins = {origin.key: origin for origin in locations if origin.key in written.copies_from}
            by_key[location.key] = replace(location, copies_from=origins)
    return Topology(path.stem, by_key, model.digest, traffic_access(model.traffic))


@cache
def _warn_once(text: str) -> None:
    """Log a warning the first time that this process has it to tell."""
    log.warning(text)


def _unsafe_register(clouds: list[str]) -> str:
    """What is not guaranteed with so few clouds."""
    if len(clouds) == 1:
        lost = f"with {clouds[0]} down nobody can tell who is acting"
    else:
        lost = f"with either of {' and '.join(clouds)} down nobody can tell who is acting, although the other one answers"
    return (
        f"the register of acting locations is to be kept in {STORES} clouds, and there {'is' if len(clouds) == 1 else 'are'} "
        f"{len(clouds)}: {lost}, so no work moves to another location then and nothing is committed; add a cloud"
    )


def _problems(model: TopologyModel) -> Iterator[Problem]:
    where = {f"{cloud}/{region}": one.jurisdiction for cloud, of in model.clouds.items() for region, one in of.regions.items()}
    yield from traffic_problems(model.traffic, where)
    buckets: dict[str, str] = {}
    for cloud, of_cloud in model.clouds.items():
        yield from store_problems(of_cloud.store, ("clouds", cloud, "store"))
        for region, written in of_cloud.regions.items():
            here = ("clouds", cloud, "regions", region)
            yield from _store_problems(of_cloud.store, written, here)
            yield from _copying_problems(model, f"{cloud}/{region}", here)
            yield from compute_problems(written.compute, of_cloud.store.kind, here)
            yield from profile_problems({**model.compute_profiles, **of_cloud.compute_profiles}, written.compute_profiles, here)
            yield from endpoint_problems(written.endpoints, of_cloud.store.kind, here)
            # Two locations in one bucket would fail together and look like equal copies for ever.
            if written.bucket in buckets:
                owner = buckets[written.bucket]
                yield Problem(
                    (*here, "bucket"), f"{written.bucket!r} is already the bucket of {owner}: give each location its own"
                )
            buckets.setdefault(written.bucket, f"{cloud}/{region}")


def _store_problems(store: StoreModel, written: RegionModel, here: tuple[str, ...]) -> Iterator[Problem]:
    yield from credential_problems(store, written.credentials, here)
    if store.kind == "azure" and (written.account or store.account) is None:
        yield Problem((*here, "account"), "this key is missing: an Azure container lies in a storage account")
    elif store.kind != "azure" and written.account is not None:
        yield Problem((*here, "account"), f"only azure has storage accounts, and this store is of kind {store.kind!r}")


def _copying_problems(model: TopologyModel, key: str, here: tuple[str, ...]) -> Iterator[Problem]:
    """What is wrong with a region's `copies_from`: only a bucket of the same provider, under the same law, can be meant."""
    regions = {f"{cloud}/{region}": found for cloud, each in model.clouds.items() for region, found in each.regions.items()}
    cloud = key.partition("/")[0]
    for index, origin in enumerate(regions[key].copies_from):
        path = (*here, "copies_from", index)
        if origin not in regions:
            yield Problem(path, f"unknown location {origin!r}{did_you_mean(origin, list(regions))}")
        elif origin == key:
            yield Problem(path, f"{key} reads its own bucket anyway: remove it")
        elif origin.partition("/")[0] != cloud:
            yield Problem(path, f"{origin} is in another cloud, which {cloud} cannot copy from by itself: remove it")
        elif regions[origin].jurisdiction != regions[key].jurisdiction:
            yield Problem(
                path, f"{origin} lies in {regions[origin].jurisdiction}, {key} in {regions[key].jurisdiction}: remove it"
            )
        elif model.clouds[cloud].store.kind == "local":
            yield Problem(path, "between local folders nothing is copied without being read: remove it")


def _location(model: TopologyModel, cloud: str, region: str, written: RegionModel) -> Location:
    return Location(
        cloud=cloud,
        region=region,
        jurisdiction=written.jurisdiction,
        bucket=written.bucket,
        egress_price=written.egress_price,
        currency=written.currency,
        compute_profiles=profile_facts(
            {**model.compute_profiles, **model.clouds[cloud].compute_profiles}, written.compute_profiles
        ),
        store=store_access(model.clouds[cloud].store, written.account, written.credentials),
        endpoints=endpoint_access(written.endpoints),
        compute=compute_access(written.compute),
    )
