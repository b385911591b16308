"""Synthetic transactions: what they found, counted between summaries. Pure; asking is `serving/synthetic.py`'s business.

A result a minute for every endpoint and route is too much to keep one by one, and too precious to throw away: a change is
told at once, the rest as a sum for each period.
"""

from dataclasses import dataclass

SUMMARY_SECONDS = 3600.0
TELL_AFTER = 2  # failures in a row: one alone may be a server that was just replaced


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one transaction found. `problem` is why it failed; `milliseconds` is the whole way there and back, if there was one.

    `answered_by` is a location.
    """

    passed: bool
    problem: str | None = None
    milliseconds: float | None = None
    answered_by: str | None = None
    model_version: int | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcomes since the last summary (`since`, Unix seconds), and how many in a row, over summaries, were as the last."""

    passed: bool
    in_a_row: int
    since: float
    asked: int = 0
    failed: int = 0
    slowest_milliseconds: float = 0.0
    slow: int = 0

    @property
    def to_be_told(self) -> bool:
        """Whether people should know: it fails, and not for the first time."""
        return not self.passed and self.in_a_row >= TELL_AFTER


@dataclass(frozen=True, slots=True)
class Summary:
    """A period (Unix seconds) with its outcomes, the last of which is `last`; `slow` ones passed, and took too long."""

    last: Outcome
    since: float
    until: float
    asked: int
    failed: int
    slowest_milliseconds: float
    slow: int = 0


def tallied(before: Tally | None, outcome: Outcome, now: float, slow_past: float) -> tuple[Tally, Summary | None]:
    """Count an outcome; a summary follows when it is the first, when it is another than the last, or after an hour.

    `slow_past` are the milliseconds past which an answer is slow.
    """
    since = before.since if before is not None else now
    asked = (before.asked if before is not None else 0) + 1
    failed = (before.failed if before is not None else 0) + (not outcome.passed)
    slowest = max(before.slowest_milliseconds if before is not None else 0.0, outcome.milliseconds or 0.0)
    is_slow = outcome.passed and outcome.milliseconds is not None and outcome.milliseconds > slow_past
    slow = (before.slow if before is not None else 0) + is_slow
    as_before = before is not None and before.passed == outcome.passed
    in_a_row = before.in_a_row + 1 if before is not None and as_before else 1
    if as_before and now - since < SUMMARY_SECONDS:
        return Tally(outcome.passed, in_a_row, since, asked, failed, slowest, slow), None
    return Tally(outcome.passed, in_a_row, now), Summary(outcome, since, now, asked, failed, slowest, slow)
