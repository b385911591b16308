"""When the care of what is stored runs, daily at hours apart, and when lags are measured. What jobs do is in `jobs.py`."""

import dagster as dg

from mcml_assets.jobs import collection, integrity_scrub, replication_lag

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

lag_watch = dg.ScheduleDefinition(
    name="replication_lag_watch",
    job=replication_lag,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Measures replication lags, also of locations that nothing reaches any more.",
)
