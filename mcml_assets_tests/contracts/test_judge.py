"""What a contract says of a table: every rule, how often it is broken, and no personal value."""

import warnings
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pytest

from mcml_assets.contracts.judge import judge
from mcml_assets.contracts.rules import RuleResult
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import FunctionReference

CONTRACT = """
import pandera.pandas as pa


def explode(values):
    raise ValueError(f"met {values.tolist()}")


def contract():
    return {
        "people": pa.DataFrameSchema(
            {
                "ssn": pa.Column(str, pa.Check.str_matches("^[0-9]+$", error="digits"), unique=True),
                "age": pa.Column("int64", [pa.Check.in_range(0, 150), pa.Check(explode, name="explodes")]),
                "income": pa.Column(float, pa.Check.ge(0, raise_warning=True), nullable=True),
            },
            checks=pa.Check(lambda people: people["income"] > people["age"], name="richer than old"),
            strict=True,
            unique=["age", "income"],
        )
    }
"""
HIDDEN = "x-hidden"


@pytest.fixture
def contract(tmp_path: Path) -> FunctionReference:
    """A contract with a rule of every kind."""
    file = tmp_path / "contract.py"
    file.write_text(CONTRACT)
    return FunctionReference(file, "contract")


@pytest.fixture
def people() -> pd.DataFrame:
    """Rows that break every rule of it."""
    return pd.DataFrame(
        {
            "ssn": [HIDDEN, HIDDEN, None, "4"],
            "age": [200, 200, 30, -1],
            "income": [5.0, 5.0, -2.0, None],
            "hobby": ["a", "b", "c", "d"],
        },
        index=pd.Index([7, 7, 7, 7]),
    )


def judged(contract: FunctionReference, table: pd.DataFrame, unshown: Collection[str]) -> tuple[RuleResult, ...]:
    """What the contract says of these rows, stored as two Parquet files."""
    half = (len(table) + 1) // 2
    files = [contract.file.with_name(f"part-{number}.parquet") for number in range(2)]
    for file, part in zip(files, (table.iloc[:half], table.iloc[half:]), strict=True):
        part.to_parquet(file, index=False)
    return judge(contract, {"people": files}, unshown)


def test_all_broken_rules_are_told_with_their_rows(contract: FunctionReference, people: pd.DataFrame) -> None:
    """Not the first failure but all of them, each with its number of rows."""
    broken = {(rule.column, rule.rule): rule.failures for rule in judged(contract, people, []) if rule.failures}
    assert broken == {
        ("ssn", "unique"): 2,
        ("ssn", "not null"): 1,
        ("ssn", "digits"): 2,
        ("age", "in_range(0, 150)"): 3,
        ("age", "explodes (the rule itself failed: ValueError)"): 1,
        (None, "no other columns"): 1,
        (None, "unique together: age, income"): 2,
        (None, "richer than old"): 4,
    }


def test_rules_that_hold_are_told_too(contract: FunctionReference, people: pd.DataFrame) -> None:
    """The report says what was checked, not only what failed."""
    held = [rule for rule in judged(contract, people, []) if not rule.failures]
    assert RuleResult("people", "income", "is of type float64", 0, ()) in held
    assert RuleResult("people", "age", "not null", 0, ()) in held


def test_examples_are_few_and_never_personal(contract: FunctionReference, people: pd.DataFrame) -> None:
    """At most three different values are shown, none of a personal column or a rule over whole rows; names are no values."""
    rules = judged(contract, people, ["ssn", "income"])
    shown = {(rule.column, rule.rule): rule.examples for rule in rules if rule.examples}
    assert shown == {("age", "in_range(0, 150)"): ("200", "-1"), (None, "no other columns"): ("hobby",)}
    many = people.head(1).loc[[7] * 9].assign(age=range(200, 209))
    (ages,) = [rule for rule in judged(contract, many, []) if rule.rule == "in_range(0, 150)"]
    assert (ages.failures, ages.examples) == (9, ("200", "201", "202"))


def test_no_value_reaches_a_warning_or_an_exception(contract: FunctionReference, people: pd.DataFrame) -> None:
    """Neither a rule that only warns nor one that raises tells what it saw."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rules = judged(contract, people, list(people.columns))
    assert caught == []
    assert HIDDEN not in repr(rules)
    assert "200" not in repr(rules)


def test_nothing_is_said_to_hold_of_a_column_that_is_not_there(contract: FunctionReference, people: pd.DataFrame) -> None:
    """Of a missing column only its absence is told."""
    rules = judged(contract, people.drop(columns=["ssn", "hobby"]), [])
    assert [(rule.rule, rule.failures) for rule in rules if rule.column == "ssn"] == [("the column is there", 1)]


def test_a_column_of_another_type_is_told(contract: FunctionReference, people: pd.DataFrame) -> None:
    """The rule names the type that was expected."""
    rules = judged(contract, people.assign(age=["a", "b", "c", "d"]), [])
    assert "is of type int64" in [rule.rule for rule in rules if rule.column == "age" and rule.failures]


def test_sound_rows_break_no_rule(tmp_path: Path) -> None:
    """With nothing wrong there is a result for every rule, and each says zero."""
    file = tmp_path / "contract.py"
    file.write_text(CONTRACT.replace(', pa.Check(explode, name="explodes")', ""))
    people = pd.DataFrame({"ssn": ["1", "2"], "age": [1, 2], "income": [10.0, 20.0]})
    rules = judged(FunctionReference(file, "contract"), people, [])
    assert len(rules) == 15
    assert not any(rule.failures or rule.examples for rule in rules)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def contract():\n    return {}\n", "contract.py:contract has no schema for table 'people'"),
        ("def contract():\n    return {'people': 3}\n", "contract.py:contract must give a pandera DataFrameSchema"),
        ("def contract():\n    return None\n", "contract.py:contract must give a pandera DataFrameSchema"),
        ("def contract():\n    return 1 / 0\n", "contract.py:contract fails: ZeroDivisionError: division by zero"),
        (CONTRACT.replace('"people"', '"peple"'), "has no schema for table 'people'; did you mean 'peple'?"),
    ],
)
def test_a_contract_that_cannot_be_used_is_told(tmp_path: Path, people: pd.DataFrame, code: str, told: str) -> None:
    """A table without rules is not a table without faults: it is a configuration error."""
    file = tmp_path / "contract.py"
    file.write_text(code)
    with pytest.raises(ConfigurationError) as raised:
        judged(FunctionReference(file, "contract"), people, [])
    assert told in str(raised.value)
