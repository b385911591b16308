"""What a sensor that alerts remembers of telling: which causes were told, and which notices a receiver has not taken yet.

When a person is told is `domain/alert.py`'s decision, how is `alerting/`'s. Every sensor that finds something keeps a memory
of its own in its cursor, and names its causes so that no two sensors share one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from mcml_assets.domain.alert import MOST_TRIES, Alert, Finding, Notice, Owed, Told, due, grouped, owe
from mcml_assets.resources.alerts import Alerts


@dataclass
class Telling:
    """Causes that were told and stand, and what is owed."""

    told: dict[str, Told] = field(default_factory=dict[str, Told])
    owed: list[Owed] = field(default_factory=list[Owed])

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Telling":
        """Read what `to_document` gave."""
        told = {cause: Told(**{**one, "where": tuple(one["where"])}) for cause, one in document.get("told", {}).items()}
        return cls(told, [_owed(one) for one in document.get("owed", ())])

    def to_document(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"told": {cause: asdict(one) for cause, one in self.told.items()}, "owed": [asdict(one) for one in self.owed]}


def tell(teller: str, findings: Iterable[Finding], telling: Telling, alerts: Alerts, now: datetime) -> list[str]:
    """Tell what is due, and what is still owed; returns a line for the tick about each notice that did not arrive.

    That a receiver does not take notices is a finding itself, which the others are told.
    """
    from mcml_assets.alerting.delivery import Post  # noqa: PLC0415 - httpx, only when a sensor ticks

    found = [*findings, *_unreached(teller, telling)]
    notices, telling.told = due(grouped(found, telling.told, now), telling.told, now, alerts.repeat)
    alerts.announce(notices)
    fresh = [
        (Post(form, notice), 0) for notice in notices for form in alerts.forms if notice.alert.cause != _cause(form, teller)
    ]
    replaced = {(post.form, post.notice.alert.cause) for post, _ in fresh}
    owed = [one for one in telling.owed if one.about not in replaced and one.form in alerts.forms]
    again = [one for one in owed if datetime.fromisoformat(one.again_at) <= now]
    posts = [*((Post(one.form, one.notice), one.tries) for one in again), *fresh]
    telling.owed = [one for one in owed if one not in again]
    lines: list[str] = []
    for (post, tries), delivery in zip(posts, alerts.send([post for post, _ in posts]), strict=True):
        if delivery.problem is None:
            continue
        one = owe(post.notice, post.form, tries + 1, delivery.problem, now)
        what = f"{post.notice.action} of {post.notice.alert.cause} did not reach {post.form}: {delivery.problem}"
        if one is None:
            lines.append(f"{what}; given up after {MOST_TRIES} tries")
        else:
            telling.owed.append(one)
            lines.append(f"{what}; tried again at {one.again_at}")
    return lines


def _unreached(teller: str, telling: Telling) -> Iterable[Finding]:
    for form in sorted({one.form for one in telling.owed}):
        problems = [one.problem for one in telling.owed if one.form == form]
        yield Finding(_cause(form, teller), f"alerts do not reach {form}", teller, problems[-1])


def _cause(form: str, teller: str) -> str:
    return f"alerts/{form}/{teller}"


def _owed(document: Mapping[str, Any]) -> Owed:
    alert = document["notice"]["alert"]
    read = Alert(**{**alert, "where": tuple(alert["where"]), "details": tuple(alert["details"])})
    return Owed(**{**document, "notice": Notice(document["notice"]["action"], read)})
