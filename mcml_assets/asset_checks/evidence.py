"""`evidence`: every blocking check upstream of an endpoint ran about the very snapshots it serves from, and passed.

Asks Dagster's records, so that nothing is taken for checked because it was not checked. A missing result has failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.verdict import unreadable
from mcml_assets.declaration import DATA_VERSION_TAG, asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

CHECK = "evidence"
HISTORY = 25  # how many results of one check and partition are looked through for the one about a snapshot
WAIT_SECONDS = 60.0
POLL_SECONDS = 2.0
MARKS = {"passed": "✓", "failed": "✗", "missing": "?", "running": "…"}


@dataclass(frozen=True, slots=True)
class Required:
    """A check that has to have passed: where, and about which snapshot."""

    key: dg.AssetCheckKey
    partition: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the records say of a required check: `passed`, `failed`, `missing`, or `running`."""

    required: Required
    state: str
    run_id: str = ""


def build_evidence(workload: Workload, checked: Sequence[dg.AssetsDefinition]) -> dg.AssetChecksDefinition:
    """The `evidence` check of an endpoint; `checked` are the workload's assets and checks, whose blocking checks count."""
    blocking = [spec.key for definition in checked for spec in definition.check_specs if spec.blocking]

    @partitioned_check(
        asset_key(workload, "endpoint"),
        CHECK,
        "Each blocking check upstream ran about the very snapshots that this endpoint serves from, and passed; a missing "
        "result counts as failed.",
        by_location(workload),
    )
    def evidence(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            held = {noun: _held(workload, stores, location, noun) for noun in ("raw_data", "feature_snapshot", "model")}
        except McmlError as error:
            return unreadable(error)
        lacking = [noun for noun, manifest in held.items() if manifest is None]
        if lacking:
            return unreadable(f"{location} holds no {', '.join(lacking)}")
        snapshots = {noun: manifest for noun, manifest in held.items() if manifest is not None}
        required = list(dict.fromkeys(_required(workload, location, blocking, snapshots)))
        return _result(location, snapshots["model"], _when_settled(context.instance, required))

    return evidence


def _held(workload: Workload, stores: CloudStores, location: str, noun: str) -> Manifest | None:
    return stores.snapshots(workload, location, noun).current()


def _required(
    workload: Workload, location: str, blocking: Sequence[dg.AssetCheckKey], held: Mapping[str, Manifest]
) -> Iterator[Required]:
    """What is served here: the model, the features that are online, and the raw data here. And what the model learnt from."""
    jurisdiction = workload.placed(location).location.jurisdiction
    model = held["model"]
    about = {
        "landing": [(jurisdiction, held["raw_data"].snapshot_id)],
        "raw_data": [(location, held["raw_data"].snapshot_id)],
        "feature_snapshot": [
            (location, held["feature_snapshot"].snapshot_id),
            (model.producer, model.parents["feature_snapshot"]),
        ],
        "training_run": [(jurisdiction, model.snapshot_id)],
        "model": [(location, model.snapshot_id)],
    }
    for key in blocking:
        for partition, snapshot in about.get(key.asset_key.path[-1], ()):
            yield Required(key, partition, snapshot)


def _when_settled(instance: dg.DagsterInstance, required: Sequence[Required]) -> list[Found]:
    """What the records say, once checks that are running now have ended, or too long a time is over."""
    deadline = monotonic() + WAIT_SECONDS
    while True:
        found = [_find(instance, one) for one in required]
        if not any(one.state == "running" for one in found) or monotonic() > deadline:
            return found
        sleep(POLL_SECONDS)


def _find(instance: dg.DagsterInstance, required: Required) -> Found:
    # The filter is the public storage method's argument, and is exported nowhere else.
    from dagster._core.event_api import PartitionKeyFilter  # noqa: PLC0415

    records = instance.event_log_storage.get_asset_check_execution_history(
        required.key, limit=HISTORY, partition_filter=PartitionKeyFilter(key=required.partition)
    )
    running = False
    for record in records:
        evaluation = record.evaluation
        # Of a check that is planned, or whose run ended before it came to it, this is another class, or nothing.
        if not isinstance(evaluation, dg.AssetCheckEvaluation):
            running = running or _is_running(instance, record.run_id)
        elif _about(instance, required, evaluation):
            return Found(required, "passed" if evaluation.passed else "failed", record.run_id)
    return Found(required, "running" if running else "missing")


def _is_running(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished


def _about(instance: dg.DagsterInstance, required: Required, evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether a result is about the snapshot: it says so itself, or it is tied to that snapshot's materialization."""
    said = evaluation.metadata.get("snapshot")
    if said is not None:
        return str(said.value) == required.snapshot[:12]
    target = evaluation.target_materialization_data
    if target is None:
        return False
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(required.key.asset_key, storage_ids=[target.storage_id]), limit=1
    ).records
    tags: Mapping[str, Any] = (found[0].asset_materialization.tags or {}) if found and found[0].asset_materialization else {}
    return tags.get(DATA_VERSION_TAG) == required.snapshot


def _result(location: str, model: Manifest, found: Sequence[Found]) -> dg.AssetCheckResult:
    counts = {state: sum(one.state == state for one in found) for state in MARKS}
    wanting = [one for one in found if one.state != "passed"]
    told = (
        f"All {len(found)} blocking checks upstream passed, about the snapshots that {location} serves from."
        if found and not wanting
        else f"{location} serves without evidence: "
        + "; ".join(
            f"{one.required.key.asset_key.path[-1]} {one.required.key.name} {one.state} in {one.required.partition}"
            for one in wanting
        )
        + ". Run these checks again, or mend what they found."
    )
    lines = ["| | asset | check | where | snapshot | |", "|---|---|---|---|---|---|"]
    for one in sorted(found, key=lambda one: one.state == "passed"):
        required = one.required
        lines.append(
            f"| {MARKS[one.state]} | {required.key.asset_key.path[-1]} | {required.key.name} | {required.partition} "
            f"| {required.snapshot[:12]} | {one.state} |"
        )
    return dg.AssetCheckResult(
        passed=bool(found) and not wanting,
        description=told,
        metadata={
            "snapshot": model.snapshot_id[:12],
            "required_checks": len(found),
            "passed_checks": counts["passed"],
            "failed_checks": counts["failed"],
            "missing_checks": counts["missing"] + counts["running"],
            "report": dg.MetadataValue.md("\n".join(lines)),
        },
    )
