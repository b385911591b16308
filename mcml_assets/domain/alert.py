"""Alerts: findings grouped by their cause, and when a person is told of one. Pure; how a notice travels is `alerting/`'s.

One cause is one alert, in however many locations it shows: a cloud that is out fails checks and runs everywhere it is, and
a person needs to read that once. It is told again when it comes to more places, or when nobody mended it for long, and its
end is told, too. What a receiver did not take is owed to it, and tried again within bounds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["trigger", "resolve"]
DETAILS = 3
SPREAD_PAUSE = timedelta(minutes=2)
"""A cause that comes to place after place is told anew no oftener than this."""
MOST_TRIES = 8
FIRST_PAUSE = timedelta(minutes=1)
"""Before an owed notice is tried again; each further pause is twice as long, so that the last try is two hours after."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in one place: `cause` is the same for all that have one reason, and stays the same."""

    cause: str
    title: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Alert:
    """All findings of one cause: the places in order, and some of what was found. `since` is ISO 8601."""

    cause: str
    title: str
    where: tuple[str, ...]
    details: tuple[str, ...]
    since: str


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told of a cause: where, when (ISO 8601), under which title, and since when it is wrong."""

    title: str
    where: tuple[str, ...]
    at: str
    since: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person is told now."""

    action: Action
    alert: Alert


@dataclass(frozen=True, slots=True)
class Owed:
    """A notice that the receiver of this form did not take: how many tries, why, and when it is tried again (ISO 8601)."""

    notice: Notice
    form: str
    tries: int
    problem: str
    again_at: str

    @property
    def about(self) -> tuple[str, str]:
        """Whom it is owed to, and about what: a later notice replaces it."""
        return self.form, self.notice.alert.cause


def owe(notice: Notice, form: str, tries: int, problem: str, now: datetime) -> Owed | None:
    """What is owed after so many tries; None when it is given up, and only the next `repeat` will tell."""
    if tries >= MOST_TRIES:
        return None
    pause = FIRST_PAUSE * 2 ** (tries - 1)
    return Owed(notice, form, tries, problem, (now + pause).isoformat(timespec="seconds"))


def grouped(findings: Iterable[Finding], told: Mapping[str, Told], now: datetime) -> list[Alert]:
    """One alert per cause, in the order of causes."""
    by_cause: dict[str, list[Finding]] = {}
    for finding in findings:
        by_cause.setdefault(finding.cause, []).append(finding)
    return [
        Alert(
            cause,
            found[0].title,
            tuple(sorted({one.where for one in found})),
            tuple(dict.fromkeys(one.detail for one in found))[:DETAILS],
            told[cause].since if cause in told else now.isoformat(timespec="seconds"),
        )
        for cause, found in sorted(by_cause.items())
    ]


def due(
    alerts: Iterable[Alert], told: Mapping[str, Told], now: datetime, repeat: timedelta
) -> tuple[list[Notice], dict[str, Told]]:
    """What to tell now, and what will have been told then.

    A cause is told when it is new, when it shows in a place where it did not (`SPREAD_PAUSE` apart), and every `repeat`;
    fewer places are no reason. A cause that is told and no longer found is resolved.
    """
    notices: list[Notice] = []
    after: dict[str, Told] = {}
    for alert in alerts:
        before = told.get(alert.cause)
        spread = before is not None and not set(alert.where) <= set(before.where)
        if before is None or now - datetime.fromisoformat(before.at) >= (SPREAD_PAUSE if spread else repeat):
            notices.append(Notice("trigger", alert))
            after[alert.cause] = Told(alert.title, alert.where, now.isoformat(timespec="seconds"), alert.since)
        else:
            after[alert.cause] = before
    for cause, before in told.items():
        if cause not in after:
            ended = Alert(cause, before.title, before.where, (), before.since)
            notices.append(Notice("resolve", ended))
    return notices, after
