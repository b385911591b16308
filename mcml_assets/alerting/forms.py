"""What each receiver expects of a notice, as JSON. Sending it is `delivery.py`'s business.

Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. PagerDuty: Events API v2,
https://developer.pagerduty.com/docs/events-api-v2/trigger-events.
"""

from typing import Any

from mcml_assets.domain.alert import Notice

SUMMARY_LENGTH = 1024  # PagerDuty's limit
SOURCE = "mcml_assets"


def text(notice: Notice) -> str:
    """One line for people: what, and where."""
    word = "resolved" if notice.action == "resolve" else "alert"
    return f"[{word}] {notice.alert.title}: {', '.join(notice.alert.where)}"


def webhook(notice: Notice, _key: str) -> dict[str, Any]:
    """Our own form: {action, key, title, where, details, since}."""
    alert = notice.alert
    return {
        "action": notice.action,
        "key": alert.cause,
        "title": alert.title,
        "where": list(alert.where),
        "details": list(alert.details),
        "since": alert.since,
    }


def slack(notice: Notice, _key: str) -> dict[str, Any]:
    """A message of an incoming webhook, with the marks escaped that Slack gives a meaning to."""
    lines = [text(notice), *(f"• {detail}" for detail in notice.alert.details), f"since {notice.alert.since}"]
    escaped = "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped}


def pagerduty(notice: Notice, key: str) -> dict[str, Any]:
    """An event: one `dedup_key` per cause, so that a repetition adds to the incident and `resolve` ends it."""
    alert = notice.alert
    event: dict[str, Any] = {"routing_key": key, "event_action": notice.action, "dedup_key": f"{SOURCE}/{alert.cause}"}
    if notice.action == "trigger":
        event["payload"] = {
            "summary": text(notice)[:SUMMARY_LENGTH],
            "source": SOURCE,
            "severity": "error",
            "custom_details": {"where": list(alert.where), "details": list(alert.details), "since": alert.since},
        }
    return event
