"""What a drill measured, and the verdict on it: pure, and the same for a rehearsal and for a real outage.

Times are seconds since the epoch (UTC) and come from events: the register's entries, Dagster's runs and materializations,
and answers that callers got. A moment that no event tells is None, and an objective that needs it is missed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor

from mcml_assets.domain.scenario import Objectives


class Verdict(StrEnum):
    """How a drill ended."""

    MET = "met"
    MISSED = "missed"
    REFUSED = "refused"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Timeline:
    """The moments of one outage of one jurisdiction.

    `fault` it began; `detected` the platform first recorded that something is wrong; `decided` the register changed;
    `first_run` the new acting location's first run began; `published` a snapshot was committed there; `served` the first
    answer under the new epoch came; `mended` the fault was over; and `returned` the primary acted again, with everything
    caught up.
    """

    fault: float
    detected: float | None = None
    decided: float | None = None
    first_run: float | None = None
    published: float | None = None
    served: float | None = None
    mended: float | None = None
    returned: float | None = None

    def seconds(self, moment: str) -> float | None:
        """Seconds from the fault to a moment; None where no event tells it."""
        at: float | None = getattr(self, moment)
        return None if at is None else at - self.fault


STAGES = ("detected", "decided", "first_run", "published", "served", "mended", "returned")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the load.

    `due` is when it was to begin (seconds since the epoch, UTC), `seconds` how long after that its answer came, `status` 0
    for none, `location` who answered and `epoch` the route's; the last two are empty and None without an answer. `wrong`:
    the same package had given other scores for the same question before.
    """

    due: float
    seconds: float
    status: int
    location: str = ""
    epoch: int | None = None
    wrong: bool = False

    @property
    def failed(self) -> bool:
        """No answer, or one that the platform is to blame for."""
        return self.status == 0 or self.status >= 500


@dataclass(frozen=True, slots=True)
class Requests:
    """What became of the load: counts, and latencies in milliseconds."""

    sent: int
    failed: int
    p50: float
    p99: float
    slowest: float
    answered_by: tuple[tuple[str, int], ...]
    wrong: int = 0

    @classmethod
    def of(cls, asked: Sequence[Asked]) -> "Requests":
        """Count them; percentiles by nearest rank."""
        times = sorted(1000 * one.seconds for one in asked)
        by: dict[str, int] = {}
        for one in asked:
            if one.location:
                by[one.location] = by.get(one.location, 0) + 1
        return cls(
            sent=len(asked),
            failed=sum(one.failed for one in asked),
            p50=_rank(times, 0.50),
            p99=_rank(times, 0.99),
            slowest=times[-1] if times else 0.0,
            answered_by=tuple(sorted(by.items())),
            wrong=sum(one.wrong for one in asked),
        )


@dataclass(frozen=True, slots=True)
class Second:
    """What callers met within one second: `at` whole seconds from the fault (negative before it), how many requests were
    due, how many of them failed, and the slowest answer in milliseconds.
    """

    at: int
    sent: int
    failed: int
    slowest: float


