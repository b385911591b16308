"""How long takeovers take, by what Dagster recorded of this very platform: the predicted time of a plan."""

from pathlib import Path
from statistics import median

import dagster as dg

from mcml_assets.automation import DRILL_TAG, TAKEOVER_TAG
from mcml_assets.sensors.failover import INTERVAL_SECONDS

LATEST = 20
LANDING_RUNS = 100


def takeover_seconds(dagster_home: Path) -> float | None:
    """Seconds from an outage to the published snapshot, as predicted from past runs; None without any.

    A sensor's interval, plus the median time from request to end of past takeovers, or of landings where nothing was ever
    taken over: a takeover is a landing. Rehearsals do not count.
    """
    if not (dagster_home / "dagster.yaml").exists():
        return None
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        ended = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])
        records = instance.get_run_records(ended, limit=LANDING_RUNS)
    landings = [record for record in records if _lands(record.dagster_run)]
    takeovers = [record for record in landings if TAKEOVER_TAG in record.dagster_run.tags]
    taken = [
        record.end_time - record.create_timestamp.timestamp()
        for record in (takeovers or landings)[:LATEST]
        if record.end_time is not None
    ]
    return INTERVAL_SECONDS + median(taken) if taken else None


def _lands(run: dg.DagsterRun) -> bool:
    return DRILL_TAG not in run.tags and any(key.path[-1] == "landing" for key in run.asset_selection or ())
