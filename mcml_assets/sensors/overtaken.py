"""Runs that the change of an epoch overtook: what still holds a slot that the takeover needs is ended, and told.

A location's and a jurisdiction's work is one run at a time, so a run that hangs where nobody answers would hold up the
takeover for as long as it hangs. What such a run could still commit is refused by its epoch; ending it loses nothing.
"""

from collections.abc import Collection

import dagster as dg

from mcml_assets.domain.workload import Workload
from mcml_assets.sensors.failures import PARTITION_TAG

GOING_ON = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_overtaken(
    instance: dg.DagsterInstance, workload: Workload, partitions: Collection[str], changed_at: float, why: str
) -> list[str]:
    """End the workload's runs of these partitions that started before `changed_at` (Unix seconds); a line for each.

    They end as cancelled: a failed run would be retried, and so be in the way again. A run that only starts now asks the
    register itself who acts, and is left alone.
    """
    wanted = dg.RunsFilter(statuses=GOING_ON, tags={PARTITION_TAG: sorted(partitions)})
    lines: list[str] = []
    for record in instance.get_run_records(wanted):
        run = record.dagster_run
        names = {key.path[0] for key in run.asset_selection or ()}
        if workload.name not in names or record.start_time is None or record.start_time >= changed_at:
            continue
        _interrupt(instance, run)
        instance.report_run_canceled(run, message=f"This run was overtaken: {why}. What it might still commit is refused.")
        lines.append(f"run {run.run_id[:8]} [{run.tags[PARTITION_TAG]}] was overtaken, and is ended")
    return lines


def _interrupt(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Ask its process to stop. One that is held still, or gone, cannot hear it: its record must not wait for that."""
    try:
        instance.run_launcher.terminate(run.run_id)
    except Exception as error:  # noqa: BLE001 - a launcher's own errors, of which none may hold up a takeover
        instance.report_engine_event(f"its process could not be asked to stop: {type(error).__name__}: {error}", run)
