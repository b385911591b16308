"""`replication_lag`: for how long this location has lacked the acting location's newest snapshot, against the RPO.

Warns and blocks nothing: a location that lags is not wrong. What lag is, `domain/lag.py` says; `mcml status` shows it too.
"""

from datetime import UTC, datetime

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.verdict import unreadable
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.lag import replication_lag
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import originals
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

CHECK = "replication_lag"
# Where the newest snapshot of each asset is made, at the acting location.
ORIGINS = {"raw_data": "landing", "feature_snapshot": "feature_snapshot", "model": "training_run"}
COMPUTED = "feature_snapshot"


def build_replication_lag(workload: Workload, noun: str) -> dg.AssetChecksDefinition:
    """The `replication_lag` check of one snapshot asset, per location."""

    @partitioned_check(
        asset_key(workload, noun),
        CHECK,
        f"This location holds the acting location's newest snapshot, or has lacked it for less than {workload.rpo_seconds} s, "
        "the recovery point objective. An unknown lag fails.",
        by_location(workload),
        blocking=False,
    )
    def lag(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        return lag_result(workload, stores, context.partition_key, noun)

    return lag


def lag_result(workload: Workload, stores: CloudStores, location: str, noun: str) -> dg.AssetCheckResult:
    """The lag of one location now."""
    try:
        acting = stores.acting(workload, workload.placement_of(location).jurisdiction).location
        origin = (
            stores.snapshots(workload, acting, noun)
            if noun == COMPUTED
            else originals(workload, acting, ORIGINS[noun], stores.snapshots)
        )
        newest = origin.current_pointer()
        own = stores.snapshots(workload, location, noun)
        holds_newest = (
            newest is not None
            and (pointer := own.current_pointer()) is not None
            and (
                # Features are computed here and there, and may differ within tolerances: being up to date is a matter of time.
                own.manifest(pointer.snapshot_id).watermark == origin.manifest(newest.snapshot_id).watermark
                if noun == COMPUTED
                else pointer.snapshot_id == newest.snapshot_id
            )
        )
    except McmlError as error:
        return _result(None, workload.rpo_seconds, str(error))
    seconds = replication_lag(holds_newest, newest.committed_at if newest else None, datetime.now(UTC))
    return _result(seconds, workload.rpo_seconds, f"{acting} has no {ORIGINS[noun]} yet" if seconds is None else None)


def _result(seconds: float | None, rpo_seconds: int, unknown_because: str | None) -> dg.AssetCheckResult:
    if seconds is None:
        result = unreadable(f"the lag is unknown: {unknown_because}")
        return result._replace(severity=dg.AssetCheckSeverity.WARN, metadata={**result.metadata, "rpo_seconds": rpo_seconds})
    return dg.AssetCheckResult(
        passed=seconds <= rpo_seconds,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"lags {seconds:.0f} s behind; the RPO is {rpo_seconds} s. The next copy follows by itself.",
        metadata={"replication_lag_seconds": seconds, "rpo_seconds": rpo_seconds, "share_of_rpo": seconds / rpo_seconds},
    )
