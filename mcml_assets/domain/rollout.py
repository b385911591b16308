"""A rollout: how a new model version takes over one location step by step, and in which order it reaches the others.

Pure: the phases, what leads from one to the next, and the order. Who starts servers, counts answers and moves requests is
`serving/rollout/`'s business; what a burnt budget is, `error_budget.py`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mcml_assets.domain.error_budget import DEFAULT_OBJECTIVES, Objectives
from mcml_assets.domain.workload import Placement, Role, RolloutSteps

ABSENT_SECONDS = 300.0  # a location before in the order that lives, and has not been told of the version so long, is passed
LEAST_EVIDENCE = 3  # answers of the new version that a step must have seen
KEPT_EVENTS = 50


class Phase(StrEnum):
    """Where a rollout stands in its location."""

    WAITING = "waiting"
    """Its turn has not come, or it is held: only the former version runs."""
    STARTING = "starting"
    """The new version's server loads, and has to give its golden predictions before it is ready."""
    SHADOW = "shadow"
    """The new version gets copies of live requests, and nobody gets its answers."""
    SHIFTING = "shifting"
    """The new version answers a share of the location's requests."""
    DONE = "done"
    """The new version answers all of them, and the former one has ended."""
    ROLLED_BACK = "rolled back"
    """The new version was found wanting, and the former one answers all requests."""
    ABORTED = "aborted"
    """Somebody stopped it, and the former version answers all requests."""


