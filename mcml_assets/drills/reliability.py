"""How reliably a jurisdiction answered of late, by its synthetic transactions: whether it can afford a rehearsal.

What happened in rehearsals themselves does not count. Asking is the sensor's business, what a budget is
`domain/error_budget.py`'s.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.error_budget import LEAST_BAD, Counted, Objective, burn_rate
from mcml_assets.domain.workload import Workload

PERIOD = timedelta(hours=24)
AFTERWARDS_SECONDS = 90.0
"""A transaction that failed in a rehearsal may be told a minute after its end."""
EVENTS = 500


def spent(
    instance: dg.DagsterInstance, workload: Workload, jurisdiction: str, rehearsed: Iterable[Mapping[str, Any]], now: datetime
) -> str | None:
    """Why nothing may be broken on purpose just now, None when enough was answered of late.

    `rehearsed` are the results of drills; what failed while any of them ran was their doing.
    """
    spans = [(one["began"], one["ended"] + AFTERWARDS_SECONDS) for one in rehearsed]
    since = (now.astimezone(UTC) - PERIOD).timestamp()
    wanted = dg.AssetRecordsFilter(asset_key(workload, "traffic_route"), asset_partitions=[jurisdiction], after_timestamp=since)
    asked = failed = 0
    for record in instance.fetch_observations(wanted, limit=EVENTS).records:
        observation = record.event_log_entry.asset_observation
        if observation is None or "synthetic_asked" not in observation.metadata:
            continue
        if any(began <= record.timestamp <= ended for began, ended in spans):
            continue
        asked += int(str(observation.metadata["synthetic_asked"].value))
        failed += int(str(observation.metadata["synthetic_failed"].value))
    rate = burn_rate(Counted(asked, failed), Objective.AVAILABILITY, workload.serving.objectives)
    if failed >= LEAST_BAD and rate > 1:
        return (
            f"{failed} of {asked} synthetic transactions failed within a day: the error budget of "
            f"{workload.serving.objectives.allowed(Objective.AVAILABILITY):.3%} is spent at {rate:.1f} times its rate"
        )
    return None
