"""`alerting`: tells people of blocking checks that fail, of contracts that break their readers, and of runs that failed.

One alert per cause, and when it has ended.

Runs are read that ended since the last tick, and of checks those that such runs can have answered: Dagster reads a check's
state with two queries, and all checks of 100 workloads would take seconds. Where all have to be read, as at the first tick,
it is done by and by. The first tick reads the runs of the last day, too. What was told is the sensor's cursor, so a restart
repeats nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from mcml_assets.asset_checks.contract_version import CHECK as CONTRACT_VERSION
from mcml_assets.domain.alert import Finding
from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.resources.alerts import Alerts
from mcml_assets.sensors.failures import PARTITION_TAG, READ_AT_ONCE, new_runs
from mcml_assets.sensors.failures import Seen as RunsSeen
from mcml_assets.sensors.pace import every
from mcml_assets.sensors.telling import Telling, tell

INTERVAL_SECONDS = 30
FORMAT = 2
LOOK_BACK = timedelta(days=1)
"""How old a failed run may be that the first tick still tells of."""
CHECKS_PER_TICK = 100
# Of the newest results of a check, how many are looked through for the one that failed in a partition.
RESULTS = 50
OUTAGE = LocationUnavailable.__name__
WRAPPED = "DagsterExecutionStepExecutionError"
"""Dagster's own class around whatever an asset raised."""
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass
class Seen:
    """The cursor: how far runs were read, what failed and did not succeed since, check details, and what was told.

    `unread` are checks, as `<asset>:<check>`, whose state has yet to be read.
    """

    until: float
    run_ids: list[str] = field(default_factory=list[str])
    runs: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    checks: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    unread: list[str] = field(default_factory=list[str])
    telling: Telling = field(default_factory=Telling)

    @classmethod
    def from_json(cls, text: str | None) -> "Seen | None":
        """Read a stored cursor; one of another version is forgotten."""
        document = json.loads(text) if text else {}
        if document.pop("format", None) != FORMAT:
            return None
        return cls(**{**document, "telling": Telling.from_document(document["telling"])})

    def to_json(self) -> str:
        """The stored form."""
        document = {name: getattr(self, name) for name in ("until", "run_ids", "runs", "checks", "unread")}
        return json.dumps({"format": FORMAT, **document, "telling": self.telling.to_document()}, separators=(",", ":"))


@dg.sensor(
    name="alerting",
    minimum_interval_seconds=every(INTERVAL_SECONDS),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One alert per cause for blocking checks that fail and runs that failed, and its end.",
)
def alerting(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult:
    """Requests no run, and fails for nobody who does not listen: what did not arrive is told in the tick, and owed."""
    now = datetime.now(UTC)
    known = Seen.from_json(context.cursor)
    seen = known or Seen((now - LOOK_BACK).timestamp())
    ended, read = new_runs(context.instance, RunsSeen(seen.until, tuple(seen.run_ids)), ENDED)
    seen.until, seen.run_ids = read.until, list(read.run_ids)
    _read_checks(context, seen, [record.dagster_run for record in ended] if known is not None else None)
    _read_runs(context.instance, seen, [record.dagster_run for record in ended])
    if len(ended) == READ_AT_ONCE:
        # A run that failed and was mended by a later one would be told in vain.
        lines = ["More runs have ended than a tick reads: the next one goes on before anybody is told."]
    else:
        findings = [Finding(**found) for found in (*seen.checks.values(), *seen.runs.values())]
        lines = tell("alerting", findings, seen.telling, alerts, now)
    told, owed = len(seen.telling.told), len(seen.telling.owed)
    word = f"{told} causes are wrong, {owed} notices are owed." if told or owed else "Nothing is wrong."
    return dg.SensorResult(skip_reason=dg.SkipReason("\n".join([word, *lines])), cursor=seen.to_json())


def _read_checks(context: dg.SensorEvaluationContext, seen: Seen, ended: Sequence[dg.DagsterRun] | None) -> None:
    """Bring the failed blocking checks up to date with the runs that ended (None: with all there is), each with its cause."""
    if context.repository_def is None:
        return
    graph = context.repository_def.asset_graph
    # A contract that breaks its readers holds nothing back, and still is something that people have to know.
    watched = [key for key in graph.asset_check_keys if graph.get(key).blocking or key.name == CONTRACT_VERSION]
    told = {key.to_user_string(): key for key in watched}
    named = [name for name, key in told.items() if any(_may_answer(run, key) for run in ended or ())]
    anything = ended is None or any(_names_nothing(run) for run in ended)
    waiting = (name for name in seen.unread if name in told)
    due = list(dict.fromkeys([*named, *waiting, *(told if anything else ())]))
    seen.unread = due[CHECKS_PER_TICK:]
    keys = [told[name] for name in due[:CHECKS_PER_TICK]]
    kept = told.keys() - due[:CHECKS_PER_TICK]
    failed = {name: one for name, one in seen.checks.items() if name.partition("|")[0] in kept}
    for info in context.instance.event_log_storage.get_asset_check_partition_info(keys) if keys else ():
        name = f"{info.check_key.to_user_string()}|{info.partition_key}|{info.latest_check_event_storage_id}"
        match info.latest_execution_status.value:
            case "FAILED":
                known = seen.checks.get(name)
                failed[name] = known or _check_finding(context.instance, info.check_key, info.partition_key or "everywhere")
            case "PLANNED":
                # Until it has answered again, its last answer stands.
                failed |= {old: one for old, one in seen.checks.items() if old.rpartition("|")[0] == name.rpartition("|")[0]}
    seen.checks = failed


def _may_answer(run: dg.DagsterRun, key: dg.AssetCheckKey) -> bool:
    return key.asset_key in (run.asset_selection or ()) or key in (run.asset_check_selection or ())


def _names_nothing(run: dg.DagsterRun) -> bool:
    """A run that names no assets, as a job's, may have answered any check."""
    return not run.asset_selection and not run.asset_check_selection


def _check_finding(instance: dg.DagsterInstance, key: dg.AssetCheckKey, partition: str) -> dict[str, str]:
    metadata: Mapping[str, dg.MetadataValue] = {}
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=RESULTS):
        event = record.event.dagster_event if record.event is not None else None
        if record.partition == partition and event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION":
            metadata = event.asset_check_evaluation_data.metadata
            break
    said = metadata.get("problem") or metadata.get("decision")
    detail = str(said.value).partition("\n")[0] if said is not None else f"{key.name} failed"
    error = metadata.get("error")
    if error is not None and error.value == OUTAGE:
        return _finding(f"outage/{partition.partition('/')[0]}", f"{partition.partition('/')[0]} outage", partition, detail)
    asset = key.asset_key.to_user_string()
    return _finding(f"check/{asset}/{key.name}", f"{key.name} of {asset} fails", partition, detail)