def by_second(asked: Sequence[Asked], fault: float) -> tuple[Second, ...]:
    """The load second by second, in order; a second without requests is left out."""
    seconds: dict[int, list[Asked]] = {}
    for one in asked:
        seconds.setdefault(floor(one.due - fault), []).append(one)
    return tuple(
        Second(at, len(ones), sum(one.failed for one in ones), max(1000 * one.seconds for one in ones))
        for at, ones in sorted(seconds.items())
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that the drill asked for: of what, how it had to end, and how it did; None where it has not, or never began."""

    what: str
    fails: bool
    failed: bool | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RolledOut:
    """A rollout that a fault met: where, to which version, the share in percent that it had reached then, in words how far
    it came, and whether it was done in the end.
    """

    location: str
    version: int
    share: int
    ended: str
    done: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """How far one asset of one place came: times of its first publication since the fault, and of its first answer.

    `place` is a location or the jurisdiction. Only an endpoint and a route are ever answered from.
    """

    asset: str
    place: str
    published: float | None = None
    served: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """All that a drill measured: who acted before and afterwards, when what happened, what was left behind, the requests.

    `loss_seconds` is the age of the newest data that the new acting location lacked when it took over, 0 for none, None
    when no decision told it. `at_risk_seconds` is the age of the newest data that no other location held when the fault ended:
    what would have been lost, had the acting location never come back; None where nobody could tell. `requests` are those
    due from the fault on, `load` has those before it too.
    """

    acting_before: str
    acting_after: str
    timeline: Timeline
    requests: Requests
    loss_seconds: float | None
    load: tuple[Second, ...] = ()
    at_risk_seconds: float | None = None
    runs: tuple[Ended, ...] = ()
    stages: tuple[Stage, ...] = ()
    rollout: RolledOut | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One objective: what it asks, what was measured, whether it is met."""

    objective: str
    measured: str
    met: bool


def judge(objectives: Objectives, measured: Measured, rto_seconds: float, rpo_seconds: float) -> tuple[Judged, ...]:
    """Each objective against what was measured; what no event tells is missed, never met for lack of information.

    The recovery time is from the fault to the first answer under the new epoch; where nothing is to move there is none, and
    the failed requests alone tell. RTO and RPO are the workload's, in seconds.
    """
    requests, timeline = measured.requests, measured.timeline
    found = [*_about_callers(objectives, requests), *map(_as_it_had_to_end, measured.runs)]
    moved = timeline.decided is not None
    found.append(
        Judged(
            "the work moves" if objectives.moves else "nothing moves",
            f"to {measured.acting_after}" if moved else "it stayed",
            moved is objectives.moves,
        )
    )
    if objectives.moves:
        bound = objectives.recovery_seconds if objectives.recovery_seconds is not None else rto_seconds
        found.append(_bounded(f"served by the new acting location within {bound:g} s (RTO)", timeline.seconds("served"), bound))
        allowed = objectives.loss_seconds if objectives.loss_seconds is not None else rpo_seconds
        found.append(_bounded(f"at most {allowed:g} s of data are left behind (RPO)", measured.loss_seconds, allowed))
    if (rollout := measured.rollout) is not None:
        what = f"the rollout of version {rollout.version} in {rollout.location}, met at {rollout.share} %, comes to its end"
        found.append(Judged(what, rollout.ended, rollout.done))
    if objectives.returns:
        returned = timeline.seconds("returned")
        found.append(
            Judged(
                "all is well again, and the primary acts",
                "no" if returned is None else f"after {returned:.0f} s",
                returned is not None,
            )
        )
    return tuple(found)


def verdict(judged: Sequence[Judged]) -> Verdict:
    """Met only when something was judged, and all of it is met."""
    return Verdict.MET if judged and all(one.met for one in judged) else Verdict.MISSED


def _about_callers(objectives: Objectives, requests: Requests) -> Iterator[Judged]:
    if objectives.failed_requests is not None:
        yield Judged(
            f"at most {objectives.failed_requests} requests fail",
            f"{requests.failed} of {requests.sent}",
            requests.sent > 0 and requests.failed <= objectives.failed_requests,
        )
    yield Judged(
        f"at most {objectives.wrong_answers} answers are wrong",
        f"{requests.wrong} of {requests.sent - requests.failed}",
        requests.sent > 0 and requests.wrong <= objectives.wrong_answers,
    )
    if objectives.slowest_milliseconds is not None:
        yield Judged(
            f"no answer takes more than {objectives.slowest_milliseconds:g} ms",
            f"{requests.slowest:.0f} ms",
            requests.sent > 0 and requests.slowest <= objectives.slowest_milliseconds,
        )


def _as_it_had_to_end(run: Ended) -> Judged:
    wanted = "fails" if run.fails else "succeeds"
    if run.failed is None:
        return Judged(f"the run of {run.what} {wanted}", "no event tells", met=False)
    told = f"it failed ({run.error or 'no typed error'})" if run.failed else "it succeeded"
    return Judged(f"the run of {run.what} {wanted}", told, run.failed is run.fails)


def _bounded(objective: str, seconds: float | None, bound: float) -> Judged:
    return Judged(
        objective, "no event tells" if seconds is None else f"{seconds:.1f} s", seconds is not None and seconds <= bound
    )


def _rank(times: Sequence[float], share: float) -> float:
    return times[max(0, ceil(share * len(times)) - 1)] if times else 0.0
