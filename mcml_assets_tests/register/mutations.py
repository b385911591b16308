"""The protocol as the simulation runs it: as it is, or broken in one place, to prove that the check would notice.

A mutation replaces a piece of the protocol's own source, or lets the simulated world break a promise that the protocol
relies on. A piece that is not found any more is an error, so that no mutation dies unnoticed.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mcml_assets.domain import proposer, register


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the register: what it is called, and the piece of `module` that is replaced.

    Without a module the `flaw` is the world's: see `simulation.py`.
    """

    name: str
    module: str = ""
    old: str = ""
    new: str = ""
    flaw: str = ""


class Protocol:
    """The names of `domain/register.py` and `domain/proposer.py`, with one mutation or none."""

    def __init__(self, mutation: Mutation | None = None) -> None:
        self.flaw = mutation.flaw if mutation is not None else ""
        rules, steps = register, proposer
        if mutation is not None and mutation.module:
            rules = _copy(register, mutation, {})
            steps = _copy(proposer, mutation, vars(rules))
        self.Acceptor, self.Entry, self.Change = rules.Acceptor, rules.Entry, rules.Change
        self.made: Any = rules.made
        self.Get, self.Pause, self.Round = steps.Get, steps.Pause, steps.Round
        self.Response, self.Stored, self.propose = steps.Response, steps.Stored, steps.propose


def _copy(module: ModuleType, mutation: Mutation, rules: dict[str, Any]) -> Any:
    """The module run again from its source, mutated if it is the one; what it imports from `rules` is theirs."""
    source = Path(module.__file__ or "").read_text(encoding="utf-8")
    name = module.__name__.rpartition(".")[2]
    if mutation.module == name:
        if source.count(mutation.old) != 1:
            raise AssertionError(f"mutation {mutation.name!r} does not apply: {mutation.old!r} is not there once")
        source = source.replace(mutation.old, mutation.new)
    copy = ModuleType(f"mutated_{name}")
    # The original's names first, so that what is imported finds the mutated rules in place of the sound ones.
    imports, body = source.split("from mcml_assets.domain.register import (", 1) if rules else ("", source)
    if rules:
        source = imports + body.split(")\n", 1)[1]
        vars(copy).update({key: value for key, value in rules.items() if not key.startswith("__")})
    exec(compile(source, str(module.__file__), "exec"), vars(copy))  # noqa: S102 - our own source, one piece replaced
    return copy


SOUND = Protocol()

MUTATIONS = (
    Mutation(
        "a promise is given below a higher one",
        "register",
        '''when it promised more already."""
    if ballot < acceptor.promised:
        return None
''',
        '''when it promised more already."""
''',
    ),
    Mutation(
        "an entry is accepted below a higher promise",
        "register",
        '''when it promised a higher ballot."""
    if ballot < acceptor.promised:
        return None
''',
        '''when it promised a higher ballot."""
''',
    ),
    Mutation(
        "a promise is not written down",
        "register",
        "return replace(acceptor, promised=ballot)\n",
        "return acceptor if acceptor.entry else replace(acceptor, promised=ballot)\n",
    ),
    Mutation("the ballot of what is accepted is not kept", "register", "promised=ballot, accepted=ballot,", "promised=ballot,"),
    Mutation("one store is a majority", "register", "return len(members) // 2 + 1", "return 1"),
    Mutation("a change made and superseded is told as refused", "register", "return 0 <= back <", "return 0 == back <"),
    Mutation("the epoch that is expected is not compared", "register", "current.acting != change.expected", "False"),
    Mutation(
        "a stale read is accepted",
        "proposer",
        "ballots[acceptor.accepted] >= majority(members)",
        "len(answers) >= majority(members)",
    ),
    Mutation(
        "an unacknowledged write is taken for a failure",
        "proposer",
        "sent = sent or (change is not None and made(entry, change))",
        "pass",
    ),
    Mutation(
        "one acknowledgement is enough", "proposer", "if len(granting(answers)) >= majority(members):", "if granting(answers):"
    ),
    Mutation("promises of a majority are not awaited", "proposer", "if len(known) < majority(members) or", "if not known or"),
    Mutation(
        "an old accepted entry is taken for the latest",
        "proposer",
        "return max((stored.acceptor for",
        "return min((stored.acceptor for",
    ),
    Mutation(
        "a ballot is used for two attempts",
        "proposer",
        "counter = max(counter, *(",
        "counter = counter if counter else max(0, *(",
    ),
    Mutation("a put that lost is taken for done", "proposer", "        if response.done:\n", "        if True:\n"),
    Mutation(
        "what is found is not confirmed",
        "proposer",
        "        # From here on some store",
        "        if entry == _latest(known):\n            return entry\n        # From here on some store",
    ),
    Mutation(
        "the first entry is not written",
        "proposer",
        "settled = agreed(members, answers)\n",
        "settled = agreed(members, answers) or (None if any(a.stored.version for a in answers.values()) else first)\n",
    ),
    Mutation("what is accepted is forgotten at a restart", flaw="forgets"),
    Mutation("a conditional put replaces whatever is there", flaw="unconditional"),
    Mutation("two proposers have one name", flaw="one_name"),
)
