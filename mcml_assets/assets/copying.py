"""How an asset that is a copy brings its snapshot here: from whom, within which bounds, and what the run tells of it.

The copying itself is `snapshots/replication.py`'s business, whose turn it is the asset's.
"""

from datetime import datetime
from time import monotonic
from typing import Any

import dagster as dg
from pydantic import Field

from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.replication import CopyReport, Progress, replicate
from mcml_assets.snapshots.store import SnapshotStore

PROGRESS_SECONDS = 5.0


class CopyConfig(dg.Config):
    """What a person may ask of a run that copies, in the launchpad."""

    verify: bool = Field(
        default=False,
        description="Read every file that the location holds already, and copy the damaged ones anew: the remedy for a "
        "failed `integrity` check.",
    )


def copy_here(
    context: dg.AssetExecutionContext,
    stores: CloudStores,
    workload: Workload,
    noun: str,
    source: SnapshotStore,
    manifest: Manifest,
    *,
    epoch: int,
    verify: bool,
) -> dict[str, Any]:
    """Make `manifest` current in the run's own location, and return what people want to see of the copy.

    The other locations of the placement help out where the source's files are damaged. Raises as `replicate` does.
    """
    location = context.partition_key
    target = stores.snapshots(workload, location, noun)
    others = [
        stores.snapshots(workload, placed.key, noun)
        for placed in workload.placement_of(location).locations
        if placed.key not in (location, source.location)
    ]
    report = replicate(
        source,
        target,
        manifest,
        epoch=epoch,
        others=others,
        limits=stores.limits,
        verify=verify,
        progress=progress_lines(context),
    )
    context.log.info(
        "%s holds snapshot %s: copied %d files (%d bytes, %.0f MB/s), %d were there already",
        location, manifest.snapshot_id[:12], report.files, report.bytes, report.megabytes_per_second, report.skipped_files,
    )  # fmt: skip
    return {**_copied(report), "source": source.location, **_lag(source, target)}


def progress_lines(context: dg.AssetExecutionContext) -> Progress:
    """A line in the run's log every few seconds, and none for a copy that takes less."""
    told = monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if monotonic() - told >= PROGRESS_SECONDS:
            told = monotonic()
            context.log.info("copied %d of %d MB (%.0f %%)", done // 10**6, total // 10**6, 100 * done / max(total, 1))

    return tell


def _copied(report: CopyReport) -> dict[str, Any]:
    cost = "unknown" if report.egress_cost is None else float(report.egress_cost)
    return {
        "copied_bytes": report.bytes,
        "copied_files": report.files,
        "server_side_bytes": report.server_side_bytes,
        "reused_bytes": report.skipped_bytes,
        "reused_files": report.skipped_files,
        "retried_files": report.retried,
        "seconds": report.seconds,
        "megabytes_per_second": report.megabytes_per_second,
        "requests": report.requests,
        "egress_bytes": report.egress_bytes,
        f"egress_cost_{report.currency}" if report.currency else "egress_cost": cost,
    }


def _lag(source: SnapshotStore, target: SnapshotStore) -> dict[str, float]:
    """For how long the location lacked what the source had: from the commit there to the arrival here, in seconds."""
    committed, arrived = source.current_pointer(), target.current_pointer()
    if committed is None or arrived is None or committed.snapshot_id != arrived.snapshot_id:
        return {}  # the source went on meanwhile: the next copy tells
    lag = datetime.fromisoformat(arrived.committed_at) - datetime.fromisoformat(committed.committed_at)
    return {"replication_lag_seconds": max(0.0, lag.total_seconds())}
