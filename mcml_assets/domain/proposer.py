"""How the register of acting locations is read and changed: the proposer of CASPaxos, as steps without any I/O.

`propose` says which round of requests to make next and is told the answers; `exchange` does the same for one store, which
knows nothing of the protocol: it is an object that is read, and replaced if nobody else did. Threads drive both over real
stores (`mcml_assets/register/`), an event loop over simulated ones. The value and an acceptor's rules are in `register.py`.

Safety rests on the promises alone. No clock is read, so none can be wrong; time decides only how long a driver waits.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial

from mcml_assets.domain.errors import ConfigurationError, RegisterUnavailable
from mcml_assets.domain.register import (
    NO_BALLOT,
    Acceptor,
    Ballot,
    Entry,
    Wish,
    accept,
    changed,
    made,
    majority,
    prepare,
)

CONFLICTS = 4
"""How often one store is asked again within a round because another proposer wrote in between."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What one store holds, and the version that a conditional put compares; None while there is no object."""

    acceptor: Acceptor
    version: object | None


@dataclass(frozen=True, slots=True)
class Get:
    """Read the store's object; an absent one is an acceptor that knows nothing."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write the acceptor if the store's object still has this version, or if there is none and it is None."""

    acceptor: Acceptor
    version: object | None


@dataclass(frozen=True, slots=True)
class Response:
    """A store's answer to one request: what it holds now, or `done` False when a put lost and nothing was written."""

    stored: Stored
    done: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """How a round ended at one store: what it holds, and whether it granted what the round asked for."""

    stored: Stored
    granted: bool


Step = Callable[[Acceptor], Acceptor | None]
Exchange = Generator[Get | Put, Response, Answer]


def exchange(step: Step | None, known: Stored | None) -> Exchange:
    """Ask one store to take a step, or only what it holds.

    A put that lost says nothing: another proposer was faster, or the same put arrived twice and the second answer came
    first. So the object is read again, and the acceptor's own rules decide.
    """
    stored = known if known is not None else (yield Get()).stored
    if step is None:
        return Answer(stored, granted=True)
    for _ in range(CONFLICTS):
        after = step(stored.acceptor)
        if after is None:
            return Answer(stored, granted=False)
        if after == stored.acceptor:
            return Answer(stored, granted=True)
        response = yield Put(after, stored.version)
        if response.done:
            return Answer(response.stored, granted=True)
        stored = (yield Get()).stored
    return Answer(stored, granted=False)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of requests to all members at once: a read, or with a `step` a prepare or an accept.

    `known` is what stores held when they last answered; they are not read again before they are written. A `survey` wants
    every store's answer, not only those that decide. One that is `to_the_end` is finished at every store, also when it is
    decided, so that the slower ones are in step too.
    """

    members: tuple[str, ...]
    step: Step | None = None
    known: Mapping[str, Stored] = field(default_factory=dict[str, Stored])
    survey: bool = False
    to_the_end: bool = False

    def exchange(self, store: str) -> Exchange:
        return exchange(self.step, self.known.get(store))

    def settled(self, answers: Mapping[str, Answer], silent: int) -> bool:
        """Whether nothing that could still be answered matters; `silent` stores will not answer any more."""
        if len(answers) + silent >= len(self.members):
            return True
        if self.survey:
            return False
        if self.step is None:
            return agreed(self.members, answers) is not None
        granted = len(granting(answers))
        refused = len(answers) - granted + silent
        return granted >= majority(self.members) or refused > len(self.members) - majority(self.members)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next attempt, a random time that grows with their number: two proposers may be in each other's way."""

    attempt: int


Proposal = Generator[Round | Pause, Mapping[str, Answer], Entry]


def propose(members: tuple[str, ...], first: Entry, change: Wish | None, proposer: str, attempts: int) -> Proposal:
    """Read the register, or change it; returns its entry then, which most stores have accepted.

    `first` is the entry if the register was never used. `proposer` must name this very proposal and no other one, also
    not an earlier one of the same process. A read that finds most stores agreed is done after one round; otherwise what is
    found is confirmed as CASPaxos does, by two more. Whether a change was made is to be asked of the entry.

    Raises `RegisterUnavailable` when too few stores answer, or when no attempt gets through.
    """
    counter, sent = 0, False
    for attempt in range(attempts):
        if attempt:
            yield Pause(attempt)
        answers = yield Round(members)
        recorded = recorded_members(answers)
        if recorded is not None and recorded != members:
            members = recorded
            continue
        _require_majority(members, answers, sent)
        settled = agreed(members, answers)
        if settled is not None and changed(settled, change) == settled:
            return settled
        known = {store: answer.stored for store, answer in answers.items()}
        counter = max(counter, *(stored.acceptor.promised.counter for stored in known.values())) + 1
        ballot = Ballot(counter, proposer)
        answers = yield Round(members, partial(prepare, ballot=ballot), known)
        _require_majority(members, answers, sent)
        known = {store: answer.stored for store, answer in granting(answers).items()}
        if len(known) < majority(members) or recorded_members(answers) != members:
            continue
        entry = changed(_latest(known) or first, change)
        # From here on some store may hold the change, whether or not it is ever heard of again.
        sent = sent or (change is not None and made(entry, change))
        answers = yield Round(members, partial(accept, ballot=ballot, entry=entry), known, to_the_end=True)
        if len(granting(answers)) >= majority(members):
            return entry
    raise RegisterUnavailable(f"other proposers were faster in {attempts} attempts", may_have_happened=sent)


def agreed(members: tuple[str, ...], answers: Mapping[str, Answer]) -> Entry | None:
    """The entry that most stores accepted under one ballot, so that it is decided; None when they do not agree.

    It is the present one as well: a later decision would have been accepted by one of these stores before it answered.
    """
    ballots = Counter(answer.stored.acceptor.accepted for answer in answers.values())
    for answer in answers.values():
        acceptor = answer.stored.acceptor
        if acceptor.accepted != NO_BALLOT and ballots[acceptor.accepted] >= majority(members):
            return acceptor.entry
    return None


def recorded_members(answers: Mapping[str, Answer]) -> tuple[str, ...] | None:
    """The members that the stores in use name; None when none of them is in use. Raises `ConfigurationError` for two sets."""
    named = {answer.stored.acceptor.members for answer in answers.values() if answer.stored.version is not None}
    if len(named) > 1:
        sets = " and ".join(f"({', '.join(members)})" for members in sorted(named))
        raise ConfigurationError(f"its stores belong to two registers, {sets}: remove the objects of the one not in use")
    return next(iter(named), None)


def granting(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """The answers of the stores that did what was asked."""
    return {store: answer for store, answer in answers.items() if answer.granted}


def _latest(known: Mapping[str, Stored]) -> Entry | None:
    """The entry of the highest ballot that any of these stores accepted: what was decided, if anything was."""
    return max((stored.acceptor for stored in known.values()), key=lambda acceptor: acceptor.accepted).entry


def _require_majority(members: tuple[str, ...], answers: Mapping[str, Answer], sent: bool) -> None:
    if len(answers) < majority(members):
        raise RegisterUnavailable(
            f"{len(answers)} of its {len(members)} stores answered, and {majority(members)} must", may_have_happened=sent
        )
