"""When the care of what is stored runs: once a day each, at hours apart. What the jobs do is in `jobs.py`."""

import dagster as dg

from mcml_assets.jobs import collection, integrity_scrub

daily_scrub = dg.ScheduleDefinition(
    name="integrity_scrub_daily",
    job=integrity_scrub,
    cron_schedule="17 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads a share of what every location stores; all of it within MCML_SCRUB_DAYS days.",
)

daily_collection = dg.ScheduleDefinition(
    name="collection_daily",
    job=collection,
    # After the scrub: what is corrupt is found before its last sound copy may go.
    cron_schedule="17 4 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes snapshots past their retention, and files that no snapshot needs.",
)
