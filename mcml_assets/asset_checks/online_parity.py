"""`online_parity`: the online store answers what this location's offline snapshot holds, for a sample of entities."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.verdict import unreadable
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.snapshot import Manifest, snapshot_watermark
from mcml_assets.domain.workload import Workload
from mcml_assets.features.online import OnlineReader
from mcml_assets.features.repositories import repositories_folder
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.features.online_sample import OnlineDifference

CHECK = "online_parity"
SAMPLE = 64  # a store in which 5 % of the entities are wrong is found with a probability of 96 %


def build_online_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """Online and offline features are the same, so that a prediction uses what training saw."""

    @partitioned_check(
        asset_key(workload, "feature_snapshot"),
        CHECK,
        f"The online store here was built from this location's current snapshot, and answers what that holds for {SAMPLE} "
        "entities, chosen by the snapshot's id.",
        by_location(workload),
    )
    def online_parity(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        folder = repositories_folder(stores.settings, location, workload.name)
        reader = OnlineReader(workload.features.entity, workload.features.views, folder)
        try:
            manifest = stores.snapshots(workload, location, "feature_snapshot").current()
            if manifest is None:
                return unreadable(f"{location} holds no features")
            served = reader.snapshot_id
            if served != manifest.snapshot_id:
                current = manifest.snapshot_id[:12]
                return unreadable(f"{location} serves stale features online: {served[:12]}; its current snapshot is {current}")
            return _result(location, manifest, _compare(workload, stores, location, manifest, reader))
        except McmlError as error:
            return unreadable(error)

    return online_parity


def _compare(
    workload: Workload, stores: CloudStores, location: str, manifest: Manifest, reader: OnlineReader
) -> "OnlineDifference":
    from mcml_assets.features.online_sample import compare_online  # noqa: PLC0415 - pyarrow, only when features are read

    with TemporaryDirectory() as scratch:
        files = stores.snapshots(workload, location, "feature_snapshot").fetch(manifest, Path(scratch))
        return compare_online(workload, files, snapshot_watermark(manifest), manifest.snapshot_id, reader, SAMPLE)


def _result(location: str, manifest: Manifest, found: "OnlineDifference") -> dg.AssetCheckResult:
    if not found.sampled:
        told = f"{location} has features of no entity: there is nothing to serve"
    elif found.agrees:
        told = f"{location} answers online what the snapshot holds, for {found.sampled} of {found.entities} entities."
    else:
        told = (
            f"{location} answers otherwise than the snapshot: {found.unknown} of {found.sampled} entities are unknown online, "
            f"{len(found.differing)} features differ. Materialize feature_snapshot here to load the store anew."
        )
    rows = [f"| {feature} | {count} of {found.sampled} |" for feature, count in sorted(found.differing.items())]
    return dg.AssetCheckResult(
        passed=found.agrees,
        description=told,
        metadata={
            "snapshot": manifest.snapshot_id[:12],
            "entities": found.entities,
            "sampled_entities": found.sampled,
            "unknown_entities": found.unknown,
            "differing_features": len(found.differing),
            **({"largest_difference": found.largest} if found.largest is not None else {}),
            "report": dg.MetadataValue.md(
                "\n".join(["| feature | entities that differ |", "|---|---:|", *rows]) if rows else told
            ),
        },
    )
