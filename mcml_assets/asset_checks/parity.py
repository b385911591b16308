"""`parity`: a location holds what the acting location holds. Compares snapshot ids; reads no data."""

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import originals
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores


def build_raw_data_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """`raw_data` is the snapshot that the acting location landed."""
    return _build_parity(workload, noun="raw_data", origin="landing")


def build_model_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """`model` is the package that the acting location trained."""
    return _build_parity(workload, noun="model", origin="training_run")


def _build_parity(workload: Workload, noun: str, origin: str) -> dg.AssetChecksDefinition:
    @partitioned_check(
        asset_key(workload, noun),
        "parity",
        f"The snapshot here is the one of `{origin}` at the acting location.",
        by_location(workload),
    )
    def parity(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            acting = stores.acting(workload, workload.placement_of(location).jurisdiction)
            here = stores.snapshots(workload, location, noun).current_pointer()
            there = originals(workload, acting.location, origin, stores.snapshots).current_pointer()
        except McmlError as error:
            return dg.AssetCheckResult(passed=False, metadata={"problem": str(error), "error": type(error).__name__})
        return dg.AssetCheckResult(
            passed=here is not None and there is not None and here.snapshot_id == there.snapshot_id,
            metadata={
                "here": here.snapshot_id[:12] if here else "nothing",
                "acting_location": acting.location,
                "there": there.snapshot_id[:12] if there else "nothing",
            },
        )

    return parity
