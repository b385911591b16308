"""The register keeps its promises in thousands of bad days, and the check that says so notices when it does not."""

from collections import Counter

import pytest

from mcml_assets_tests.register.history import explain
from mcml_assets_tests.register.mutations import MUTATIONS, SOUND, Mutation, Protocol
from mcml_assets_tests.register.simulate import Violation, check, kinds
from mcml_assets_tests.register.simulation import run

SCHEDULES = 10_000
ENOUGH = 4_000


def check_all(code: Protocol, schedules: int) -> Counter[str]:
    """What the operations of so many schedules came to. Raises `Violation` at the first that shows the register broken."""
    seen: Counter[str] = Counter()
    for seed in range(schedules):
        seen.update(kinds(check(seed, code)))
    return seen


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_register_that_is_broken_in_one_place_is_found_out(mutation: Mutation) -> None:
    with pytest.raises(Violation, match=r"see it again with: python -m \S+ --replay \d+"):
        check_all(Protocol(mutation), ENOUGH)


def test_every_history_of_ten_thousand_schedules_is_linearizable() -> None:
    seen = check_all(SOUND, SCHEDULES)
    # The schedules are worth something only if much succeeds, much collides, and much is never heard of again.
    assert all(seen[kind] > SCHEDULES for kind in ("read", "made", "refused", "end unknown")), seen


def test_a_seed_gives_the_same_history_again() -> None:
    assert explain(run(7)) == explain(run(7)) != explain(run(8))
