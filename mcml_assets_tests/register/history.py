"""Histories of a register, and whether one is linearizable: whether every operation could have happened at one moment.

The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the memory of what was tried
that Lowe added ("Testing for linearizability", 2017) and Porcupine made popular, for one object: the register of an acting
location. It knows what the register promises and nothing of how it keeps it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

Decided = tuple[str, int]
"""An acting location and its epoch."""
State = tuple[tuple[str, str], ...]
"""Location and request of every epoch so far, the first one first; empty before the first use."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a client, from `begun` to `ended`: a read, or with a `request` a change from `expected` to `location`.

    `first` is the location that this client would write at the first use. `returned` is what a read or a refusal named,
    None for a change that was made. An operation whose end nobody saw ended at infinity: it may have happened at any time
    since, or never.
    """

    client: str
    begun: float
    ended: float
    first: str
    returned: Decided | None = None
    expected: Decided | None = None
    location: str | None = None
    request: str | None = None

    @property
    def indeterminate(self) -> bool:
        return self.ended == inf

    def __str__(self) -> str:
        wish = "read" if self.request is None else f"change {self.expected} to {self.location} ({self.request})"
        end = "end unknown" if self.indeterminate else f"{self.ended:9.3f} {self.returned or 'made'}"
        return f"{self.client:>4} {self.begun:9.3f} .. {end}: {wish}"


def after(operation: Operation, state: State) -> State | None:
    """The state after the operation, None if it cannot have returned what it did.

    A change whose request was made already is made, and changes nothing: that is what a request is for.
    """
    state = state or ((operation.first, "first use"),)
    present = (state[-1][0], len(state))
    made = True
    if operation.request is None or operation.expected is None or operation.location is None:
        made = False
    elif operation.expected[1] < len(state) and state[operation.expected[1]] == (operation.location, operation.request):
        pass
    elif present == operation.expected:
        state = (*state, (operation.location, operation.request))
    else:
        made = False
    if operation.indeterminate or operation.returned == (None if made else present):
        return state
    return None


def linearizable(history: Sequence[Operation]) -> bool:
    """Whether there is an order of the operations that respects time, and in which each returns what it returned."""
    operations = sorted([*history, *_first_uses(history)], key=lambda operation: operation.begun)
    needed = sum(1 << number for number, operation in enumerate(operations) if not operation.indeterminate)
    tried: set[tuple[int, State]] = set()
    # A stack of its own: histories may be longer than Python's.
    waiting: list[tuple[int, State]] = [(0, ())]
    while waiting:
        done, state = waiting.pop()
        if done & needed == needed:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        # Who began after another one ended cannot come before it.
        horizon = min(operation.ended for number, operation in enumerate(operations) if not done >> number & 1)
        for number, operation in enumerate(operations):
            if operation.begun > horizon:
                break
            if done >> number & 1:
                continue
            reached = after(operation, state)
            # One of unknown end that changes nothing might as well not have happened.
            if reached is not None and not (operation.indeterminate and reached == state):
                waiting.append((done | 1 << number, reached))
    return False


def _first_uses(history: Sequence[Operation]) -> list[Operation]:
    """The first use as an operation of its own, which may have happened at any time since somebody could have made it.

    A call that makes the first use may end much later, and by then find that others went on from it.
    """
    earliest: dict[str, Operation] = {}
    for operation in sorted(history, key=lambda operation: operation.begun):
        earliest.setdefault(operation.first, operation)
    return [Operation(use.client, use.begun, inf, use.first) for use in earliest.values()]


def explain(history: Sequence[Operation]) -> str:
    """The operations as people read them, in the order of their beginnings."""
    return "\n".join(str(operation) for operation in sorted(history, key=lambda operation: operation.begun))