ENDED = frozenset({Phase.DONE, Phase.ROLLED_BACK, Phase.ABORTED})


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What a rollout goes by: the declared steps, the order of the placement's locations, and the objectives."""

    steps: RolloutSteps
    order: tuple[str, ...]
    objectives: Objectives = DEFAULT_OBJECTIVES


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """One thing that happened, at `at` (Unix seconds)."""

    at: float
    phase: Phase
    text: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """The rollout of one version in one location. `digest` is the new package's; `step` counts the plan's steps from 0;
    `since` (Unix seconds) is when the phase, or the step, began.
    """

    workload: str
    location: str
    former_version: int
    version: int
    digest: str
    plan: RolloutPlan
    phase: Phase
    step: int
    began: float
    since: float
    waits_for: str | None = None
    reason: str | None = None
    events: tuple[RolloutEvent, ...] = ()

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def share(self) -> int:
        """The share of the location's requests, in percent, that the new version answers."""
        if self.phase is Phase.DONE:
            return 100
        return self.plan.steps.percents[self.step] if self.phase is Phase.SHIFTING else 0

    @property
    def copied(self) -> int:
        """The share of the jurisdiction's requests, in percent, that are copied to the new version: with what it answers
        it is asked about as much as the former one was, and never too little to be judged by.
        """
        if self.phase not in (Phase.SHADOW, Phase.SHIFTING):
            return 0
        return max(10, 100 - self.share) * self.plan.steps.shadow_percent // 100

    def sentence(self) -> str:
        """For people."""
        to = f"version {self.former_version} to {self.version}"
        match self.phase:
            case Phase.WAITING:
                return f"rollout of {to} waits: {self.waits_for or 'it was not taken up yet'}"
            case Phase.SHIFTING:
                return f"rollout of {to} is at {self.share} %, step {self.step + 1} of {len(self.plan.steps.percents)}"
            case Phase.ROLLED_BACK | Phase.ABORTED:
                return f"rollout of {to} is {self.phase}: {self.reason}"
            case _:
                return f"rollout of {to}: {self.phase}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What is so with the new version: what it has to wait for, whether its server is ready, what condemns it (which
    objective burns, a wrong answer, a dead server), and how many of its answers were seen since the step began.
    """

    waits_for: str | None = None
    ready: bool = False
    condemned: str | None = None
    seen: int = 0


def begin(
    workload: str, location: str, former_version: int, version: int, digest: str, plan: RolloutPlan, now: float
) -> Rollout:
    """A rollout that waits for its turn."""
    rollout = Rollout(workload, location, former_version, version, digest, plan, Phase.WAITING, 0, now, now)
    return _told(rollout, now, f"version {version} is to take over from version {former_version}")


def advance(rollout: Rollout, found: Findings, now: float) -> Rollout:
    """The rollout after what was found; the same one when nothing follows. One phase or step at a time, never past a
    finding against the new version, and never back except to the former version.
    """
    if rollout.ended:
        return rollout
    if found.condemned is not None:
        return _moved(rollout, Phase.ROLLED_BACK, now, found.condemned, reason=found.condemned)
    if rollout.phase is Phase.WAITING:
        if found.waits_for is not None:
            return replace(rollout, waits_for=found.waits_for)
        return _moved(rollout, Phase.STARTING, now, "its turn has come: the new version's server is started")
    if not found.ready:
        if rollout.phase is Phase.STARTING:
            return rollout
        # Server and counts are gone with the machine, or the process that watched them: what was seen counts no more.
        return _moved(rollout, Phase.STARTING, now, "the new version's server is not there: it is started again")
    steps = rollout.plan.steps
    if rollout.phase is Phase.STARTING:
        return _moved(rollout, Phase.SHADOW, now, "its golden predictions passed; it gets copies of live requests")
    needed = steps.shadow_seconds if rollout.phase is Phase.SHADOW else steps.dwell_seconds
    if now - rollout.since < needed or found.seen < LEAST_EVIDENCE or found.waits_for is not None:
        return replace(rollout, waits_for=found.waits_for)
    if rollout.phase is Phase.SHADOW:
        # After a new start the step counts again from where it was: what was proved once is not proved anew.
        return _moved(rollout, Phase.SHIFTING, now, f"it answers {steps.percents[rollout.step]} % of the requests")
    if rollout.step + 1 < len(steps.percents):
        further = replace(rollout, step=rollout.step + 1)
        return _moved(further, Phase.SHIFTING, now, f"it answers {further.share} % of the requests")
    return _moved(rollout, Phase.DONE, now, f"version {rollout.version} answers; version {rollout.former_version} ends")


def abort(rollout: Rollout, why: str, now: float) -> Rollout:
    """Stop a rollout; one that has ended stays as it ended."""
    return rollout if rollout.ended else _moved(rollout, Phase.ABORTED, now, why, reason=why)


def reopen(rollout: Rollout, why: str, now: float, *, from_first_step: bool) -> Rollout:
    """Take up again a rollout that was aborted or rolled back, at the step where it stood or from the first one."""
    if rollout.phase not in (Phase.ROLLED_BACK, Phase.ABORTED):
        return rollout
    again = replace(rollout, step=0 if from_first_step else rollout.step, began=now)
    return _moved(again, Phase.WAITING, now, why)


class Peer(StrEnum):
    """What another location is to the order."""

    DONE = "done"
    """It answers with this version, or a newer one."""
    BUSY = "busy"
    """It is on its way to this version, or has not been told of it yet."""
    STOPPED = "stopped"
    """It went back from this version, or was stopped on the way."""
    AWAY = "away"
    """It runs no server, or one that does not answer: it holds up nobody."""


def waits_for(location: str, order: Sequence[str], peers: Mapping[str, Peer]) -> str | None:
    """What a location has to wait for, None when its turn has come. A location without an entry in `peers` is away."""
    for other in order[: order.index(location)]:
        match peers.get(other, Peer.AWAY):
            case Peer.BUSY:
                return f"{other} comes first"
            case Peer.STOPPED:
                return f"{other} comes first, and went back: `mcml rollout start` there, or a new version"
            case Peer.DONE | Peer.AWAY:
                continue
    return None


def rollout_order(placement: Placement, canaries: Sequence[str]) -> tuple[str, ...]:
    """The canary location first (the declared one, else the last warm standby), then the other standbys, the primary last:
    who answers most callers is last to change.
    """
    keys = [placed.key for placed in (*placement.standbys, placement.primary)]
    warm = [placed.key for placed in placement.standbys if placed.role is Role.WARM]
    first = next((key for key in canaries if key in keys), warm[-1] if warm else keys[0])
    return (first, *(key for key in keys if key != first))


def _moved(rollout: Rollout, phase: Phase, now: float, text: str, reason: str | None = None) -> Rollout:
    return _told(replace(rollout, phase=phase, since=now, waits_for=None, reason=reason), now, text)


def _told(rollout: Rollout, now: float, text: str) -> Rollout:
    return replace(rollout, events=(*rollout.events, RolloutEvent(now, rollout.phase, text))[-KEPT_EVENTS:])
