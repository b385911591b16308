"""Runs that the change of an epoch overtook: what still holds a slot that the takeover needs is ended, and told.

A location's and a jurisdiction's work is one run at a time, so a run that hangs where nobody answers would hold up the
takeover for as long as it hangs. What such a run could still commit is refused by its epoch; ending it loses nothing.

Only its record is ended. Its process ends when it is refused. To ask it to stop would make the takeover wait after all: the
code server waits until the process took notice, launches nothing meanwhile, and a process that is held still takes none.
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
        instance.report_run_canceled(run, message=f"This run was overtaken: {why}. What it might still commit is refused.")
        lines.append(f"run {run.run_id[:8]} [{run.tags[PARTITION_TAG]}] was overtaken, and is ended")
    return lines
