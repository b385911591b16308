"""The model package that a location holds, as a folder on this machine. What is in it is `serving/package.py`'s business."""

from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.package import ModelPackage, read_package


def held_package(workload: Workload, stores: CloudStores, location: str, manifest: Manifest) -> ModelPackage:
    """The package's folder in this location, fetched and verified; the same folder for the same package."""
    folder = stores.settings.location_folder(location) / "models" / workload.name / manifest.snapshot_id[:16]
    stores.snapshots(workload, location, "model").fetch(manifest, folder)
    return read_package(folder, digest=manifest.snapshot_id)
