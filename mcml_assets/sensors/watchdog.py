"""`watchdog`: what stands still is told, and runs whose process is gone are ended; nothing fails in silence.

It ends runs that a killed machine left STARTED, because they hold their partitions: their process is looked for by the
id that it reported, on this machine, so only where runs are processes of this machine. A run whose retry Dagster passed
over gets it after all (`passed_over.py`). Everything else is alerted, grouped by cause: a sensor that does not tick, a run
that takes too long, a partition whose last run failed and which nobody made anew, a queue that grows, and work that can
neither go on nor move, as `failover` remembers it. If the daemon itself does not run, neither does this: `mcml doctor` and
the UI's deployment page show that.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.domain.alert import Finding
from mcml_assets.resources.alerts import Alerts
from mcml_assets.sensors.check_results import ENDED
from mcml_assets.sensors.cursor import Cursor
from mcml_assets.sensors.failures import OVERLAP, PARTITION_TAG, READ_AT_ONCE, Seen
from mcml_assets.sensors.pace import every
from mcml_assets.sensors.passed_over import tell_again
from mcml_assets.sensors.telling import Telling, tell

if TYPE_CHECKING:
    from dagster._core.scheduler.instigation import InstigatorState

INTERVAL_SECONDS = 10
LOST_SECONDS = 10.0
"""A run's process may need a moment to report itself."""
HANGING_SECONDS = 900.0
WAITING_SECONDS = 600.0
LEFT_SECONDS = 600.0
SILENT_SECONDS = 180.0
STRANDED_SECONDS = 30.0
"""How long work may stand still for want of a lawful place, or of the register's majority, before people are told."""
FORMAT = 2
FAILOVER = "failover"


@dataclass
class Noticed:
    """The watchdog's memory: how far runs were read, failed partitions by `<asset> [<partition>]`, and what was told.

    `failed` are the times (Unix seconds) since when a partition has been failed.
    """

    seen: Seen | None = None
    failed: dict[str, float] = field(default_factory=dict[str, float])
    telling: Telling = field(default_factory=Telling)

    @classmethod
    def from_json(cls, text: str | None) -> "Noticed":
        """Read a stored cursor; one of another version is forgotten."""
        document = json.loads(text) if text else {}
        if document.pop("format", None) != FORMAT:
            return cls()
        seen = document["seen"]
        read = Seen(seen["until"], tuple(seen["run_ids"])) if seen else None
        return cls(read, document["failed"], Telling.from_document(document["telling"]))

    def to_json(self) -> str:
        """The stored form."""
        seen = asdict(self.seen) if self.seen is not None else None
        document = {"format": FORMAT, "seen": seen, "failed": self.failed, "telling": self.telling.to_document()}
        return json.dumps(document, separators=(",", ":"))


@dg.sensor(
    name="watchdog",
    minimum_interval_seconds=every(INTERVAL_SECONDS),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process is gone, and alerts of sensors, runs, partitions and queues that stand still.",
)
def watchdog(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult:
    """One tick; requests no run, ever."""
    noticed = Noticed.from_json(context.cursor)
    now = datetime.now(UTC)
    mended = [*end_lost_runs(context.instance, now), *tell_again(context.instance, now)]
    states = context.instance.all_instigator_state()
    standing = [
        *_hanging_runs(context.instance, now),
        *_waiting_runs(context.instance, now),
        *_left_partitions(context.instance, noticed, now),
        *_silent_sensors(states, now),
        *_stranded_work(states, now),
    ]
    for line in mended:
        context.log.warning("%s", line)
    undelivered = tell("watchdog", standing, noticed.telling, alerts, now)
    lines = [*mended, *(f"{one.title}: {one.where}: {one.detail}" for one in standing), *undelivered]
    return dg.SensorResult(skip_reason=dg.SkipReason("\n".join(lines) or "Nothing stands still."), cursor=noticed.to_json())


def end_lost_runs(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Mark runs as failed whose process was killed together with whoever would have noticed; returns what was done.

    Dagster's run retries start them again; where it passes one over, see `passed_over.py`.
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


def _hanging_runs(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if record.start_time is not None and now.timestamp() - record.start_time > HANGING_SECONDS:
            detail = f"run {record.dagster_run.run_id[:8]} has been going on for {_age(record, now)} s"
            yield Finding("stands/runs", "runs take too long", _named(record.dagster_run), detail)


def _waiting_runs(instance: dg.DagsterInstance, now: datetime) -> Iterator[Finding]:
    oldest = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), limit=1, ascending=True)
    waited = [now.timestamp() - record.create_timestamp.timestamp() for record in oldest]
    if waited and waited[0] > WAITING_SECONDS:
        count = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        yield Finding("stands/queue", "the queue stands", "the run queue", f"{count} runs, the oldest for {waited[0]:.0f} s")


def _left_partitions(instance: dg.DagsterInstance, noticed: Noticed, now: datetime) -> Iterator[Finding]:
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
    for what, since in noticed.failed.items():
        if now.timestamp() - since > LEFT_SECONDS:
            detail = f"failed for {now.timestamp() - since:.0f} s, and nobody made it anew"
            yield Finding("stands/partitions", "partitions stay failed", what, detail)


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


def _silent_sensors(states: "Iterable[InstigatorState]", now: datetime) -> Iterator[Finding]:
    """Running sensors whose last tick is long ago; one that never ticked yet is not known here."""
    for state in states:
        data = state.instigator_data
        last = getattr(data, "last_tick_timestamp", None)
        if state.is_running and last is not None and now.timestamp() - last > SILENT_SECONDS:
            detail = f"has not ticked for {now.timestamp() - last:.0f} s"
            yield Finding("stands/sensors", "sensors do not tick", state.instigator_name, detail)


def _stranded_work(states: "Iterable[InstigatorState]", now: datetime) -> Iterator[Finding]:
    """Jurisdictions that stand still, by the failover sensor's memory: it has looked at them anyway."""
    for state in states:
        if state.instigator_name != FAILOVER or not state.is_running:
            continue
        for where, stranded in Cursor.from_json(getattr(state.instigator_data, "cursor", None)).stranded.items():
            if now.timestamp() - stranded.since > STRANDED_SECONDS:
                detail = f"for {now.timestamp() - stranded.since:.0f} s: {stranded.why}"
                yield Finding("stands/work", "work can neither go on nor move", where, detail)


def _age(record: dg.RunRecord, now: datetime) -> int:
    return round(now.timestamp() - (record.start_time or now.timestamp()))


def _named(run: dg.DagsterRun) -> str:
    return ", ".join(_made_by(run)) or run.job_name
