"""Moves of work in earnest, from events: a decision that moved it because something failed, and the route that followed.

What happened while a drill ran is the drill's, whose own event tells it; what a person ordered and a planned return are no
failovers. What they are worth is `gather.py`'s business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.failover import PLANNED, Cause
from mcml_assets.domain.workload import Workload

DECISIONS = 200
ROUTES = 200
FAILED = frozenset(cause.value for cause in Cause if cause not in PLANNED)


@dataclass(frozen=True, slots=True)
class Failover:
    """One move: the event of its decision, when (seconds since the epoch), where, and in words to whom.

    `recovery_seconds` are from when the acting location was first found down (where a failed run told, from the decision) to
    the published route of the new epoch, None where that never came.
    """

    event: str
    at: float
    jurisdiction: str
    text: str
    recovery_seconds: float | None


def failovers(workload: Workload, instance: dg.DagsterInstance, rehearsed: Sequence[tuple[float, float]]) -> Iterator[Failover]:
    """The failovers of a workload, newest first by jurisdiction; `rehearsed` are the spans of its drills."""
    key = asset_key(workload, "traffic_route")
    for jurisdiction in workload.jurisdictions:
        routes = _routes(instance, key, jurisdiction)
        wanted = dg.AssetRecordsFilter(key, asset_partitions=[jurisdiction])
        for record in instance.fetch_observations(wanted, limit=DECISIONS).records:
            observation = record.event_log_entry.asset_observation
            said = {name: value.value for name, value in observation.metadata.items()} if observation is not None else {}
            if said.get("decision") != "moves" or said.get("cause") not in FAILED:
                continue
            if any(began <= record.timestamp <= ended for began, ended in rehearsed):
                continue
            found, epoch = said.get("down_since"), said.get("epoch")
            since = float(found) if isinstance(found, int | float) else record.timestamp
            served = min((at for at, of in routes if of == epoch and at >= record.timestamp), default=None)
            yield Failover(
                f"observation {record.storage_id}",
                record.timestamp,
                jurisdiction,
                f"failover to {said.get('acting_location')}, epoch {epoch}",
                None if served is None else served - since,
            )


def _routes(instance: dg.DagsterInstance, key: dg.AssetKey, jurisdiction: str) -> list[tuple[float, object]]:
    """When each epoch's routes were published."""
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[jurisdiction])
    found: list[tuple[float, object]] = []
    for record in instance.fetch_materializations(wanted, limit=ROUTES).records:
        made = record.asset_materialization
        epoch = made.metadata.get("epoch") if made is not None else None
        if epoch is not None:
            found.append((record.timestamp, epoch.value))
    return found
