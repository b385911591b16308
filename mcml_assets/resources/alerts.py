"""The resource that tells people. What is told, and when, is decided in `domain/alert.py`; how, in `alerting/`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.alert import Notice

if TYPE_CHECKING:
    from mcml_assets.alerting.delivery import Delivery, Post

_log = dg.get_dagster_logger("alerts")


class Alerts(dg.ConfigurableResource):
    """Every notice goes to the log, and to each receiver whose environment variable is named."""

    webhook: str = Field(default="", description="Environment variable that holds a webhook's address; empty: none.")
    slack: str = Field(default="", description="Environment variable that holds a Slack incoming webhook's address.")
    pagerduty: str = Field(default="", description="Environment variable that holds a PagerDuty integration's routing key.")
    pagerduty_address: str = Field(description="Where PagerDuty takes events.")
    repeat_hours: float = Field(description="Hours after which an alert that nobody mended is told again.")

    @classmethod
    def from_settings(cls, settings: Settings) -> "Alerts":
        return cls(
            webhook=settings.alert_webhook,
            slack=settings.alert_slack,
            pagerduty=settings.alert_pagerduty,
            pagerduty_address=settings.alert_pagerduty_address,
            repeat_hours=settings.alert_repeat_hours,
        )

    @property
    def repeat(self) -> timedelta:
        return timedelta(hours=self.repeat_hours)

    @property
    def forms(self) -> dict[str, str]:
        """The receivers that are set, each with the environment variable that holds its secret."""
        named = {"webhook": self.webhook, "slack": self.slack, "pagerduty": self.pagerduty}
        return {form: variable for form, variable in named.items() if variable}

    def announce(self, notices: Sequence[Notice]) -> None:
        """Write every notice to the log."""
        from mcml_assets.alerting.forms import text  # noqa: PLC0415 - only when somebody is told

        for notice in notices:
            _log.warning("%s", text(notice)) if notice.action == "trigger" else _log.info("%s", text(notice))

    def send(self, posts: "Sequence[Post]") -> "list[Delivery]":
        """Send to the receivers that are set; what one does not take is in the log and in the result, and stops nobody."""
        from mcml_assets.alerting.delivery import Receiver, deliver  # noqa: PLC0415 - httpx, only when somebody is told

        addresses = {"pagerduty": self.pagerduty_address}
        receivers = {form: Receiver(form, variable, addresses.get(form)) for form, variable in self.forms.items()}
        deliveries = deliver(posts, receivers) if posts else []
        for delivery in deliveries:
            if delivery.problem is not None:
                _log.error(
                    "the alert %r did not reach %s after %d attempts: %s",
                    delivery.cause, delivery.form, delivery.attempts, delivery.problem,
                )  # fmt: skip
        return deliveries
