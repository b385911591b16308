"""Runs schedules of the simulation and checks each history: `python -m mcml_assets_tests.register.simulate --help`.

Ends with 1 at the first history that is not linearizable, and prints its seed, what happened, and how to see it again.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from mcml_assets_tests.register.history import Operation, explain, linearizable
from mcml_assets_tests.register.mutations import MUTATIONS, SOUND, Protocol
from mcml_assets_tests.register.simulation import Stuck, run

COMMAND = "python -m mcml_assets_tests.register.simulate"


class Violation(AssertionError):
    """A schedule whose history is not linearizable, or after which the register did not recover."""


def check(seed: int, code: Protocol = SOUND) -> list[Operation]:
    """The history of one schedule. Raises `Violation` if it is not what a register may do."""
    try:
        history = run(seed, code)
    except Stuck as stuck:
        raise Violation(f"seed {seed}: {stuck}; see it again with: {COMMAND} --replay {seed}") from None
    if not linearizable(history):
        raise Violation(
            f"seed {seed}: no order of these operations explains what they returned:\n{explain(history)}\n"
            f"see it again with: {COMMAND} --replay {seed}"
        )
    return history


def kinds(history: list[Operation]) -> Iterator[str]:
    """What each operation of a history came to."""
    for operation in history:
        if operation.indeterminate:
            yield "end unknown"
        elif operation.request is None:
            yield "read"
        else:
            yield "made" if operation.returned is None else "refused"


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="How many schedules to run.")
    parser.add_argument("--first", type=int, default=0, help="The seed of the first one; the others count up from it.")
    parser.add_argument("--replay", type=int, help="Run the schedule of this seed only, and print its history.")
    parser.add_argument("--mutation", choices=[mutation.name for mutation in MUTATIONS], help="Break the protocol so.")
    chosen = parser.parse_args()
    code = next((Protocol(mutation) for mutation in MUTATIONS if mutation.name == chosen.mutation), SOUND)
    seeds = range(chosen.first, chosen.first + chosen.schedules) if chosen.replay is None else [chosen.replay]
    seen: Counter[str] = Counter()
    began = time.monotonic()
    for number, seed in enumerate(seeds):
        try:
            history = check(seed, code)
        except Violation as violation:
            print(violation)  # noqa: T201 - the command's answer
            return 1
        seen.update(kinds(history))
        if chosen.replay is not None:
            print(explain(history))  # noqa: T201 - the command's answer
        if number % 50_000 == 49_999:
            print(f"{number + 1:,} schedules after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(seen.items()))
    print(f"{len(seeds):,} schedules from seed {seeds[0]} are linearizable, in {time.monotonic() - began:.0f} s: {told}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
