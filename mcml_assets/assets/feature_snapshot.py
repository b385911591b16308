"""`feature_snapshot`: features of the local raw data, registered with Feast and loaded into the online store.

What a feature is, the user says; how the function is called and its result stored is `features/`'s business.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import dagster as dg

from mcml_assets.assets.copying import CopyConfig, copy_here
from mcml_assets.assets.failures import typed_failures
from mcml_assets.automation import ACTING_TAG, when_upstream_published
from mcml_assets.declaration import asset_key, code_version, column_schema, declared, now, published
from mcml_assets.domain.acting import Acting, computes_features
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.snapshot import CONTRACT, Manifest, snapshot_watermark
from mcml_assets.domain.workload import FIRST_VERSION, FeatureView, Workload
from mcml_assets.features.digests import ANNOTATION, annotation, view_digests
from mcml_assets.features.repositories import FeastRepository, current_repository, repositories_folder
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.store import SnapshotStore

COPY_WAIT_SECONDS = 120
COPY_POLL_SECONDS = 2


def build_feature_snapshot(workload: Workload) -> dg.AssetsDefinition:
    """The `feature_snapshot` asset of a workload."""

    @dg.asset(
        **declared(workload, "feature_snapshot"),
        deps=[asset_key(workload, "raw_data")],
        partitions_def=by_location(workload),
        automation_condition=when_upstream_published(),
        kinds={"feast", "parquet"},
    )
    def feature_snapshot(context: dg.AssetExecutionContext, config: CopyConfig, stores: CloudStores) -> dg.MaterializeResult:
        """Features per entity and as-of date, computed from this location's own raw data.

        One partition per location; the acting location and warm standbys compute, cold standbys copy. Guarantee: a
        feature as of a date uses nothing that happened later; the Feast repository and the online store answer from
        exactly this snapshot, and switch to the next one at once.
        """
        location = context.partition_key
        placement = workload.placement_of(location)
        began = monotonic()
        with typed_failures(stores, workload):
            acting = stores.acting(workload, placement.jurisdiction)
            if location == acting.location:
                context.instance.add_run_tags(context.run.run_id, {ACTING_TAG: str(acting.epoch)})
            raw = _raw_data(workload, stores, location)
            found = (
                None if computes_features(placement, acting, location) else _computed(workload, stores, location, acting, raw)
            )
            if found is not None:
                source, manifest = found
                copied = copy_here(
                    context, stores, workload, "feature_snapshot", source, manifest, epoch=acting.epoch, verify=config.verify
                )
            else:
                if not computes_features(placement, acting, location):
                    context.log.warning("nobody published features of this raw data in time: computing them here")
                manifest, copied = _compute(workload, stores, location, acting, raw, config.verify), {}
            feast_repository(workload, stores, location, manifest)
        return published(
            manifest,
            {
                **copied,
                "seconds": monotonic() - began,
                "raw_data": raw.snapshot_id[:12],
                "dagster/column_schema": column_schema(view_schema(workload.features.views[0])),
            },
        )

    return feature_snapshot


def view_schema(view: FeatureView) -> dict[str, str]:
    """Columns of a feature view's files with their Arrow types."""
    return {view.join_key: view.join_key_type, "event_timestamp": "timestamp[us, tz=UTC]", **view.features}


def _raw_data(workload: Workload, stores: CloudStores, location: str) -> Manifest:
    raw = stores.snapshots(workload, location, "raw_data").current()
    if raw is None:
        raise ObjectNotFound(f"{location} holds no raw data of {workload.name} yet")
    return raw


def _compute(workload: Workload, stores: CloudStores, location: str, acting: Acting, raw: Manifest, verify: bool) -> Manifest:
    from pyarrow import parquet  # noqa: PLC0415 - only when features are computed

    from mcml_assets.features.compute import compute_features  # noqa: PLC0415 - pandas, only when features are computed
    from mcml_assets.features.tables import read_tables  # noqa: PLC0415 - the same

    watermark = snapshot_watermark(raw)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        stores.snapshots(workload, location, "raw_data").fetch(raw, folder / "raw")
        files = compute_features(workload, read_tables(workload, folder / "raw"), watermark, folder / "features")
        return (
            _snapshots(workload, stores, location)
            .commit(
                files,
                tables_schema={view.name: view_schema(view) for view in workload.features.views},
                row_count=sum(parquet.read_metadata(file).num_rows for file in files.values()),
                watermark=raw.watermark,
                parents={"raw_data": raw.snapshot_id},
                code_version=code_version(workload),
                epoch=acting.epoch,
                producer=location,
                created_at=now(),
                # By these the locations' features are compared without reading any.
                annotations={
                    ANNOTATION: annotation(view_digests(workload, files)),
                    CONTRACT: raw.annotations.get(CONTRACT, FIRST_VERSION),
                },
                limits=stores.limits,
                verify=verify,
            )
            .manifest
        )


def _computed(
    workload: Workload, stores: CloudStores, location: str, acting: Acting, raw: Manifest
) -> tuple[SnapshotStore, Manifest] | None:
    """The features of the same raw data, and whoever computed them, the acting location asked first.

    At a new landing all locations start at once, so the computing ones may need a moment; None when none of them
    published in time, because they are down or their manifest names other raw data that gave the same features.
    """
    deadline = monotonic() + COPY_WAIT_SECONDS
    while True:
        for peer in _peers(workload, location, acting):
            source = _snapshots(workload, stores, peer)
            manifest = _current(source)
            if manifest is not None and manifest.parents["raw_data"] == raw.snapshot_id:
                return source, manifest
        if monotonic() > deadline:
            return None
        sleep(COPY_POLL_SECONDS)


def _peers(workload: Workload, location: str, acting: Acting) -> list[str]:
    others = [placed.key for placed in workload.placement_of(location).locations if placed.key != location]
    return sorted(others, key=lambda key: key != acting.location)


def _current(source: SnapshotStore) -> Manifest | None:
    try:
        return source.current()
    except McmlError:
        return None  # an unreachable peer is no reason to stop asking the others


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
        files = _snapshots(workload, stores, location).fetch(manifest, Path(scratch))
        return publish(workload, location, manifest.snapshot_id, files, snapshot_watermark(manifest), stores.settings)


def _snapshots(workload: Workload, stores: CloudStores, location: str) -> SnapshotStore:
    return stores.snapshots(workload, location, "feature_snapshot")
