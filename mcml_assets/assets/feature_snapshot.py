"""`feature_snapshot`: features of the local raw data, registered with Feast and loaded into the online store.

What a feature is, the user says; how the function is called and its result stored is `feature_work.py`'s and `features/`'s
business.
"""

from time import monotonic, sleep
from typing import Any

import dagster as dg

from mcml_assets.assets.copying import CopyConfig, copy_here
from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.feature_work import commit_features, feast_repository, view_schema
from mcml_assets.automation import ACTING_TAG, when_upstream_published
from mcml_assets.compute.work import do_work
from mcml_assets.declaration import asset_key, column_schema, declared, published
from mcml_assets.domain.acting import Acting, computes_features
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
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
                manifest, copied = _compute(context, workload, stores, location, acting, raw, config.verify)
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


def _raw_data(workload: Workload, stores: CloudStores, location: str) -> Manifest:
    raw = stores.snapshots(workload, location, "raw_data").current()
    if raw is None:
        raise ObjectNotFound(f"{location} holds no raw data of {workload.name} yet")
    return raw


def _compute(
    context: dg.AssetExecutionContext,
    workload: Workload,
    stores: CloudStores,
    location: str,
    acting: Acting,
    raw: Manifest,
    verify: bool,
) -> tuple[Manifest, dict[str, Any]]:
    """Features computed here, and by which profile: by this very process unless the workload names one."""
    wanted = workload.features.compute_profile
    if wanted is None:
        return commit_features(workload, stores, location, raw, epoch=acting.epoch, verify=verify), {}
    task = {"raw_data": raw.snapshot_id, "epoch": acting.epoch, "verify": verify}
    done = do_work(context, stores, workload, "feature_snapshot", location, wanted, task)
    return _snapshots(workload, stores, location).publish(done.result["snapshot"], acting.epoch), done.metadata


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


def _snapshots(workload: Workload, stores: CloudStores, location: str) -> SnapshotStore:
    return stores.snapshots(workload, location, "feature_snapshot")
