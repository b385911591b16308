"""A small real workload to serve: trained packages, published features, and three locations, for the data plane's tests."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.topology import ComputeProfile, Location
from mcml_assets.domain.workload import PlacedLocation, Placement, Role, Workload
from mcml_assets.features.feast_store import publish
from mcml_assets.features.repositories import repositories_folder
from mcml_assets.serving.manifest import inference_service
from mcml_assets.serving.package import package_digest, write_package
from mcml_assets.training.candidate import train_candidate
from mcml_assets_tests.ports import free_port_range
from mcml_assets_tests.training.synthetic import make_rows, make_workload

PRIMARY, WARM, COLD = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
FEATURE_SNAPSHOT = "f" * 64
TRAINING_SNAPSHOT = "b" * 64
CUSTOMER = 12345
SPARSE_CUSTOMER = 12346  # of whom the city is not known
TIME = "2024-07-01T00:00:00+00:00"


def location(key: str, jurisdiction: str = "UK") -> Location:
    """A location with one compute profile, `small`."""
    cloud, _, region = key.partition("/")
    return Location(
        cloud, region, jurisdiction, "bucket", Decimal("0.09"), "USD", {"small": ComputeProfile("small", cpu=0.5, memory_gib=1)}
    )


def shop_workload(folder: Path, key_type: str = "int64") -> Workload:
    """The workload `shop`, placed in three locations of the UK: primary, warm and cold."""
    placed = tuple(
        PlacedLocation(location(key), role) for key, role in ((PRIMARY, Role.PRIMARY), (WARM, Role.WARM), (COLD, Role.COLD))
    )
    workload = make_workload(folder)
    (view,) = workload.features.views
    features = replace(
        workload.features,
        entity=replace(workload.features.entity, type=key_type),
        views=(replace(view, join_key_type=key_type),),
    )
    return replace(workload, features=features, placements=(Placement("UK", placed),))


def free_settings(home: Path) -> Settings:
    """Settings of a home of its own, with ports that are free now."""
    first = free_port_range(23)
    return Settings(
        home=home,
        edge_port=first,
        edge_admin_port=first + 1,
        metrics_port=first + 2,
        endpoint_first_port=first + 3,
        endpoint_ports=20,
        # On a busy machine a healthy location is slow as well: only what fails may bring another one to answer.
        edge_hedge_seconds=1,
    )


@dataclass(frozen=True)
class Shop:
    """The workload with its packages by version."""

    workload: Workload
    settings: Settings
    packages: dict[int, Path]

    def digest(self, version: int) -> str:
        return package_digest(self.packages[version])

    def manifest(self, key: str, version: int, **changes: object) -> dict[str, object]:
        """The manifest of one location for one package version."""
        arguments: dict[str, object] = {
            "package_uri": self.packages[version].as_uri(),
            "features_uri": repositories_folder(self.settings, key, "shop").as_uri(),
            "model_version": version,
            "digest": self.digest(version),
        }
        return inference_service(self.workload, self.workload.placed(key), **(arguments | changes))  # pyright: ignore[reportArgumentType] - keywords by name


def build_shop(home: Path, *, versions: int = 2, key_type: str = "int64", customer: int | str = CUSTOMER) -> Shop:
    """Train and package `versions` models, and publish features of two customers in every location."""
    settings = free_settings(home)
    workload = shop_workload(home / "shop", key_type)
    packages = {version: home / "packages" / str(version) for version in range(1, versions + 1)}
    for version, folder in packages.items():
        train_package(folder, workload, version)
    features = home / "features.parquet"
    sparse = SPARSE_CUSTOMER if isinstance(customer, int) else f"{customer}, sparse"
    frame = pd.DataFrame({"customer_id": [customer, sparse], "visits": [7, 3], "spent": [40.5, 1.0], "city": ["York", None]})
    frame["event_timestamp"] = pd.Series([datetime(2024, 6, 1, tzinfo=UTC)] * 2).astype("datetime64[us, UTC]")
    frame.to_parquet(features, index=False)
    for placed in workload.locations:
        files = {"customer/2024-06-01.parquet": features}
        publish(workload, placed.key, FEATURE_SNAPSHOT, files, datetime(2024, 7, 1, tzinfo=UTC), settings)
    return Shop(workload, settings, packages)


def train_package(folder: Path, workload: Workload, version: int, changed: Callable[[Any], object] | None = None) -> None:
    """A version of the workload's model as a package; `changed` makes another model of the trained one."""
    rows = make_rows(seed=version)
    candidate = train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times)
    write_package(
        folder,
        model=changed(candidate.model) if changed is not None else candidate.model,
        workload=workload,
        jurisdiction="UK",
        version=version,
        snapshots={"feature_snapshot": TRAINING_SNAPSHOT},
        mlflow_run_id="c" * 32,
        x_sample=candidate.x_test,
        created_at=TIME,
    )
