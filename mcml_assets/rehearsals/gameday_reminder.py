"""`gameday_reminder`: once a quarter people are told that a game day is due. Nothing runs by itself: people rehearse."""

from datetime import UTC, datetime

import dagster as dg

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.alert import Alert, Notice
from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.stores import CloudStores

QUARTER_DAYS = 92


def reminder(settings: Settings, now: datetime) -> Notice | None:
    """What people are told; None when a game day was held within the last quarter."""
    from mcml_assets.drills.gamedays import last_held  # noqa: PLC0415 - only when the job runs

    last = last_held(settings)
    days = (now.timestamp() - last) / 86400 if last is not None else None
    if days is not None and days <= QUARTER_DAYS:
        return None
    told = "none was ever held" if days is None else f"the last one was {days:.0f} days ago"
    detail = f"{told}; `mcml gameday plan` begins one"
    alert = Alert("gameday/due", "A game day is due", ("the whole platform",), (detail,), now.isoformat())
    return Notice("trigger", alert)


@dg.op(description="Tells people that a game day is due, unless one was held within the quarter.")
def remind(context: dg.OpExecutionContext, stores: CloudStores, alerts: Alerts) -> None:
    """Fails when a receiver did not take it."""
    from mcml_assets.alerting.delivery import Post  # noqa: PLC0415 - httpx, only when somebody is told

    notice = reminder(stores.settings, datetime.now(UTC))
    if notice is None:
        context.log.info("a game day was held within the quarter")
        return
    alerts.announce([notice])
    failed = [one for one in alerts.send([Post(form, notice) for form in alerts.forms]) if one.problem is not None]
    if failed:
        raise dg.Failure("; ".join(f"{one.form}: {one.problem}" for one in failed), allow_retries=False)


@dg.job(description="Reminds people of the game day of the quarter.")
def gameday_reminder() -> None:
    """One op."""
    remind()


quarterly_gameday_reminder = dg.ScheduleDefinition(
    name="gameday_reminder_quarterly",
    job=gameday_reminder,
    cron_schedule="0 9 1 1,4,7,10 *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="An alert on the first day of each quarter, unless a game day was held within the last one.",
)
