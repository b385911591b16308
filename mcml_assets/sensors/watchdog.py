"""`watchdog`: what stands still is told, and runs whose process is gone are ended; nothing fails in silence.

It ends runs that a killed machine left STARTED, because they hold their partitions: their process is looked for by the
id that it reported, on this machine, so only where runs are processes of this machine. Everything else is only told, once
for each case: a sensor that does not tick, a run that takes too long, a partition whose last run failed and which nobody
made anew, a queue that grows. If the daemon itself does not run, neither does this: `mcml doctor` and the UI's
deployment page show that.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import dagster as dg

from mcml_assets.sensors.failures import OVERLAP, PARTITION_TAG, READ_AT_ONCE, Seen

INTERVAL_SECONDS = 10
LOST_SECONDS = 10.0
"""A run's process may need a moment to report itself."""
HANGING_SECONDS = 900.0
WAITING_SECONDS = 600.0
LEFT_SECONDS = 600.0
SILENT_SECONDS = 180.0
FORMAT = 1
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass
class Noticed:
    """The watchdog's memory: how far runs were read, failed partitions by `<asset> [<partition>]`, and what was told.

    `failed` are the times (Unix seconds) since when a partition has been failed.
    """

    seen: Seen | None = None
    failed: dict[str, float] = field(default_factory=dict[str, float])
    told: list[str] = field(default_factory=list[str])

    @classmethod
    def from_json(cls, text: str | None) -> "Noticed":
        """Read a stored cursor; one of another version is forgotten."""
        document = json.loads(text) if text else {}
        if document.pop("format", None) != FORMAT:
            return cls()
        seen = document.pop("seen")
        return cls(seen=Seen(seen["until"], tuple(seen["run_ids"])) if seen else None, **document)

    def to_json(self) -> str:
        """The stored form."""
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":"))


@dg.sensor(
    name="watchdog",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process is gone, and tells of sensors, runs, partitions and queues that stand still.",
)
def watchdog(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One tick; requests no run, ever."""
    noticed = Noticed.from_json(context.cursor)
    now = datetime.now(UTC)
    lost = end_lost_runs(context.instance, now)
    standing = {
        **_hanging_runs(context.instance, now),
        **_waiting_runs(context.instance, now),
        **_left_partitions(context.instance, noticed, now),
        **_silent_sensors(context.instance, now),
    }
    for line in lost:
        context.log.warning("%s", line)
    for case, line in standing.items():
        if case not in noticed.told:
            context.log.error("%s", line)
    noticed.told = sorted(standing)
    return dg.SensorResult(
        skip_reason=dg.SkipReason("\n".join([*lost, *standing.values()]) or "Nothing stands still."),
        cursor=noticed.to_json(),
    )


def end_lost_runs(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Mark runs as failed whose process was killed together with whoever would have noticed; returns what was done.

    Dagster's run retries start them again.
    """
    running = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]))
    lines: list[str] = []
    for record in running:
        run = record.dagster_run
        if record.start_time is None or now.timestamp() - record.start_time < LOST_SECONDS or _is_alive(instance, run.run_id):
            continue
        instance.report_run_failed(run, message="The process of this run is gone, and nobody had noticed.")
        lines.append(f"run {run.run_id} was left STARTED by a process that is gone, and is marked as failed")
    return lines


def _is_alive(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether one of the processes that worked on the run lives; True when none reported itself on record."""
    told: list[tuple[int, float]] = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event is not None else None
        if pid is not None:
            told.append((int(str(pid.value)), entry.timestamp))
    return not told or any(_lives(pid, at) for pid, at in told)


def _lives(pid: int, reported_at: float) -> bool:
    """Whether the process that reported itself at this time lives, and not a later one with its id."""
    import psutil  # noqa: PLC0415 - only where a run may be lost

    try:
        process = psutil.Process(pid)
        return process.create_time() <= reported_at + 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _hanging_runs(instance: dg.DagsterInstance, now: datetime) -> dict[str, str]:
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return {
        f"hangs {record.dagster_run.run_id}": f"run {_named(record.dagster_run)} has been going on for {_age(record, now)} s"
        for record in records
        if record.start_time is not None and now.timestamp() - record.start_time > HANGING_SECONDS
    }


def _waiting_runs(instance: dg.DagsterInstance, now: datetime) -> dict[str, str]:
    oldest = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), limit=1, ascending=True)
    waited = [now.timestamp() - record.create_timestamp.timestamp() for record in oldest]
    if not waited or waited[0] <= WAITING_SECONDS:
        return {}
    count = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    return {"queue": f"{count} runs are queued, the oldest for {waited[0]:.0f} s"}


def _left_partitions(instance: dg.DagsterInstance, noticed: Noticed, now: datetime) -> dict[str, str]:
    """Partitions whose newest run failed some time ago; runs are read once each, as they end."""
    if noticed.seen is None:
        noticed.seen = Seen(now.timestamp())
    after = datetime.fromtimestamp(noticed.seen.until, UTC) - OVERLAP
    records = instance.get_run_records(
        dg.RunsFilter(statuses=ENDED, updated_after=after), limit=READ_AT_ONCE, order_by="update_timestamp", ascending=True
    )
    fresh = [record for record in records if record.dagster_run.run_id not in noticed.seen.run_ids]
    for record in fresh:
        _note(record, noticed, now)
    if fresh:
        until = max(record.update_timestamp.timestamp() for record in fresh)
        noticed.seen = Seen(until, tuple(record.dagster_run.run_id for record in records))
    return {
        f"failed {what}": f"{what} has been failed for {now.timestamp() - since:.0f} s, and nobody made it anew"
        for what, since in noticed.failed.items()
        if now.timestamp() - since > LEFT_SECONDS
    }


def _note(record: dg.RunRecord, noticed: Noticed, now: datetime) -> None:
    run = record.dagster_run
    for what in _made_by(run):
        if run.status is dg.DagsterRunStatus.FAILURE:
            noticed.failed.setdefault(what, record.end_time or now.timestamp())
        else:
            noticed.failed.pop(what, None)


def _made_by(run: dg.DagsterRun) -> Iterable[str]:
    partition = run.tags.get(PARTITION_TAG)
    return [f"{key.to_user_string()} [{partition}]" for key in sorted(run.asset_selection or ())]


def _silent_sensors(instance: dg.DagsterInstance, now: datetime) -> dict[str, str]:
    """Running sensors whose last tick is long ago; one that never ticked yet is not known here."""
    silent: dict[str, str] = {}
    for state in instance.all_instigator_state():
        data = state.instigator_data
        last = getattr(data, "last_tick_timestamp", None)
        if state.is_running and last is not None and now.timestamp() - last > SILENT_SECONDS:
            silent[f"silent {state.instigator_name}"] = (
                f"sensor {state.instigator_name} has not ticked for {now.timestamp() - last:.0f} s"
            )
    return silent


def _age(record: dg.RunRecord, now: datetime) -> int:
    return round(now.timestamp() - (record.start_time or now.timestamp()))


def _named(run: dg.DagsterRun) -> str:
    return f"{run.run_id[:8]} ({', '.join(_made_by(run)) or run.job_name})"
