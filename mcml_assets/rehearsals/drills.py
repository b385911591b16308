"""The `drill` job, and when it rehearses by itself: something small every week, the loss of a provider every month.

What a drill does is `drills/`'s business, and `mcml drill run` does the same. The schedules run by themselves only where
faults were explicitly allowed (`MCML_FAULTS_ALLOWED=1`): nobody's laptop, and nobody's production, breaks anything of its
own accord. Elsewhere they are switched on in the UI.
"""

from datetime import datetime

import dagster as dg

from mcml_assets.automation import DRILL_TAG
from mcml_assets.configuration.settings import Settings

SMALL = ("server_killed", "feature_store_down", "latency_spike", "server_frozen", "throttling", "standby_outage")
"""In turn, one a week: none of them moves work."""
LARGE = "provider_outage"
# Tuesday, mid-morning: people are there, and had a day to see what the weekend left behind.
TUESDAYS = "0 10 * * 2"

drill = dg.define_asset_job(
    "drill",
    selection=dg.AssetSelection.kind("drill"),
    tags={DRILL_TAG: "job"},
    description="Rehearses one scenario (the partition) for every workload, one after another, under load and measured by "
    "events. The same as `mcml drill run`.",
)


def build_rehearsals(settings: Settings) -> dg.Definitions:
    """The job and its schedules, which run where faults were explicitly allowed."""
    status = dg.DefaultScheduleStatus.RUNNING if settings.faults_allowed else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        job=drill,
        cron_schedule=TUESDAYS,
        execution_timezone="UTC",
        default_status=status,
        description="A small drill every week, in turn; not in the week of the provider outage.",
    )
    def drill_weekly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time
        if _is_first_week(now):
            return dg.SkipReason("this week a provider outage is rehearsed")
        return _request(SMALL[now.isocalendar().week % len(SMALL)], now)

    @dg.schedule(
        job=drill,
        cron_schedule=TUESDAYS,
        execution_timezone="UTC",
        default_status=status,
        description="A provider outage each month, on its first Tuesday.",
    )
    def drill_monthly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time
        return _request(LARGE, now) if _is_first_week(now) else dg.SkipReason("it is not the month's first Tuesday")

    return dg.Definitions(jobs=[drill], schedules=[drill_weekly, drill_monthly])


def _is_first_week(moment: datetime) -> bool:
    return moment.day <= 7


def _request(scenario: str, moment: datetime) -> dg.RunRequest:
    return dg.RunRequest(run_key=f"drill/{moment:%Y-%m-%d}", partition_key=scenario)
