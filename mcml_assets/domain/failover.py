"""The decision which location acts for a workload in a jurisdiction, and which partitions that takes.

Pure, and the only one there is: the sensors, the commands and the what-if all call `decide`. The facts are gathered in
`failover/facts.py`; who is told, and how an epoch changes, is decided above. When a location that failed may act again
is `recovery.py`'s question.

What makes a location ready is `readiness.py`'s. The rules that nothing switches off: the work stays in its jurisdiction, it
goes to a location that answers and is ready, and no move leaves fewer than one location serving where one serves now.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.readiness import (
    STALE,
    Health,
    LocationFacts,
    Question,
    Readiness,
    Serving,
    Yardstick,
    readiness,
    short,
)


class Cause(StrEnum):
    """Why the decision is asked for."""

    UNAVAILABLE = "unavailable"
    """A run failed with `LocationUnavailable`, naming the acting location."""
    PROBE = "probe"
    """A run ended without saying why, or nothing ran: only a probe that finds the acting location down moves work."""
    ORDER = "order"
    """A person asked for it: `mcml failover` or `mcml evacuate`."""
    FAILBACK = "failback"
    """The primary answers again, long enough: a planned handover, with which nothing may be lost."""


PLANNED = (Cause.ORDER, Cause.FAILBACK)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision about one workload in one jurisdiction rests on.

    `locations` are the placement's, in its order. `newest` is the newest snapshot known of the acting location, which was
    committed `newest_age_seconds` ago. `exact_features` tells that the workload declares no tolerance between locations,
    `declared_features` which features it declares (`view.column`).
    `evacuated` are locations that a person took the work from. `register_problem` tells why nobody can say for sure who is
    acting, so that nothing may move; None when that can be said.
    """

    workload: str
    jurisdiction: str
    acting: Acting
    rpo_seconds: float
    locations: tuple[LocationFacts, ...]
    newest: str | None = None
    evacuated: frozenset[str] = frozenset()
    register_problem: str | None = None
    newest_age_seconds: float | None = None
    exact_features: bool = True
    declared_features: frozenset[str] = frozenset()

    def readiness(self, location: str) -> Readiness | None:
        """Whether a location could take the work over, point by point; None when it is not in the placement."""
        facts = self.facts(location)
        if facts is None:
            return None
        others = tuple(other for other in self.locations if other.location != location)
        return readiness(facts, Yardstick(self.newest, self.rpo_seconds, others, self.exact_features, self.declared_features))

    def facts(self, location: str) -> LocationFacts | None:
        """What is known of a location; None when it is not in the placement."""
        return next((facts for facts in self.locations if facts.location == location), None)


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """One run to request: these assets of the workload, for one partition."""

    nouns: tuple[str, ...]
    partition: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A location that was not chosen, and why."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loss:
    """What a move leaves behind: a snapshot of the former acting location, and for how long the new one lacked it.

    The batches in it are taken from the source again; what the source no longer has is lost.
    """

    snapshot: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about a workload in a jurisdiction: move to `after`, or stay when that is None.

    `runs` are all that the move itself requests; what follows from their publications, the automation conditions say.
    """

    workload: str
    jurisdiction: str
    cause: Cause
    before: Acting
    after: Acting | None
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()
    runs: tuple[RequestedRun, ...] = ()
    loss: Loss | None = None

    @property
    def moves(self) -> bool:
        """Whether the acting location changes."""
        return self.after is not None

    @property
    def summary(self) -> str:
        """One line for people: a skip reason, a log, a heading."""
        where = f"{self.workload} in {self.jurisdiction}"
        why = "; ".join(self.reasons)
        if self.after is not None:
            return f"{where} moves from {self.before.location} to {self.after.location}, epoch {self.after.epoch}: {why}"
        others = "".join(f"; not {rejected.location}: {rejected.reason}" for rejected in self.rejected)
        return f"{where} stays at {self.before.location}: {why}{others}"


def decide(situation: Situation, cause: Cause, *, wanted: str | None = None, accept_loss: bool = False) -> Decision:
    """Move to the first location of the placement that is lawful, up, fresh enough and ready, or stay; with all reasons.

    Among candidates a running server goes before a cold standby, so that the fewest requests wait for a start. `wanted`
    names the only candidate. A planned move, from a location that is up, goes to a running server that lacks nothing;
    `accept_loss`, a person's word, waives freshness and nothing else.
    """
    acting = situation.facts(situation.acting.location)
    stay = _reason_to_stay(situation, acting, cause)
    if stay is not None:
        return _stay(situation, cause, stay)
    rejected: list[Rejected] = []
    eligible: list[LocationFacts] = []
    for facts in _candidates(situation, wanted):
        reason = _rejection(situation, facts, cause, accept_loss=accept_loss)
        if reason is None:
            eligible.append(facts)
        else:
            rejected.append(Rejected(facts.location, reason))
    if wanted is not None and situation.facts(wanted) is None:
        rejected.append(Rejected(wanted, f"it is not in the placement of {situation.workload} in {situation.jurisdiction}"))
    if not eligible:
        why = _why(situation, acting, cause)
        return _stay(situation, cause, f"{why}, and no location may take the work over", rejected)
    if situation.register_problem is not None:
        # Two sides of a partition could each think so: without a majority there is no move.
        return _stay(situation, cause, f"{_why(situation, acting, cause)}, but {situation.register_problem}", rejected)
    chosen = next((facts for facts in eligible if facts.serving is Serving.READY), eligible[0])
    return Decision(
        workload=situation.workload,
        jurisdiction=situation.jurisdiction,
        cause=cause,
        before=situation.acting,
        after=Acting(chosen.location, situation.acting.epoch + 1),
        reasons=(_why(situation, acting, cause), _qualifies(chosen), *_reservations(situation, chosen)),
        rejected=tuple(rejected),
        runs=needed_runs(situation.jurisdiction, chosen),
        loss=_loss(situation, chosen),
    )


def needed_runs(jurisdiction: str, acting: LocationFacts) -> tuple[RequestedRun, ...]:
    """What a location has to be asked for when it becomes the acting one: one run, or two where a server has to start.

    `landing` continues there from the location's own copy, and `traffic_route` names it. Features that nobody trained on
    are what the former acting location was about to do, so training on them is asked for too. A cold standby starts its
    server in a run of its own, whose publication makes the route due.
    """
    trained = ("training_run",) if acting.untrained else ()
    if acting.model is None:
        return (RequestedRun(("landing", *trained), jurisdiction),)
    if acting.serving is Serving.READY:
        return (RequestedRun(("landing", "traffic_route", *trained), jurisdiction),)
    return (RequestedRun(("endpoint",), acting.location), RequestedRun(("landing", *trained), jurisdiction))


def lag_seconds(own: str | None, newest: str | None, committed_at: datetime | None, as_of: datetime) -> float | None:
    """The replication lag: how old the newest snapshot of the acting location was at `as_of`, if `own` is not that one.

    0 when it is; None when either is unknown. `as_of` is the last moment at which the acting location can have worked:
    an outage by itself ages no copy.
    """
    if own is None or newest is None or committed_at is None:
        return None
    return 0.0 if own == newest else max(0.0, (as_of - committed_at).total_seconds())


def _reason_to_stay(situation: Situation, acting: LocationFacts | None, cause: Cause) -> str | None:
    if cause is Cause.PROBE and acting is not None and acting.health is Health.UP:
        return "the acting location answers"
    if cause is Cause.PROBE and acting is not None and acting.health is Health.UNKNOWN:
        return f"nobody can tell whether the acting location answers ({acting.problem or 'no reason given'})"
    if cause is Cause.FAILBACK and situation.acting.location == situation.locations[0].location:
        return "the primary acts"
    return None


def _candidates(situation: Situation, wanted: str | None) -> tuple[LocationFacts, ...]:
    others = tuple(facts for facts in situation.locations if facts.location != situation.acting.location)
    return others if wanted is None else tuple(facts for facts in others if facts.location == wanted)


def _rejection(situation: Situation, facts: LocationFacts, cause: Cause, *, accept_loss: bool) -> str | None:
    """Why this location may not take the work over; None when it may. The first reason that holds is told."""
    planned = cause in PLANNED and _is_up(situation.facts(situation.acting.location))
    if facts.jurisdiction != situation.jurisdiction:
        return f"unlawful: it lies in {facts.jurisdiction}, not in {situation.jurisdiction}"
    if facts.location in situation.evacuated:
        return "evacuated: a person took the work from it"
    if facts.health is not Health.UP:
        return f"{facts.health}: {facts.problem or 'no reason given'}"
    found = situation.readiness(facts.location)
    for point in found.unmet if found is not None else ():
        if not (accept_loss and point.kind == STALE):
            return f"{point.kind}: {point.text}"
    if planned and facts.lag_seconds != 0 and not accept_loss:
        return f"stale: it lacks the newest snapshot {short(situation.newest)}, and a planned move loses nothing"
    serving = [other.location for other in situation.locations if other.serves]
    if planned and serving and facts.model is not None and facts.serving is not Serving.READY:
        return f"not ready: its server is cold, and a planned move needs one that runs; {', '.join(serving)} serves now"
    return None


def _is_up(facts: LocationFacts | None) -> bool:
    return facts is not None and facts.health is Health.UP


def _why(situation: Situation, acting: LocationFacts | None, cause: Cause) -> str:
    location = situation.acting.location
    match cause:
        case Cause.UNAVAILABLE:
            return f"a run failed because {location} is unavailable"
        case Cause.PROBE:
            said = acting.problem if acting is not None and acting.problem else "it does not answer"
            return f"a probe finds {location} down ({said})" if acting is not None else f"{location} is not in the placement"
        case Cause.ORDER:
            return "a person asked for it"
        case Cause.FAILBACK:
            return f"the primary {situation.locations[0].location} has answered long enough"


def _qualifies(facts: LocationFacts) -> str:
    lag = facts.lag_seconds
    fresh = "holds the newest snapshot" if lag == 0 else "its lag is unknown" if lag is None else f"lags {lag:.0f} s"
    return f"{facts.location} is lawful, up, {fresh}, and its server is {facts.serving}"


def _reservations(situation: Situation, facts: LocationFacts) -> tuple[str, ...]:
    """What is not proved of the chosen location, beside its lag and its server, which are told anyway."""
    found = situation.readiness(facts.location)
    told = [
        point.text
        for point in (found.reservations if found is not None else ())
        if point.question not in (Question.DATA, Question.CAPACITY)
    ]
    return (f"with reservations about {facts.location}: {'; '.join(told)}",) if told else ()


def _loss(situation: Situation, chosen: LocationFacts) -> Loss | None:
    if situation.newest is None or chosen.lag_seconds == 0:
        return None
    return Loss(situation.newest, chosen.lag_seconds or 0.0)


def _stay(situation: Situation, cause: Cause, reason: str, rejected: list[Rejected] | None = None) -> Decision:
    return Decision(
        workload=situation.workload,
        jurisdiction=situation.jurisdiction,
        cause=cause,
        before=situation.acting,
        after=None,
        reasons=(reason,),
        rejected=tuple(rejected or ()),
    )
