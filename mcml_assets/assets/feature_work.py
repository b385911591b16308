"""The work of `feature_snapshot`: computing features where a location's raw data is, in the run's process or in a worker's.

When a location computes and when it copies is `feature_snapshot.py`'s business.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcml_assets.declaration import code_version, now
from mcml_assets.domain.errors import ObjectNotFound
from mcml_assets.domain.snapshot import CONTRACT, Manifest, snapshot_watermark
from mcml_assets.domain.workload import FIRST_VERSION, FeatureView, Workload
from mcml_assets.features.digests import ANNOTATION, annotation, view_digests
from mcml_assets.features.repositories import FeastRepository, current_repository, repositories_folder
from mcml_assets.resources.stores import CloudStores


def view_schema(view: FeatureView) -> dict[str, str]:
    """Columns of a feature view's files with their Arrow types."""
    return {view.join_key: view.join_key_type, "event_timestamp": "timestamp[us, tz=UTC]", **view.features}


def compute_task(
    workload: Workload, stores: CloudStores, location: str, task: Mapping[str, Any], profile: str, wanted: str, run_id: str
) -> dict[str, Any]:
    """What a worker does: features of a snapshot of raw data, stored and not yet current."""
    raw = stores.snapshots(workload, location, "raw_data").manifest(task["raw_data"])
    done = commit_features(workload, stores, location, raw, epoch=task["epoch"], verify=task["verify"], publish=False)
    return {"snapshot": done.snapshot_id}


def commit_features(
    workload: Workload, stores: CloudStores, location: str, raw: Manifest, *, epoch: int, verify: bool, publish: bool = True
) -> Manifest:
    """Compute the features of this raw data, store them here, and make them current unless `publish` is false."""
    from pyarrow import parquet  # noqa: PLC0415 - only when features are computed

    from mcml_assets.features.compute import compute_features  # noqa: PLC0415 - pandas, only when features are computed
    from mcml_assets.features.tables import read_tables  # noqa: PLC0415 - the same

    watermark = snapshot_watermark(raw)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stores.snapshots(workload, location, "raw_data").fetch(raw, folder / "raw")
        tables, ray = read_tables(workload, folder / "raw"), stores.topology.location(location).compute.ray
        files = compute_features(workload, tables, watermark, folder / "features", ray=ray)
        return (
            stores.snapshots(workload, location, "feature_snapshot")
            .commit(
                files,
                tables_schema={view.name: view_schema(view) for view in workload.features.views},
                row_count=sum(parquet.read_metadata(file).num_rows for file in files.values()),
                watermark=raw.watermark,
                parents={"raw_data": raw.snapshot_id},
                code_version=code_version(workload),
                epoch=epoch,
                producer=location,
                created_at=now(),
                # By these the locations' features are compared without reading any.
                annotations={
                    ANNOTATION: annotation(view_digests(workload, files)),
                    CONTRACT: raw.annotations.get(CONTRACT, FIRST_VERSION),
                },
                limits=stores.limits,
                verify=verify,
                publish=publish,
            )
            .manifest
        )


def feast_repository(workload: Workload, stores: CloudStores, location: str, manifest: Manifest) -> FeastRepository:
    """The location's Feast repository of this snapshot; built, and made the current one, where it is not there yet."""
    from mcml_assets.features.feast_store import publish  # noqa: PLC0415 - feast, 1.5 s, only when published

    try:
        repository = current_repository(repositories_folder(stores.settings, location, workload.name))
    except ObjectNotFound:
        repository = None
    if repository is not None and repository.snapshot_id == manifest.snapshot_id:
        return repository
    with TemporaryDirectory() as scratch:
        files = stores.snapshots(workload, location, "feature_snapshot").fetch(manifest, Path(scratch))
        return publish(workload, location, manifest.snapshot_id, files, snapshot_watermark(manifest), stores.settings)
