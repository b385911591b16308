"""Data that nobody wishes for gives a result a person understands: a broken rule in words or a typed error, never a trace."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets.contracts.judge import judge
from mcml_assets.contracts.rules import RuleResult
from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.domain.workload import FunctionReference

CONTRACT = """
import pandas as pd
import pandera.pandas as pa

def contract():
    return {
        "loans": pa.DataFrameSchema(
            {
                "id": pa.Column("int64", pa.Check.gt(0), unique=True),
                "zip": pa.Column("int64", metadata={"references": "zips.zip"}),
                "rate": pa.Column(float, pa.Check.in_range(1, 30), nullable=True),
                "kind": pa.Column(str, [pa.Check.isin(["a", "b"]), pa.Check.str_matches("^[ab]$")], nullable=True),
                "time": pa.Column(pd.DatetimeTZDtype("us", "UTC"), metadata={"fresh_within_days": 2}),
            },
            strict=True,
        ),
        "zips": pa.DataFrameSchema({"zip": pa.Column("int64", unique=True)}),
    }
"""
NOW = datetime(2024, 1, 10, tzinfo=UTC)
COLUMNS = {
    "id": pa.array([1, 2, 3]),
    "zip": pa.array([501, 501, 502]),
    "rate": pa.array([1.5, None, float("nan")]),
    "kind": pa.array(["a", "b", None]),
    "time": pa.array([NOW] * 3, pa.timestamp("us", "UTC")),
}
EMPTY = {name: column[:0] for name, column in COLUMNS.items()}


def broken(folder: Path, table: dict[str, pa.Array], contract: str = CONTRACT) -> dict[str, RuleResult]:
    """The rules that these loans break, by `column: rule`."""
    (folder / "contract.py").write_text(contract)
    parquet.write_table(pa.table(table), folder / "loans.parquet")
    parquet.write_table(pa.table({"zip": [501, 502]}), folder / "zips.parquet")
    files = {"loans": [folder / "loans.parquet"], "zips": [folder / "zips.parquet"]}
    results = judge(FunctionReference(folder / "contract.py", "contract"), files, (), NOW)
    return {f"{rule.column}: {rule.rule}": rule for rule in results if rule.failures}


def test_sound_rows_break_nothing(tmp_path: Path) -> None:
    """A missing value is right where it may be missing, be it null or NaN; one row is enough."""
    assert broken(tmp_path, COLUMNS) == {}
    assert broken(tmp_path, {name: column[:1] for name, column in COLUMNS.items()}) == {}


INPUTS = {
    "no row": (EMPTY, ["time: newest within 2 days of the watermark (no row has a time)"]),
    "nothing but nulls": (
        {**COLUMNS, "id": pa.nulls(3, pa.int64()), "rate": pa.nulls(3, pa.float64()), "kind": pa.nulls(3, pa.string())},
        ["id: not null", "id: unique"],
    ),
    "a column of no type": ({**COLUMNS, "id": pa.nulls(3)}, ["id: is of type int64"]),
    "a new column": ({**COLUMNS, "new": pa.array([1, 2, 3])}, ["None: no other columns"]),
    "mixed types": ({**COLUMNS, "id": pa.array(["1", "two", "3"])}, ["id: is of type int64"]),
    "a time without a zone": (
        {**COLUMNS, "time": pa.array([NOW.replace(tzinfo=None)] * 3, pa.timestamp("us"))},
        ["time: is of type datetime64[us, UTC]"],
    ),
    "nested values": ({**COLUMNS, "kind": pa.array([{"a": 1}] * 3)}, ["kind: is of type str"]),
    "an unknown zip code": ({**COLUMNS, "zip": pa.array([501, 7, 8])}, ["zip: is one of zips.zip"]),
    "stale": (
        {**COLUMNS, "time": pa.array([NOW - timedelta(days=3)] * 3, pa.timestamp("us", "UTC"))},
        ["time: newest within 2 days of the watermark (it is 3.0 days)"],
    ),
    "a missing column": ({name: COLUMNS[name] for name in ("id", "zip", "rate", "time")}, ["kind: the column is there"]),
    "infinite": ({**COLUMNS, "rate": pa.array([1.0, float("inf"), 2.0])}, ["rate: in_range(1, 30)"]),
}


@pytest.mark.parametrize("what", INPUTS)
def test_bad_input_is_told_by_its_rule(tmp_path: Path, what: str) -> None:
    """Exactly the rule at fault is broken, and no other is accused."""
    table, expected = INPUTS[what]
    assert sorted(broken(tmp_path, table)) == expected


def test_a_broken_rule_names_rows_and_a_wrong_type_what_was_found(tmp_path: Path) -> None:
    """Rows by file, place and key; a type by its name, which is no value."""
    zips = broken(tmp_path, {**COLUMNS, "zip": pa.array([501, 7, 8])})["zip: is one of zips.zip"]
    assert (zips.failures, zips.examples) == (2, ("7", "8"))
    assert zips.keys == ("loans.parquet row 1 (id=2)", "loans.parquet row 2 (id=3)")
    assert broken(tmp_path, {**COLUMNS, "kind": pa.array([{"a": 1}] * 3)})["kind: is of type str"].examples == (
        "struct<a: int64>",
    )


def test_parts_of_two_versions_are_judged_together(tmp_path: Path) -> None:
    """A part from before a column was added, or its type widened, has nothing there, and breaks no rule that permits it."""
    (tmp_path / "contract.py").write_text(CONTRACT)
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    parquet.write_table(pa.table({**COLUMNS, "id": pa.array([4, 5, 6], pa.int32())}).drop_columns(["kind"]), old)
    parquet.write_table(pa.table(COLUMNS), new)
    parquet.write_table(pa.table({"zip": [501, 502]}), tmp_path / "zips.parquet")
    files = {"loans": [old, new], "zips": [tmp_path / "zips.parquet"]}
    results = judge(FunctionReference(tmp_path / "contract.py", "contract"), files, (), NOW)
    assert [rule for rule in results if rule.failures] == []


def test_what_is_no_parquet_or_does_not_go_together_is_a_typed_error(tmp_path: Path) -> None:
    """The error names table and file, or column and types, and quotes no value."""
    (tmp_path / "contract.py").write_text(CONTRACT)
    contract, loans, other = (
        FunctionReference(tmp_path / "contract.py", "contract"),
        tmp_path / "l.parquet",
        tmp_path / "o.parquet",
    )
    loans.write_bytes(b"PAR1 of another kind")
    with pytest.raises(ContractViolation, match=r"loans: l\.parquet: expected a Parquet file, found 20 bytes"):
        judge(contract, {"loans": [loans]}, ())
    parquet.write_table(pa.table(COLUMNS), loans)
    parquet.write_table(pa.table({**COLUMNS, "id": pa.array([{"a": 1}] * 3)}), other)
    with pytest.raises(ContractViolation, match="loans: the files do not go together"):
        judge(contract, {"loans": [loans, other]}, ())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("zips.zip", "zip.zip", "references table 'zip'; did you mean 'zips'?"),
        ("zips.zip", "zips.code", "references zips.code, which zips has not"),
        ('"references"', '"reference"', "unknown metadata 'reference'; did you mean 'references'?"),
        ('"fresh_within_days": 2', '"fresh_within_days": "two"', "fresh_within_days must be a number of days above 0"),
    ],
)
def test_a_mistake_in_metadata_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    """A rule that is misspelt is an error, not a rule that is silently never asked."""
    with pytest.raises(ConfigurationError) as raised:
        broken(tmp_path, COLUMNS, CONTRACT.replace(old, new))
    assert told in str(raised.value)
