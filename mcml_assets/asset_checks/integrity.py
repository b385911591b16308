"""`integrity`: the bytes a location stores are the bytes its manifest promises."""

from collections.abc import Sequence

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.verdict import unreadable
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores


def build_integrity(workload: Workload, noun: str) -> dg.AssetChecksDefinition:
    """The `integrity` check of one snapshot asset, per location."""

    @partitioned_check(
        asset_key(workload, noun), "integrity", "Every stored file has the manifest's digest.", by_location(workload)
    )
    def integrity(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            snapshots = stores.snapshots(workload, location, noun)
            manifest = snapshots.current()
            mismatches = snapshots.verify(manifest) if manifest else ()
        except McmlError as error:
            # What cannot be read is not sound, whatever the reason.
            return unreadable(error)
        if manifest is None:
            return unreadable(f"{location} holds no snapshot")
        return dg.AssetCheckResult(
            passed=not mismatches,
            description=_told(noun, location, len(mismatches), len(manifest.files)),
            metadata={
                "snapshot": manifest.snapshot_id[:12],
                "files": len(manifest.files),
                "bytes": manifest.size,
                "corrupt_files": len(mismatches),
                "report": integrity_report(noun, location, [str(mismatch) for mismatch in mismatches]),
            },
        )

    return integrity


def _told(noun: str, location: str, corrupt: int, files: int) -> str:
    if not corrupt:
        return f"All {files} files of {noun} in {location} are what the manifest promises."
    return (
        f"{corrupt} of {files} files of {noun} in {location} are not what the manifest promises. What is downstream waits; the "
        "repair sensor has this location copy them anew from one that holds them sound, twice at most, and then asks a person."
    )


def integrity_report(noun: str, location: str, findings: Sequence[str]) -> dg.MarkdownMetadataValue:
    """What was found wrong, a line each, and how to mend it."""
    if not findings:
        return dg.MetadataValue.md("No difference.")
    remedy = f"Materialize `{noun}` in {location} with `verify: true` in the launchpad: it stores the damaged files anew."
    return dg.MetadataValue.md("\n".join([*(f"- {finding}" for finding in findings), "", remedy]))
