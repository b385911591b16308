"""Runs that ended, as sensors read them: new ones only, all of them with one query; failed ones classified by their tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from mcml_assets.automation import ERROR_TAG, UNAVAILABLE_TAG
from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.domain.workload import Workload

PARTITION_TAG = "dagster/partition"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"
READ_AT_ONCE = 500
OVERLAP = timedelta(seconds=2)
"""Storage timestamps may be equal or a little out of order; ids tell what was read already."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far failed runs were read: up to when (Unix seconds), and the ids of the last ones."""

    until: float
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFailure:
    """A failed run of one workload in one jurisdiction; `partition` is that, or the location for which it worked.

    `error` is the class of its typed error and None where it left none, because its process was killed or its code
    broke; `unavailable` is the location that it could not reach; `ended` is in Unix seconds.
    """

    run_id: str
    workload: str
    jurisdiction: str
    partition: str
    error: str | None
    unavailable: str | None
    ended: float

    def blames(self, location: str) -> bool:
        """Whether it failed because this location is unavailable."""
        return self.error == LocationUnavailable.__name__ and self.unavailable == location

    def knows(self, location: str) -> bool:
        """Whether it worked for this very location: one elsewhere may only be parted from it."""
        return self.partition in (location, self.jurisdiction)


def new_failures(
    instance: dg.DagsterInstance, seen: Seen | None, workloads: Mapping[str, Workload], now: float
) -> tuple[list[RunFailure], Seen]:
    """Failures since `seen`, oldest first; at most `READ_AT_ONCE` at once, the rest follows. Without `seen`, from now on."""
    if seen is None:
        return [], Seen(now)
    fresh, seen = new_runs(instance, seen, [dg.DagsterRunStatus.FAILURE])
    # Dagster touches a failed run once more when it made its retry: then that one speaks for it.
    waiting = [record for record in fresh if RETRIED_BY_TAG not in record.dagster_run.tags]
    return [failure for record in waiting for failure in _failures_of(record, workloads)], seen


def new_runs(
    instance: dg.DagsterInstance, seen: Seen, statuses: Sequence[dg.DagsterRunStatus]
) -> tuple[list[dg.RunRecord], Seen]:
    """Runs that came into one of these (final) statuses since `seen`, oldest first; at most `READ_AT_ONCE` at once."""
    after = datetime.fromtimestamp(seen.until, UTC) - OVERLAP
    records = instance.get_run_records(
        dg.RunsFilter(statuses=list(statuses), updated_after=after),
        limit=READ_AT_ONCE, order_by="update_timestamp", ascending=True,
    )  # fmt: skip
    fresh = [record for record in records if record.dagster_run.run_id not in seen.run_ids]
    if not fresh:
        return [], seen
    until = max(record.update_timestamp.timestamp() for record in fresh)
    recent = [record for record in records if record.update_timestamp.timestamp() > until - 2 * OVERLAP.total_seconds()]
    return fresh, Seen(until, tuple(record.dagster_run.run_id for record in recent))


def _failures_of(record: dg.RunRecord, workloads: Mapping[str, Workload]) -> Sequence[RunFailure]:
    run = record.dagster_run
    partition = run.tags.get(PARTITION_TAG)
    names = sorted({key.path[0] for key in run.asset_selection or () if len(key.path) > 1})
    found = []
    for workload in (workloads[name] for name in names if name in workloads):
        jurisdiction = _jurisdiction(workload, partition)
        if jurisdiction is not None:
            found.append(
                RunFailure(
                    run.run_id, workload.name, jurisdiction, partition or "", run.tags.get(ERROR_TAG),
                    run.tags.get(UNAVAILABLE_TAG), record.end_time or record.update_timestamp.timestamp(),
                )
            )  # fmt: skip
    return found


def _jurisdiction(workload: Workload, partition: str | None) -> str | None:
    if partition in workload.jurisdictions:
        return partition
    return next((placed.location.jurisdiction for placed in workload.locations if placed.key == partition), None)
