"""What the checks cost beside other tools: `make bench-checks` runs every subject and writes `build/bench/checks.json`.

A subject is a module `checks_<subject>.py` beside this one with a function `measure()`, which returns its results; this
one only finds and runs them. With arguments, only those subjects: `python -m mcml_assets_tests.benchmarks.checks parity`
writes `build/bench/checks_parity.json`.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from mcml_assets_tests.benchmarks.report import Result, publish

PREFIX = "checks_"


def main(wanted: Sequence[str]) -> None:
    """Run the wanted subjects, or all."""
    known = subjects()
    if unknown := sorted(set(wanted) - known.keys()):
        raise SystemExit(f"unknown subject {', '.join(unknown)}; known are {', '.join(known) or 'none'}")
    results = [result for subject in wanted or known for result in known[subject]()]
    publish("_".join(["checks", *wanted]), results)


def subjects() -> dict[str, Callable[[], list[Result]]]:
    """The subjects there are, by name."""
    files = sorted(Path(__file__).parent.glob(f"{PREFIX}*.py"))
    return {file.stem.removeprefix(PREFIX): import_module(f"{__package__}.{file.stem}").measure for file in files}


if __name__ == "__main__":
    main(sys.argv[1:])
