"""`python -m mcml_assets.instance.orphaned_runs`: marks runs as failed whose processes ended with a former `mcml dev`.

Only for an instance whose daemon is not running: then no run can be alive.
"""

import dagster as dg

UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def fail_orphaned_runs(instance: dg.DagsterInstance) -> list[str]:
    """The ids of the runs that were marked; Dagster's run retries start them again."""
    orphans = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    for run in orphans:
        instance.report_run_failed(run, message="The platform ended while this run was going on.")
    return [run.run_id for run in orphans]


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        for run_id in fail_orphaned_runs(instance):
            print(f"run {run_id} had been left unfinished")  # noqa: T201 - read in the platform's log
