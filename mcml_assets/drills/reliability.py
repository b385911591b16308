"""How reliably a jurisdiction answered of late, by its synthetic transactions: whether it can afford a rehearsal.

What happened in rehearsals themselves does not count. Asking is the sensor's business, what a budget is
`domain/error_budget.py`'s.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.error_budget import LEAST_BAD, Counted, Objective, Objectives, burn_rate
from mcml_assets.domain.workload import Workload

PERIOD = timedelta(hours=24)
AFTERWARDS_SECONDS = 90.0
"""A transaction that failed in a rehearsal may be told a minute after its end."""
EVENTS = 500
ASKED, FAILED, SLOW = COUNTS = ("synthetic_asked", "synthetic_failed", "synthetic_slow")


def spent(
    instance: dg.DagsterInstance, workload: Workload, jurisdiction: str, rehearsed: Iterable[Mapping[str, Any]], now: datetime
) -> str | None:
    """Why nothing may be broken on purpose just now, None when enough was answered of late, and fast enough.

    `rehearsed` are the results of drills; what failed while any of them ran was their doing.
    """
    spans = [(one["began"], one["ended"] + AFTERWARDS_SECONDS) for one in rehearsed]
    since = (now.astimezone(UTC) - PERIOD).timestamp()
    wanted = dg.AssetRecordsFilter(asset_key(workload, "traffic_route"), asset_partitions=[jurisdiction], after_timestamp=since)
    asked = failed = in_time = slow = 0
    for record in instance.fetch_observations(wanted, limit=EVENTS).records:
        observation = record.event_log_entry.asset_observation
        if observation is None or "synthetic_asked" not in observation.metadata:
            continue
        if any(began <= record.timestamp <= ended for began, ended in spans):
            continue
        said = {name: int(str(observation.metadata[name].value)) for name in COUNTS if name in observation.metadata}
        asked += said[ASKED]
        failed += said[FAILED]
        if SLOW in said:  # what does not tell how many were slow is no proof that none was
            slow += said[SLOW]
            in_time += said[ASKED] - said[FAILED] - said[SLOW]
    return _overspent(Counted(asked, failed), Objective.AVAILABILITY, workload.serving.objectives) or _overspent(
        Counted(in_time + slow, 0, slow), Objective.LATENCY, workload.serving.objectives
    )


def _overspent(found: Counted, objective: Objective, objectives: Objectives) -> str | None:
    rate, bad = burn_rate(found, objective, objectives), found.bad(objective)
    if bad < LEAST_BAD or rate <= 1:
        return None
    said = "failed" if objective is Objective.AVAILABILITY else f"took longer than {objectives.latency_milliseconds:g} ms"
    return (
        f"{bad} of {found.total(objective)} synthetic transactions {said} within a day: the error budget of "
        f"{objectives.allowed(objective):.3%} is spent at {rate:.1f} times its rate"
    )