def _read_runs(instance: dg.DagsterInstance, seen: Seen, ended: Sequence[dg.DagsterRun]) -> None:
    """Add the runs that failed since the last tick, and take away what has succeeded since."""
    for run in ended:
        partition = run.tags.get(PARTITION_TAG, "everywhere")
        if run.status is dg.DagsterRunStatus.SUCCESS:
            if seen.runs:
                done = {f"{step}|{partition}" for step in (*_succeeded(instance, run), run.job_name)}
                seen.runs = {name: found for name, found in seen.runs.items() if name not in done}
        else:
            seen.runs |= dict(_run_findings(instance, run, partition))


def _succeeded(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """The assets that a run made: what it was asked for says less, a job's run names none."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
    return [_asset(entry.dagster_event.step_key or "") for entry in entries if entry.dagster_event is not None]


def _asset(step: str) -> str:
    return step.replace("__", "/")


def _run_findings(instance: dg.DagsterInstance, run: dg.DagsterRun, partition: str) -> Iterator[tuple[str, dict[str, str]]]:
    """One finding per failed step; a step that failed because its blocking check did is told by the check."""
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for entry in steps:
        event = entry.dagster_event
        if event is None or event.step_failure_data.error is None:
            continue
        failure = event.step_failure_data
        if failure.error is not None and failure.error.cls_name == "DagsterAssetCheckFailedError":
            continue
        given = failure.user_failure_data
        metadata = given.metadata if given is not None else {}
        text = (given.description if given is not None else None) or "the run's own page tells more"
        raised = failure.error
        if raised is not None and raised.cause is not None and raised.cls_name == WRAPPED:
            raised = raised.cause
        error = str(metadata["error"].value) if "error" in metadata else (raised.cls_name if raised else None) or "error"
        asset = _asset(event.step_key or run.job_name)
        name = f"{asset}|{partition}"
        if error == OUTAGE:
            where = str(metadata["location"].value) if "location" in metadata else partition
            cloud = where.partition("/")[0]
            yield name, _finding(f"outage/{cloud}", f"{cloud} outage", where, text.partition("\n")[0])
        else:
            yield name, _finding(f"run/{asset}/{error}", f"{asset} fails with {error}", partition, text.partition("\n")[0])
    if not steps:
        name = f"{run.job_name}|{partition}"
        yield name, _finding(f"run/{run.job_name}", f"a run of {run.job_name} died", partition, "no step told why")


def _finding(cause: str, title: str, where: str, detail: str) -> dict[str, str]:
    return {"cause": cause, "title": title, "where": where, "detail": detail}
