"""What Dagster recorded about one jurisdiction since a moment: runs of a takeover, publications, decisions.

Reads events only; what they mean for a drill is `domain/drill.py`'s business.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from mcml_assets.automation import DRILL_TAG, ERROR_TAG, TAKEOVER_TAG, UNAVAILABLE_TAG
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload

RUNS = 100
EVENTS = 100
PUBLISHED = ("landing", "raw_data", "feature_snapshot", "training_run", "model", "endpoint", "traffic_route")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that Dagster's timeline shows: when (seconds since the epoch), of which asset and partition, and what.

    `blames` is the location that a failure is put down to: one that a run could not reach, or whose endpoint did not answer.
    """

    at: float
    asset: str
    partition: str
    text: str
    blames: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """All of it since a moment, oldest first; `first_run` is when the first run of a takeover began, `lag_seconds` what
    the last decision to move said was left behind (0 for nothing), None without one. `detections` are the events by which
    the platform noticed that something is wrong.
    """

    detections: tuple[Event, ...]
    decisions: tuple[Event, ...]
    publications: tuple[Event, ...]
    first_run: float | None
    lag_seconds: float | None


@contextmanager
def opened(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a running platform. Raises `ConfigurationError` when there is none."""
    if not (dagster_home / "dagster.yaml").exists():
        raise ConfigurationError(f"there is no Dagster instance in {dagster_home}: start the platform with `mcml dev`")
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        yield instance


def recorded(instance: dg.DagsterInstance, workload: Workload, jurisdiction: str, since: float) -> Recorded:
    """What happened to a workload in a jurisdiction since then, in a constant number of queries."""
    partitions = [jurisdiction, *(placed.key for placed in workload.placement(jurisdiction).locations)]
    decisions, lag, found_down = _decisions(instance, workload, jurisdiction, since)
    publications = [
        Event(record.timestamp, noun, record.partition_key or "", f"{noun} is published in {record.partition_key}")
        for noun in PUBLISHED
        for record in instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key(workload, noun), asset_partitions=partitions, after_timestamp=since), limit=EVENTS
        ).records
    ]
    began = datetime.fromtimestamp(since, UTC)
    runs = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": partitions}, updated_after=began), limit=RUNS)
    starts = [
        record.start_time
        for record in runs
        if record.start_time is not None
        and record.start_time > since
        and (record.dagster_run.tags.get(TAKEOVER_TAG) or "").startswith(f"{workload.name}/{jurisdiction}/")
    ]
    detections = [*found_down, *_failed_runs(runs, workload, since), *_failed_answers(instance, workload, partitions, since)]
    return Recorded(
        tuple(sorted(detections, key=lambda event: event.at)),
        tuple(decisions),
        tuple(sorted(publications, key=lambda event: event.at)),
        min(starts, default=None),
        lag,
    )


def tag_runs(instance: dg.DagsterInstance, workload: Workload, jurisdiction: str, since: float, drill: str) -> None:
    """Mark every run of a workload in a jurisdiction that was made since then as one of a rehearsal."""
    partitions = [jurisdiction, *(placed.key for placed in workload.placement(jurisdiction).locations)]
    made = dg.RunsFilter(tags={"dagster/partition": partitions}, created_after=datetime.fromtimestamp(since, UTC))
    for run in instance.get_runs(made, limit=RUNS):
        if DRILL_TAG not in run.tags and _is_of(run, workload):
            instance.add_run_tags(run.run_id, {DRILL_TAG: drill})


def _failed_runs(records: Sequence[dg.RunRecord], workload: Workload, since: float) -> Iterator[Event]:
    for record in records:
        run, ended = record.dagster_run, record.end_time
        if run.status is dg.DagsterRunStatus.FAILURE and ended is not None and ended > since and _is_of(run, workload):
            nouns = " + ".join(sorted(key.path[-1] for key in run.asset_selection or ()))
            partition, error = run.tags.get("dagster/partition", ""), run.tags.get(ERROR_TAG, "no typed error")
            text = f"the run of {nouns} in {partition} failed: {error}"
            yield Event(ended, nouns, partition, text, run.tags.get(UNAVAILABLE_TAG))


def _is_of(run: dg.DagsterRun, workload: Workload) -> bool:
    return any(key.path[0] == workload.name for key in run.asset_selection or ())


def _failed_answers(
    instance: dg.DagsterInstance, workload: Workload, partitions: Sequence[str], since: float
) -> Iterator[Event]:
    """Synthetic transactions that failed."""
    for noun in ("endpoint", "traffic_route"):
        wanted = dg.AssetRecordsFilter(asset_key(workload, noun), asset_partitions=partitions, after_timestamp=since)
        for record in instance.fetch_observations(wanted, limit=EVENTS).records:
            observation = record.event_log_entry.asset_observation
            told = observation.metadata.get("synthetic") if observation is not None else None
            if observation is not None and told is not None and told.value == "failed":
                problem = observation.metadata["problem"].value
                text = f"a synthetic transaction of {noun} in {record.partition_key} failed: {problem}"
                blames = record.partition_key if noun == "endpoint" else None
                yield Event(record.timestamp, noun, record.partition_key or "", text, blames)


def _decisions(
    instance: dg.DagsterInstance, workload: Workload, jurisdiction: str, since: float
) -> tuple[list[Event], float | None, list[Event]]:
    """The decisions, what the first one that moved left behind, and when the acting location was found down."""
    wanted = dg.AssetRecordsFilter(asset_key(workload, "traffic_route"), asset_partitions=[jurisdiction], after_timestamp=since)
    events: list[Event] = []
    found_down: list[Event] = []
    lag: float | None = None
    for record in sorted(instance.fetch_observations(wanted, limit=EVENTS).records, key=lambda one: one.timestamp):
        observation = record.event_log_entry.asset_observation
        told = observation.metadata.get("decision") if observation is not None else None
        if observation is None or told is None:
            continue  # a synthetic transaction, which decides nothing
        events.append(Event(record.timestamp, "traffic_route", jurisdiction, observation.description or ""))
        down_since = observation.metadata.get("down_since")
        if down_since is not None and isinstance(down_since.value, int | float) and down_since.value > since:
            found_down.append(
                Event(float(down_since.value), "traffic_route", jurisdiction, "a probe found the acting location down")
            )
        if lag is None and told.value in ("moves", "moved"):
            left = observation.metadata.get("lag_seconds")
            lag = float(left.value) if left is not None and isinstance(left.value, int | float) else 0.0
    return events, lag, found_down
