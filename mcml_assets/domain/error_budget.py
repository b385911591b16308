"""Error budgets: how many bad answers a workload may give, how fast they are given now, and which objective burns.

Pure, over counts that others take (of one location, of one model version, or of the edge as a whole). The method is
multi-window, multi-burn-rate alerting of The Site Reliability Workbook, chapter 5 "Alerting on SLOs", part 6: a long
window says that enough of the budget is gone to matter, a short one that it is still burning. Windows and shares are those
of its table 5-8.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

DAY_SECONDS = 86400.0
# One failed request of ten is a hundred times the budget of 99.9 %, and says nothing: the chapter's part on low-traffic
# services. Fewer bad answers than this, in the long window, are never taken for a fire.
LEAST_BAD = 3
# What pages people when it lasts an hour, by table 5-8 in 30 days.
ROLLOUT_RATE = 14.4


class Objective(StrEnum):
    """What is promised of a workload's answers."""

    AVAILABILITY = "availability"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Objectives:
    """Shares of requests over `period_days`: `availability` are answered without an error of the platform, and of those
    `latency_share` within `latency_milliseconds`.
    """

    availability: float = 0.999
    latency_milliseconds: float = 250.0
    latency_share: float = 0.99
    period_days: float = 30.0

    def allowed(self, objective: Objective) -> float:
        """The share of requests that may be bad: the error budget."""
        return 1.0 - (self.availability if objective is Objective.AVAILABILITY else self.latency_share)


DEFAULT_OBJECTIVES = Objectives()


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted until `at` (seconds of any steady clock), from some beginning on. `slow` ones were no errors."""

    at: float
    requests: int
    errors: int
    slow: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in a stretch of time."""

    requests: int = 0
    errors: int = 0
    slow: int = 0

    def total(self, objective: Objective) -> int:
        """The requests that an objective is about: how fast an error came is of no interest."""
        return self.requests if objective is Objective.AVAILABILITY else self.requests - self.errors

    def bad(self, objective: Objective) -> int:
        """Those of them that do not fulfil it."""
        return self.errors if objective is Objective.AVAILABILITY else self.slow


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """A pair of windows (seconds), and the burn rate at which both must be for the budget to burn: at rate 1 it lasts
    exactly its period.
    """

    long_seconds: float
    short_seconds: float
    rate: float


def workbook_windows(period_days: float) -> tuple[BurnWindow, ...]:
    """The three pairs of table 5-8: 2 % of the period's budget within an hour, 5 % within six, 10 % within three days.

    In 30 days these are the burn rates 14.4, 6 and 1.
    """
    period = period_days * DAY_SECONDS
    pairs = ((0.02, 3600.0, 300.0), (0.05, 21600.0, 1800.0), (0.10, 259200.0, 21600.0))
    return tuple(BurnWindow(long, short, share * period / long) for share, long, short in pairs)


def rollout_window(seconds: float) -> BurnWindow:
    """The pair by which a step of a rollout is judged, `seconds` long: the rate that pages people within an hour, and the
    table's twelfth for the short window. A step lasts minutes, so a slower fire is left to the workload's own alerts.
    """
    return BurnWindow(seconds, seconds / 12, ROLLOUT_RATE)


@dataclass(frozen=True, slots=True)
class Burn:
    """An objective whose budget burns: at which rates in the two windows of a pair, and how many answers were bad in the
    long one, of how many.
    """

    objective: Objective
    window: BurnWindow
    long_rate: float
    short_rate: float
    bad: int
    total: int

    def sentence(self, objectives: Objectives) -> str:
        """For people."""
        said = (
            "failed" if self.objective is Objective.AVAILABILITY else f"took longer than {objectives.latency_milliseconds:g} ms"
        )
        return (
            f"{self.objective}: {self.bad} of {self.total} {said} within {self.window.long_seconds:g} s; "
            f"the budget of {objectives.allowed(self.objective):.3%} burns at {self.long_rate:.1f} times its rate, "
            f"allowed are {self.window.rate:.1f}"
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a workload's budgets, as a share of the period's (negative: overdrawn; None: nothing was asked), and
    what burns, fiercest first.
    """

    left: dict[Objective, float | None]
    burns: tuple[Burn, ...]

    @property
    def burnt(self) -> Burn | None:
        """The fiercest fire, None for none."""
        return self.burns[0] if self.burns else None


def counted(samples: Sequence[Sample], seconds: float, now: float) -> Counted:
    """What was counted in the last `seconds`; samples are in order of time.

    A count that fell began anew (a server was started again), and counts from there, as Prometheus' `increase` has it.
    """
    requests = errors = slow = 0
    for before, after in pairwise(samples):
        if now - seconds < after.at <= now:
            requests += _increase(before.requests, after.requests)
            errors += _increase(before.errors, after.errors)
            slow += _increase(before.slow, after.slow)
    return Counted(requests, errors, slow)


def _increase(before: int, after: int) -> int:
    return after - before if after >= before else after


def burn_rate(found: Counted, objective: Objective, objectives: Objectives) -> float:
    """How many times faster than allowed the budget is spent: the share of bad answers over the share that may be bad.

    0 when nothing was asked: nothing was spent.
    """
    total = found.total(objective)
    return found.bad(objective) / total / objectives.allowed(objective) if total else 0.0


def judge(
    samples: Sequence[Sample],
    objectives: Objectives,
    windows: Sequence[BurnWindow],
    now: float,
    least_bad: int = LEAST_BAD,
) -> Budget:
    """What is left, and what burns, of the counts of one location, one model version, or whatever the samples are of."""
    burns = [burn for window in windows for burn in _burns(samples, objectives, window, now, least_bad)]
    burns.sort(key=lambda burn: burn.long_rate / burn.window.rate, reverse=True)
    period = counted(samples, objectives.period_days * DAY_SECONDS, now)
    left = {
        objective: 1.0 - burn_rate(period, objective, objectives) if period.total(objective) else None
        for objective in Objective
    }
    return Budget(left, tuple(burns))


def _burns(samples: Sequence[Sample], objectives: Objectives, window: BurnWindow, now: float, least_bad: int) -> Iterator[Burn]:
    long, short = counted(samples, window.long_seconds, now), counted(samples, window.short_seconds, now)
    for objective in Objective:
        rates = burn_rate(long, objective, objectives), burn_rate(short, objective, objectives)
        if min(rates) >= window.rate and long.bad(objective) >= least_bad:
            yield Burn(objective, window, *rates, long.bad(objective), long.total(objective))
