"""What a report tells of broken rules, and of whom not: keys of several columns, keys of people, references and staleness."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets.contracts.judge import judge
from mcml_assets.contracts.rules import RuleResult
from mcml_assets.domain.workload import FunctionReference

CONTRACT = """
import pandas as pd
import pandera.pandas as pa

def contract():
    return {
        "visits": pa.DataFrameSchema(
            {
                "patient": pa.Column(str),
                "day": pa.Column("int64"),
                "ward": pa.Column(str, metadata={"references": "wards.name"}),
                "dose": pa.Column("int64", pa.Check.in_range(0, 9)),
                "time": pa.Column(pd.DatetimeTZDtype("us", "UTC"), metadata={"fresh_within_days": 1}),
            },
            unique=["patient", "day"],
        ),
        "wards": pa.DataFrameSchema({"name": pa.Column(str, unique=True)}),
    }
"""
NOW = datetime(2024, 1, 10, tzinfo=UTC)
VISITS = {
    "patient": ["Ann", "Ann", "Bob", "Cid", "Dan", "Eve"],
    "day": [1, 1, 2, 3, 4, 5],
    "ward": ["north", "north", "nowhere", "nirgends", "north", None],
    "dose": [1, 1, 10, 11, 12, 13],
    "time": pa.array([NOW - timedelta(days=3)] * 6, pa.timestamp("us", "UTC")),
}


def told(folder: Path, unshown: Collection[str]) -> dict[str, RuleResult]:
    """The broken rules of these visits."""
    (folder / "contract.py").write_text(CONTRACT)
    parquet.write_table(pa.table(VISITS), folder / "visits.parquet")
    parquet.write_table(pa.table({"name": ["north"]}), folder / "wards.parquet")
    files = {"visits": [folder / "visits.parquet"], "wards": [folder / "wards.parquet"]}
    rules = judge(FunctionReference(folder / "contract.py", "contract"), files, unshown, NOW)
    return {rule.rule.partition(" (")[0]: rule for rule in rules if rule.failures}


def test_rows_are_named_by_all_columns_of_their_key(tmp_path: Path) -> None:
    """A key of several columns is told whole, for every kind of rule, and never for more than three rows."""
    rules = told(tmp_path, ())
    assert rules["in_range(0, 9)"].failures == 4
    assert rules["in_range(0, 9)"].keys == tuple(
        f"visits.parquet row {row} (patient={name}, day={row})" for row, name in ((2, "Bob"), (3, "Cid"), (4, "Dan"))
    )
    assert rules["unique together: patient, day"].keys == (
        "visits.parquet row 0 (patient=Ann, day=1)", "visits.parquet row 1 (patient=Ann, day=1)",
    )  # fmt: skip
    wards = rules["is one of wards.name"]
    assert (wards.failures, wards.examples) == (2, ("nowhere", "nirgends"))
    assert rules["newest within 1 days of the watermark"].rule.endswith("(it is 3.0 days)")


def test_a_key_that_names_a_person_is_told_of_no_row(tmp_path: Path) -> None:
    """One personal column in the key, and rows are named by file and place only; other columns' values are still shown."""
    rules = told(tmp_path, ("patient",))
    assert rules["in_range(0, 9)"].keys == tuple(f"visits.parquet row {row}" for row in (2, 3, 4))
    assert rules["in_range(0, 9)"].examples == ("10", "11", "12")
    assert "Ann" not in repr(rules)


@pytest.mark.parametrize("rule", ["in_range(0, 9)", "is one of wards.name", "unique together: patient, day"])
def test_of_a_restricted_workload_no_value_is_told(tmp_path: Path, rule: str) -> None:
    """Counts and places stay; no value of any column, none of a reference, and not how old the newest row is."""
    rules = told(tmp_path, tuple(VISITS))
    assert rules[rule].failures > 0
    assert rules[rule].examples == ()
    assert all("(" not in key for key in rules[rule].keys)
    assert rules["newest within 1 days of the watermark"].rule == "newest within 1 days of the watermark"
    assert not any(value in repr(rules) for value in ("Ann", "Bob", "nowhere", "nirgends", "3.0"))
