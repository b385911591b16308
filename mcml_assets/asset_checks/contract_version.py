"""`contract_version`: what lands has the version of the contract that readers know; it never blocks, and it is alerted.

A version with a new first number is a decision that was taken and is not wrong, but whoever reads the data has to know it:
the check fails for the first snapshot under it, and passes again from the next one on. It also fails where no version is
exported, for then nobody could tell a change that breaks readers.
"""

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check_spec
from mcml_assets.configuration.contract_files import exported_versions, read_contract
from mcml_assets.domain.contract import breaks, changes
from mcml_assets.domain.snapshot import CONTRACT, Manifest
from mcml_assets.domain.workload import FIRST_VERSION, Workload

CHECK = "contract_version"
TOLD = 5


def contract_version(manifest: Manifest) -> str:
    """The version that a snapshot was judged under when it landed."""
    return manifest.annotations.get(CONTRACT, FIRST_VERSION)


def contract_version_check(asset: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The spec of the check, whose result `landing` yields."""
    promise = "The contract has an exported version, and breaks nobody who reads what landed before."
    return partitioned_check_spec(asset, CHECK, promise, partitions, blocking=False)


def contract_version_result(
    check: dg.AssetCheckSpec, workload: Workload, version: str, former: Manifest | None
) -> dg.AssetCheckResult:
    """What the step from the former snapshot's version to this one means for readers."""
    before = contract_version(former) if former is not None else version
    problem = _problem(workload, before, version, former)
    return dg.AssetCheckResult(
        passed=problem is None,
        check_name=check.name,
        asset_key=check.asset_key,
        severity=dg.AssetCheckSeverity.WARN,
        description=problem or f"Version {version} breaks nobody who reads version {before}.",
        metadata={
            "contract_version": version,
            "former_version": before,
            **({"problem": problem} if problem is not None else {}),
        },
    )


def _problem(workload: Workload, before: str, version: str, former: Manifest | None) -> str | None:
    exported = exported_versions(workload.directory)
    if not exported:
        return (
            "No version of the contract is exported, so a change that breaks readers would go unseen: run "
            f"`mcml contract export {workload.name}` and commit what it writes."
        )
    if former is None or not breaks(before, version):
        return None
    told = ""
    if before in exported and version in exported:
        found = changes(read_contract(exported[before]), read_contract(exported[version]))
        breaking = [str(change).removesuffix(" (breaking)") for change in found if change.breaking]
        told = f": {'; '.join(breaking[:TOLD])}{'; …' if len(breaking) > TOLD else ''}"
    return (
        f"Contract {version} breaks {before}{told}. Whoever reads the data has to follow. Snapshots of {before} stay readable; "
        f"the last one is {former.snapshot_id[:12]}."
    )
