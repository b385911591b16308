"""The parts of a scorecard that observations prove: error budgets, and restores. What they are worth is `gather.py`'s.

A sum over observations names the newest of them as its event; the others are beside it on the asset's page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.error_budget import Counted, Objective, burn_rate
from mcml_assets.domain.scorecard import DAY, Evidence
from mcml_assets.domain.workload import Workload

COUNTS = ("requests", "errors", "slow")
KEYS = ("synthetic_asked", "synthetic_failed", "synthetic_slow")
"""What each of the counts is called in an observation."""
TOLD_AFTER_SECONDS = 90.0
"""A transaction that failed in a drill may be told a minute after its end."""
PER_PARTITION = 800  # a synthetic summary an hour, for 30 days and some outages


def error_budgets(
    workload: Workload, instance: dg.DagsterInstance, now: float, rehearsed: Sequence[tuple[float, float]]
) -> Iterator[tuple[str, Evidence]]:
    """What is left of each jurisdiction's budgets of availability and latency, by synthetic transactions through the edge.

    What was told during a drill (`rehearsed` are their spans) was its doing, and is no production.
    """
    objectives = workload.serving.objectives
    since = now - objectives.period_days * DAY
    for jurisdiction in workload.jurisdictions:
        found = [
            (name, recorded, counts)
            for observation, name, recorded in _observations(instance, asset_key(workload, "traffic_route"), jurisdiction)
            if recorded >= since
            and not any(began <= recorded <= ended + TOLD_AFTER_SECONDS for began, ended in rehearsed)
            and (counts := _counts(observation)) is not None
        ]
        for objective, what in ((Objective.AVAILABILITY, "failed"), (Objective.LATENCY, "were slow")):
            telling = [one for one in found if objective is Objective.AVAILABILITY or one[2].tells_slow]
            counted = Counted(*(sum(getattr(one[2].counted, name) for one in telling) for name in COUNTS))
            if total := counted.total(objective):
                left = max(0.0, 1.0 - burn_rate(counted, objective, objectives))
                event, at, _ = max(telling, key=lambda one: one[1])
                text = f"{counted.bad(objective)} of {total} {what}: {left:.0%} of the budget is left"
                yield f"{objective} in {jurisdiction}", Evidence(event, at, left, text)


@dataclass(frozen=True, slots=True)
class _Told:
    """What one observation counted, and whether it knows of slow answers."""

    counted: Counted
    tells_slow: bool


def _counts(observation: dg.AssetObservation) -> _Told | None:
    said = {name: observation.metadata[name].value for name in KEYS if name in observation.metadata}
    if not {"synthetic_asked", "synthetic_failed"} <= said.keys():
        return None
    return _Told(Counted(*(int(str(said.get(name, 0))) for name in KEYS)), "synthetic_slow" in said)


def restores(workload: Workload, instance: dg.DagsterInstance) -> Iterator[tuple[str, Evidence]]:
    """Rehearsed restores, and real ones, by location."""
    key = asset_key(workload, "raw_data")
    for placed in workload.locations:
        for observation, event, at in _observations(instance, key, placed.key):
            said = observation.metadata.get("restore_rehearsal")
            if said is not None:
                seconds = observation.metadata.get("restore_seconds")
                took = f" in {seconds.value} s" if seconds is not None else ""
                text = f"rehearsal {said.value}{took}"
                yield placed.key, Evidence(event, at, float(said.value == "passed"), text)
    for record in instance.fetch_materializations(key, limit=PER_PARTITION).records:
        made = record.asset_materialization
        if made is not None and made.partition is not None and "restored_by" in made.metadata:
            yield made.partition, Evidence(f"materialization {record.storage_id}", record.timestamp, 1.0, "restored for real")


def _observations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str
) -> Iterator[tuple[dg.AssetObservation, str, float]]:
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition])
    for record in instance.fetch_observations(wanted, limit=PER_PARTITION).records:
        observation = record.event_log_entry.asset_observation
        if observation is not None:
            yield observation, f"observation {record.storage_id}", record.timestamp
