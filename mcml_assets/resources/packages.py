"""The model package that a location holds, as a folder on this machine. What is in it is `serving/package.py`'s business."""

from typing import TYPE_CHECKING

from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.serving.package import ModelPackage


def held_package(workload: Workload, stores: CloudStores, location: str, manifest: Manifest) -> "ModelPackage":
    """The package's folder in this location, fetched and verified; the same folder for the same package."""
    from mcml_assets.serving.package import read_package  # noqa: PLC0415 - only who serves or judges a model needs it

    folder = stores.settings.location_folder(location) / "models" / workload.name / manifest.snapshot_id[:16]
    stores.snapshots(workload, location, "model").fetch(manifest, folder)
    return read_package(folder, digest=manifest.snapshot_id)
