"""The parts of a scorecard that observations prove: error budgets, and restores. What they are worth is `gather.py`'s.

A sum over observations names the newest of them as its event; the others are beside it on the asset's page.
"""

from collections.abc import Iterator

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.error_budget import Counted, Objective, burn_rate
from mcml_assets.domain.scorecard import DAY, Evidence
from mcml_assets.domain.workload import Workload

PER_PARTITION = 800  # a synthetic summary an hour, for 30 days and some outages


def error_budgets(workload: Workload, instance: dg.DagsterInstance, now: float) -> Iterator[tuple[str, Evidence]]:
    """What is left of each jurisdiction's budget of availability, by synthetic transactions through the edge."""
    since = now - workload.serving.objectives.period_days * DAY
    for jurisdiction in workload.jurisdictions:
        asked = failed = 0
        event, at = "", 0.0
        for observation, name, recorded in _observations(instance, asset_key(workload, "traffic_route"), jurisdiction):
            if recorded < since or not {"synthetic_asked", "synthetic_failed"} <= observation.metadata.keys():
                continue
            asked += int(str(observation.metadata["synthetic_asked"].value))
            failed += int(str(observation.metadata["synthetic_failed"].value))
            if recorded >= at:
                event, at = name, recorded
        if asked:
            spent = burn_rate(Counted(asked, failed), Objective.AVAILABILITY, workload.serving.objectives)
            left = max(0.0, 1.0 - spent)
            yield jurisdiction, Evidence(event, at, left, f"{failed} of {asked} failed: {left:.0%} of the budget is left")


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
