"""`QuorumRegister`: who is acting in each jurisdiction of each workload, read and changed while any minority is down.

It drives the proposer of `domain/proposer.py` over real stores. What it guarantees, what not, and what it costs is in
`deploy/docs/register.md`.
"""

import getpass
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from uuid import uuid4

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError, RegisterUnavailable, ResidencyViolation, StaleEpoch
from mcml_assets.domain.proposer import Pause, Round, agreed, propose, recorded_members
from mcml_assets.domain.register import (
    NO_BALLOT,
    Change,
    Entry,
    Evacuate,
    Evacuation,
    GiveBack,
    Wish,
    first_entry,
    made,
    register_stores,
)
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.register.rounds import Heard, Lane, Limits, ask

FOLDER = "_register"


@dataclass(frozen=True, slots=True)
class Replica:
    """What one store of a register holds: `state` is `in step`, `behind`, `unused` or `unreachable`, `problem` why."""

    location: str
    state: str
    epoch: int | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What all stores of a register hold: the entry that most agree on, None when they do not, and every store's state."""

    entry: Entry | None
    replicas: tuple[Replica, ...]


class QuorumRegister:
    """The register of acting locations.

    `open_store` opens a location's bucket; it is asked once for each, when first needed. `changed` is called after every
    change that this object made, before it is told of. Registers that share `lanes` share their open stores, and the bound
    on what a store may leave unanswered. Thread-safe. Nothing here waits for ever: every method returns or
    raises within its `limits`.
    """

    def __init__(
        self,
        topology: Topology,
        open_store: Callable[[str], ObjectStore],
        limits: Limits | None = None,
        changed: Callable[[Workload, str, Acting], object] | None = None,
        lanes: dict[str, Lane] | None = None,
    ) -> None:
        self._topology = topology
        self._open_store = open_store
        self._changed = changed
        self._limits = limits or Limits()
        self._lanes = {} if lanes is None else lanes
        self._lock = Lock()

    def read(self, workload: Workload, jurisdiction: str) -> Acting:
        """Who is acting now: no earlier answer than any that was given before this call. One round trip as a rule.

        The first use of all makes the placement's primary the acting location, in the first epoch. Raises
        `RegisterUnavailable`.
        """
        return self.entry(workload, jurisdiction).acting

    def entry(self, workload: Workload, jurisdiction: str) -> Entry:
        """Who is acting now, since when, by whom and why; as linearizable as `read`, which is the same call."""
        return self._decide(workload, jurisdiction, None)

    def change(
        self, workload: Workload, jurisdiction: str, expected: Acting, new: Acting, *, who: str, why: str, request_id: str
    ) -> Acting:
        """Make `new` the acting location if `expected` still is; returns `new`. Three round trips as a rule.

        The same change asked for again, with the same `request_id`, happens once and returns the same, even after later ones.

        Raises `StaleEpoch`, naming who is acting, when `expected` is not, or when `new` was evacuated meanwhile;
        `ResidencyViolation` for a location outside the placement; `ConfigurationError` when the epoch does not grow by one;
        `RegisterUnavailable`, which tells whether the change may have happened all the same.
        """
        placement = workload.placement(jurisdiction)
        if new.location not in {placed.key for placed in placement.locations}:
            raise ResidencyViolation(f"{new.location!r} is not in the placement of {workload.name} in {jurisdiction}")
        if new.epoch != expected.epoch + 1:
            raise ConfigurationError(f"after epoch {expected.epoch} comes {expected.epoch + 1}, not {new.epoch}")
        change = Change(expected, new.location, _now(), who, why, request_id)
        entry = self._decide(workload, jurisdiction, change)
        if not made(entry, change):
            if entry.acting == expected:
                raise StaleEpoch(f"{workload.name} in {jurisdiction}: a person took the work from {new.location} meanwhile")
            raise StaleEpoch(
                f"{workload.name} in {jurisdiction}: {expected.location} of epoch {expected.epoch} is not acting any more; "
                f"{entry.acting.location} of epoch {entry.acting.epoch} is, since {entry.since}: {entry.why}"
            )
        if self._changed is not None:
            self._changed(workload, jurisdiction, entry.acting)
        return change.new

    def evacuate(self, workload: Workload, jurisdiction: str, evacuation: Evacuation) -> Entry:
        """Put an evacuation into force; it lasts, whoever loses what, until it is given back. Moves nothing by itself.

        Raises `ConfigurationError` for a location outside the placement, and `RegisterUnavailable`; it may be repeated.
        """
        keys = [placed.key for placed in workload.placement(jurisdiction).locations]
        if evacuation.location not in keys:
            raise ConfigurationError(f"{evacuation.location!r} is not in the placement of {workload.name} in {jurisdiction}")
        return self._decide(workload, jurisdiction, Evacuate(evacuation))

    def give_back(self, workload: Workload, jurisdiction: str, location: str, *, also_whole: bool = False) -> bool:
        """Let a location be chosen again; returns whether it could not be before. Raises `RegisterUnavailable`."""
        wish = GiveBack(location, also_whole)
        if made(self.entry(workload, jurisdiction), wish):
            return False
        self._decide(workload, jurisdiction, wish)
        return True

    def survey(self, workload: Workload, jurisdiction: str) -> Survey:
        """What each of the register's stores holds now; asks all of them and changes nothing."""
        members = register_stores(workload.placement(jurisdiction), self._topology)
        limits = replace(self._limits, patience_seconds=self._limits.round_seconds)
        heard = ask(Round(members, survey=True), _key(workload, jurisdiction), self._lane, limits)
        recorded = recorded_members(heard.answers)
        if recorded is not None and recorded != members:
            members = recorded
            heard = ask(Round(members, survey=True), _key(workload, jurisdiction), self._lane, limits)
        return Survey(agreed(members, heard.answers), _replicas(members, heard))

    def _decide(self, workload: Workload, jurisdiction: str, change: Wish | None) -> Entry:
        placement = workload.placement(jurisdiction)
        members = register_stores(placement, self._topology)
        # A name of its own for every proposal: two with one ballot could both be accepted.
        proposal = propose(members, first_entry(placement, _now(), _who()), change, uuid4().hex, self._limits.attempts)
        silent: Mapping[str, str] = {}
        try:
            step = next(proposal)
            while True:
                if isinstance(step, Pause):
                    time.sleep(self._pause_seconds(step))
                    step = proposal.send({})
                else:
                    heard = ask(step, _key(workload, jurisdiction), self._lane, self._limits)
                    silent = heard.silent
                    step = proposal.send(heard.answers)
        except StopIteration as end:
            return end.value
        except RegisterUnavailable as error:
            reasons = "".join(f"; {store}: {reason}" for store, reason in sorted(silent.items()))
            raise RegisterUnavailable(
                f"register of {workload.name} in {jurisdiction}: {error}{reasons}", may_have_happened=error.may_have_happened
            ) from None
        except ConfigurationError as error:
            raise ConfigurationError(f"register of {workload.name} in {jurisdiction}: {error}") from None

    def _pause_seconds(self, pause: Pause) -> float:
        longest = min(self._limits.longest_pause_seconds, self._limits.pause_seconds * 2**pause.attempt)
        return random.uniform(0, longest)  # noqa: S311 - spreads retries, protects nothing

    def _lane(self, location: str) -> Lane:
        with self._lock:
            return self._lanes.setdefault(location, Lane(location, self._open_store))


def _replicas(members: tuple[str, ...], heard: Heard) -> tuple[Replica, ...]:
    newest = max((answer.stored.acceptor.accepted for answer in heard.answers.values()), default=NO_BALLOT)
    replicas: list[Replica] = []
    for member in members:
        if member in heard.silent:
            replicas.append(Replica(member, "unreachable", None, heard.silent[member]))
            continue
        acceptor = heard.answers[member].stored.acceptor
        epoch = acceptor.entry.acting.epoch if acceptor.entry is not None else None
        state = "in step" if acceptor.accepted == newest else "behind"
        replicas.append(Replica(member, state if epoch is not None else "unused", epoch))
    return tuple(replicas)


def _key(workload: Workload, jurisdiction: str) -> str:
    return f"{FOLDER}/{workload.name}/{jurisdiction}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
