"""Failed runs that Dagster meant to retry and passed over: their failure is told once more, and Dagster retries them itself.

Dagster stores a run's failure first, and its status and `dagster/will_retry` after that. Its daemon for retries looks at a run
once, when it reads the failure: where it reads in between, it finds a run that still goes on, and never looks again. The same
event, stored anew, is read like the first one. It changes no run, so `failures.py` counts the failure once; only a run
failure sensor of somebody's own would hear of it again. Whether the run has a retry already is looked at here and then, as
ever, by Dagster: one daemon makes one, and two that read in the same moment one each.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from mcml_assets.sensors.failures import READ_AT_ONCE, RETRIED_BY_TAG

PATIENCE_SECONDS = 30.0
"""What Dagster has for a retry: its daemon reads failures every 5 s, and makes the retries of a storm one after the other."""
LOOKED_BACK = timedelta(minutes=10)
TIMES = 3
"""How often a failure is told again, each time after the same patience: a retry that Dagster refuses stays refused."""
WILL_RETRY_TAG, PARENT_TAG = "dagster/will_retry", "dagster/parent_run_id"


def tell_again(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Tell the failures that wait in vain for their retry; a line for each."""
    return [_tell(instance, run, event) for run, event in _passed_over(instance, now)] if instance.run_retries_enabled else []


def _passed_over(instance: dg.DagsterInstance, now: datetime) -> Iterator[tuple[dg.DagsterRun, dg.EventLogEntry]]:
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - LOOKED_BACK)
    for record in instance.get_run_records(failed, limit=READ_AT_ONCE):
        run = record.dagster_run
        waited = now.timestamp() - (record.end_time or record.update_timestamp.timestamp())
        # Without the tag its process died before it could say so, and Dagster judges when it reads.
        if run.tags.get(WILL_RETRY_TAG) == "false" or RETRIED_BY_TAG in run.tags or waited < PATIENCE_SECONDS:
            continue
        if instance.get_runs_count(dg.RunsFilter(tags={PARENT_TAG: run.run_id})):
            continue
        told = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        if 0 < len(told) <= TIMES and waited >= PATIENCE_SECONDS * len(told):
            yield run, told[-1]


def _tell(instance: dg.DagsterInstance, run: dg.DagsterRun, event: dg.EventLogEntry) -> str:
    instance.store_event(event)
    instance.report_engine_event("Dagster has not retried this run, as it meant to: its failure is told once more.", run)
    return f"run {run.run_id} was to be retried and was passed over: its failure is told once more"
