"""What Dagster recorded about one jurisdiction since a moment: runs of a takeover, publications, decisions.

Reads events only; what they mean for a drill is `domain/drill.py`'s business.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload

RUNS = 100
EVENTS = 100
PUBLISHED = ("landing", "raw_data", "feature_snapshot", "training_run", "model", "endpoint", "traffic_route")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that Dagster's timeline shows: when (seconds since the epoch), of which asset and partition, and what."""

    at: float
    asset: str
    partition: str
    text: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """All of it since a moment, oldest first; `first_run` is when the first run of a takeover began, `lag_seconds` what
    the last decision to move said was left behind (0 for nothing), None without one.
    """

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
    decisions, lag = _decisions(instance, workload, jurisdiction, since)
    publications = [
        Event(record.timestamp, noun, record.partition_key or "", f"{noun} is published in {record.partition_key}")
        for noun in PUBLISHED
        for record in instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key(workload, noun), asset_partitions=partitions, after_timestamp=since), limit=EVENTS
        ).records
    ]
    runs = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": partitions}), limit=RUNS)
    starts = [
        record.start_time
        for record in runs
        if record.start_time is not None
        and record.start_time > since
        and (record.dagster_run.tags.get(TAKEOVER_TAG) or "").startswith(f"{workload.name}/{jurisdiction}/")
    ]
    return Recorded(
        tuple(decisions),
        tuple(sorted(publications, key=lambda event: event.at)),
        min(starts, default=None),
        lag,
    )


def _decisions(
    instance: dg.DagsterInstance, workload: Workload, jurisdiction: str, since: float
) -> tuple[list[Event], float | None]:
    """The decisions, and what the first one that moved left behind."""
    wanted = dg.AssetRecordsFilter(asset_key(workload, "traffic_route"), asset_partitions=[jurisdiction], after_timestamp=since)
    events: list[Event] = []
    lag: float | None = None
    for record in sorted(instance.fetch_observations(wanted, limit=EVENTS).records, key=lambda one: one.timestamp):
        observation = record.event_log_entry.asset_observation
        if observation is None:
            continue
        events.append(Event(record.timestamp, "traffic_route", jurisdiction, observation.description or ""))
        told = observation.metadata.get("decision")
        if lag is None and told is not None and told.value in ("moves", "moved"):
            left = observation.metadata.get("lag_seconds")
            lag = float(left.value) if left is not None and isinstance(left.value, int | float) else 0.0
    return events, lag
