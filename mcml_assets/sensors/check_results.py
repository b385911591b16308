"""Failed checks as sensors read them: of runs that ended since the last tick, found with one query when none did."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from mcml_assets.domain.workload import Workload
from mcml_assets.sensors.failures import Seen, new_runs

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
FAILED = ("FAILED", "EXECUTION_FAILED")


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """The latest result of one check in one partition, which did not pass.

    `level` is its severity (`WARN`, `ERROR`), `metadata` its plain values, `run_id` the run that gave it.
    """

    workload: str
    noun: str
    check: str
    partition: str
    level: str
    metadata: Mapping[str, Any]
    run_id: str


def new_failed_checks(
    instance: dg.DagsterInstance,
    seen: Seen | None,
    workloads: Mapping[str, Workload],
    wanted: Mapping[str, Collection[str]],
    everything_jobs: Collection[str] = (),
    now: float = 0.0,
) -> tuple[list[FailedCheck], Seen]:
    """Checks that failed in runs which ended since `seen`; `wanted` are nouns by the check's name.

    Runs of `everything_jobs` report checks of all workloads. Without `seen`, from now on: what failed earlier is on record.
    """
    if seen is None:
        return [], Seen(now)
    fresh, seen = new_runs(instance, seen, ENDED)
    if not fresh:
        return [], seen
    runs = {record.dagster_run.run_id for record in fresh}
    keys = _check_keys([record.dagster_run for record in fresh], workloads, wanted, everything_jobs)
    infos = instance.event_log_storage.get_asset_check_partition_info(keys) if keys else ()
    failed = [
        _failed(instance, info.check_key, info.partition_key, info.latest_planned_run_id)
        for info in infos
        if info.partition_key is not None
        and info.latest_execution_status.value in FAILED
        and info.latest_planned_run_id in runs
    ]
    return failed, seen


def _check_keys(
    runs: Sequence[dg.DagsterRun],
    workloads: Mapping[str, Workload],
    wanted: Mapping[str, Collection[str]],
    everything_jobs: Collection[str],
) -> list[dg.AssetCheckKey]:
    """The wanted checks of the assets that these runs are about."""
    if any(run.job_name in everything_jobs for run in runs):
        assets = {(name, noun) for name in workloads for nouns in wanted.values() for noun in nouns}
    else:
        selected = {key for run in runs for key in run.asset_selection or () if len(key.path) > 1}
        selected |= {key.asset_key for run in runs for key in run.asset_check_selection or ()}
        assets = {(key.path[0], key.path[1]) for key in selected if key.path[0] in workloads}
    return [
        dg.AssetCheckKey(dg.AssetKey([workload, noun]), check)
        for check, nouns in wanted.items()
        for workload, noun in sorted(assets)
        if noun in nouns
    ]


def _failed(instance: dg.DagsterInstance, key: dg.AssetCheckKey, partition: str, run_id: str) -> FailedCheck:
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    level, metadata = "ERROR", {}
    for record in history:
        evaluation = record.evaluation if record.run_id == run_id else None
        # Of a check that is only planned this is another class.
        if isinstance(evaluation, dg.AssetCheckEvaluation) and evaluation.partition == partition:
            level = evaluation.severity.value
            metadata = {name: value.value for name, value in evaluation.metadata.items()}
            break
    return FailedCheck(key.asset_key.path[0], key.asset_key.path[1], key.name, partition, level, metadata, run_id)
