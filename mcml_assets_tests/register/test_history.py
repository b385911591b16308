"""Whether the check of histories can be trusted: on histories made by hand, and beside one that tries every order."""

from itertools import combinations, permutations
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets_tests.register.history import Operation, State, after, explain, linearizable

AWS, GCP, AZURE = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"


def read(begun: float, ended: float, location: str, epoch: int) -> Operation:
    return Operation("r", begun, ended, AWS, (location, epoch))


def move(
    begun: float, ended: float, epoch: int, location: str, request: str, refused: tuple[str, int] | None = None
) -> Operation:
    """A change from aws in `epoch`, made unless it was `refused`."""
    return Operation("w", begun, ended, AWS, refused, (AWS, epoch), location, request)


WRONG = {
    "a read goes back in time": [move(0, 1, 1, GCP, "a"), read(2, 3, GCP, 2), read(4, 5, AWS, 1)],
    "an acknowledged change is lost": [move(0, 1, 1, GCP, "a"), read(2, 3, AWS, 1)],
    "two changes of one epoch were made": [move(0, 9, 1, GCP, "a"), move(0, 9, 1, AZURE, "b")],
    "a change was refused although nobody else made one": [move(0, 1, 1, GCP, "a", refused=(AZURE, 2))],
    "a refused change shows up": [move(0, 1, 1, GCP, "a", refused=(AWS, 1)), read(2, 3, GCP, 2)],
    "a refused change of unknown past shows up after the refusal was overtaken": [
        move(0, 1, 1, AZURE, "b"), move(2, 3, 1, GCP, "a", refused=(AZURE, 2)), read(4, 5, GCP, 3)
    ],
    "a value appears that nobody wrote": [read(0, 1, AZURE, 1)],
    "an epoch is left out": [move(0, 1, 1, GCP, "a"), read(2, 3, GCP, 3)],
    "an unknown change happens twice": [move(0, inf, 1, GCP, "a"), read(1, 2, GCP, 2), read(3, 4, AWS, 1)],
    "an unknown change happens before it began": [read(0, 1, GCP, 2), move(2, inf, 1, GCP, "a")],
    "the same request is made of two epochs": [move(0, 1, 1, AWS, "a"), move(2, 3, 2, GCP, "b"), move(4, 5, 2, AZURE, "b")],
}  # fmt: skip
RIGHT = {
    "nothing happened": [],
    "a read during a change sees either": [move(0, 9, 1, GCP, "a"), read(1, 8, AWS, 1), read(2, 8, GCP, 2)],
    "an unknown change happens late": [move(0, inf, 1, GCP, "a"), read(1, 2, AWS, 1), read(50, 60, GCP, 2)],
    "an unknown change never happens": [move(0, inf, 1, GCP, "a"), read(1, 2, AWS, 1), read(50, 60, AWS, 1)],
    "a change is refused because an unknown one happened": [
        move(0, inf, 1, GCP, "a"), move(1, 2, 1, AZURE, "b", refused=(GCP, 2))
    ],
    "a request is made once and told twice": [move(0, 1, 1, GCP, "a"), move(2, 3, 1, GCP, "a"), read(4, 5, GCP, 2)],
    "two first readers agree": [read(0, 9, AWS, 1), Operation("r", 1, 2, GCP, (AWS, 1))],
    "a refused change was the first use, and others went on from it before it ended": [
        Operation("w", 0, 9, GCP, (AZURE, 2), (AWS, 1), AWS, "a"),
        Operation("w", 1, 3, AWS, None, (GCP, 1), AZURE, "b"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_history_that_no_register_can_give_is_found(wrong: str) -> None:
    assert not linearizable(WRONG[wrong]), explain(WRONG[wrong])


@pytest.mark.parametrize("right", RIGHT)
def test_a_history_that_a_register_can_give_is_accepted(right: str) -> None:
    assert linearizable(RIGHT[right]), explain(RIGHT[right])


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    begun = draw(st.integers(0, 6))
    ended = draw(st.sampled_from([inf, float(begun + draw(st.integers(1, 6)))]))
    decided = st.tuples(st.sampled_from([AWS, GCP]), st.integers(1, 3))
    if draw(st.booleans()):
        return Operation("r", begun, ended, AWS, draw(decided))
    returned = draw(st.none() | decided) if ended != inf else None
    return Operation(
        "w", begun, ended, AWS, returned, draw(decided), draw(st.sampled_from([AWS, GCP])), draw(st.sampled_from("abc"))
    )


@given(st.lists(operations(), max_size=4))
@settings(max_examples=300, deadline=None)
def test_the_search_agrees_with_trying_every_order(history: list[Operation]) -> None:
    assert linearizable(history) == _any_order(history)


def _any_order(history: list[Operation]) -> bool:
    """The definition, without a thought for time: some order of all that ended and some of the others works."""
    unknown = [operation for operation in history if operation.indeterminate]
    known = [operation for operation in history if not operation.indeterminate]
    return any(
        _works(order)
        for count in range(len(unknown) + 1)
        for happened in combinations(unknown, count)
        for order in permutations([*known, *happened])
    )


def _works(order: tuple[Operation, ...]) -> bool:
    if any(later.ended < earlier.begun for number, earlier in enumerate(order) for later in order[number + 1 :]):
        return False
    state: State | None = ()
    for operation in order:
        state = after(operation, state)
        if state is None:
            return False
    return True
