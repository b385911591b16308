"""A check of a user's own: one function beside `defs.yaml` becomes a blocking check of every location."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets_tests.assets.conftest import Bench, checks_of

LOCATION = "azure/westeurope"


@pytest.fixture
def retail(bench: Callable[[str], Bench]) -> Bench:
    """The EU has little data; its raw data has landed, and has a check of its own beside the one that is declared."""
    former = bench("online_retail")
    declaration = former.workload.directory / "defs.yaml"
    text = declaration.read_text().replace("checks: [checks.py:", "checks: [own.py:own, checks.py:")
    declaration.write_text(text)
    write(declaration.parent, "return True")
    retail = Bench(declaration, former.settings)
    assert retail.run("EU", "landing").success
    return retail


def write(folder: Path, body: str) -> None:
    (folder / "own.py").write_text(f'def own(raw_data):\n    """Ours."""\n    lines = raw_data["transactions"]\n    {body}\n')


def problem_of(result: dg.ExecuteInProcessResult) -> str:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "own"]
    return "" if found.passed else str(found.metadata["problem"].value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return (lines['Quantity'] != 0).all()", ""),
        ("return False", "own.py:own does not hold"),
        ("return f'{len(lines)} lines'", " lines"),
        ("pass", "must return True, False or a sentence that says what is wrong, it returned NoneType; has it no `return`?"),
        ("return lines['Quantity'] > 0", "it returned Series"),
        ("return lines['Quantty']", "own.py:own failed with KeyError: 'Quantty'"),
    ],
)
def test_what_a_function_returns_is_the_verdict(retail: Bench, body: str, told: str) -> None:
    """True passes, False or a sentence fails and is told; anything else, and an exception, is a failure in plain words."""
    write(retail.workload.directory, body)
    problem = problem_of(retail.run(LOCATION, "raw_data"))
    assert told in problem
    assert (told == "") == (problem == "")


def test_a_check_that_fails_holds_this_location_back(retail: Bench) -> None:
    """Nothing downstream is made here, and the example's check of features passes once it may run."""
    write(retail.workload.directory, "return False")
    assert not retail.run(LOCATION, "raw_data", "feature_snapshot").success
    assert retail.current(LOCATION, "feature_snapshot") is None
    write(retail.workload.directory, "return True")
    assert checks_of(retail.run(LOCATION, "raw_data", "feature_snapshot"))["no_negative_baskets"] is True
