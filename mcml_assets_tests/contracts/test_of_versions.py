"""Rows that landed under an older version are judged by it: what was tightened since asks nothing of them, all of new ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from mcml_assets.contracts.of_versions import judge_versions
from mcml_assets.contracts.rules import RuleResult
from mcml_assets.contracts.version import JudgedBy
from mcml_assets.domain.workload import FunctionReference

NOW = datetime(2024, 1, 10, tzinfo=UTC)
CONTRACT = """
import pandas as pd
import pandera.pandas as pa

def even(values):
    return values % 2 == 0

def contract():
    return {{
        "loans": pa.DataFrameSchema(
            {{
                "id": pa.Column("int64", unique={unique}),
                "rate": pa.Column("int64", [{rate}]),
                "zip": pa.Column("int64", metadata={{"references": "zips.zip"}}),
                {added}
                "time": pa.Column(pd.DatetimeTZDtype("us", "UTC"), metadata={{"fresh_within_days": 2}}),
            }},
            strict=True,
        ),
        "zips": pa.DataFrameSchema({{"zip": pa.Column("int64", unique=True)}}),
    }}
"""
LOOSE = {"unique": "False", "rate": "pa.Check.in_range(0, 100)", "added": ""}
TIGHT = {
    "unique": "True",
    "rate": "pa.Check.in_range(0, 100), pa.Check.le(30), pa.Check(even, error='even')",
    "added": '"channel": pa.Column(str, pa.Check.isin(["web", "shop"]), nullable=True),',
}


def loans(folder: Path, name: str, days: int, **columns: Any) -> Path:
    rows = len(columns["id"])
    times = pa.array([NOW - timedelta(days=days)] * rows, pa.timestamp("us", "UTC"))
    file = folder / f"{name}.parquet"
    parquet.write_table(pa.table({"zip": [501] * rows, **columns, "time": times}), file)
    return file


def judged(folder: Path, old: dict[str, Any], new: dict[str, Any], before: dict[str, str] = LOOSE) -> dict[str, RuleResult]:
    """The broken rules by `column: rule`, of rows that landed a month ago under 1.0 and of rows that land today under 1.1."""
    by: dict[str, JudgedBy] = {}
    for version, rules in (("1.0", before), ("1.1", TIGHT)):
        file = folder / f"contract_{version.replace('.', '_')}.py"
        file.write_text(CONTRACT.format(**rules))
        by[version] = JudgedBy(version, FunctionReference(file, "contract"), {}, ())
    zips = folder / "zips.parquet"
    parquet.write_table(pa.table({"zip": [501]}), zips)
    parts = [
        (by["1.0"], {"loans": [loans(folder, "old", 30, **old)], "zips": []}),
        (by["1.1"], {"loans": [loans(folder, "new", 0, **new)], "zips": [zips]}),
    ]
    return {f"{rule.column}: {rule.rule}": rule for rule in judge_versions(parts, NOW) if rule.failures}


OLD = {"id": [1, 1, 2], "rate": [41, 2, 2]}
NEW = {"id": [3, 4], "rate": [2, 4], "channel": ["web", None]}


def test_what_was_tightened_asks_nothing_of_rows_that_landed_before(tmp_path: Path) -> None:
    """A rate above the new bound, an odd one, a key twice, a column that is not there, a month of age: all was right once."""
    assert judged(tmp_path, OLD, NEW) == {}


def test_new_rows_are_held_to_the_new_rules(tmp_path: Path) -> None:
    """Each tightened rule is broken by new rows alone, and counts none of the old ones."""
    broken = judged(tmp_path, OLD, {"id": [3, 3], "rate": [41, 2], "channel": ["post", None]})
    assert {text: rule.failures for text, rule in broken.items()} == {
        "id: unique": 2,
        "rate: less_than_or_equal_to(30)": 1,
        "rate: even": 1,
        "channel: isin(['web', 'shop'])": 1,
    }
    assert broken["rate: even"].keys == ("new.parquet row 0",)


def test_old_rows_are_still_held_to_their_own_rules(tmp_path: Path) -> None:
    """A rule of both versions is told once, with the rows of both; what only the older one asks is told as its own."""
    both = judged(tmp_path, {"id": [1, 2], "rate": [101, 2]}, {"id": [3], "rate": [102], "channel": ["web"]})
    assert both["rate: in_range(0, 100)"].failures == 2
    assert both["rate: in_range(0, 100)"].keys == ("new.parquet row 0 (id=3)", "old.parquet row 0")
    only = judged(tmp_path, {"id": [1, 2], "rate": [7, 2]}, NEW, {**LOOSE, "rate": "pa.Check.ge(5)"})
    assert {text: rule.failures for text, rule in only.items()} == {
        "rate: greater_than_or_equal_to(5) (of rows that landed under 1.0)": 1
    }


def test_a_row_that_repeats_one_of_an_older_version_is_found(tmp_path: Path) -> None:
    """Where both versions say that rows differ, they differ from all that landed; and both refer to all of the other table."""
    unique = {**LOOSE, "unique": "True"}
    assert judged(tmp_path, {"id": [1, 2], "rate": [2, 2]}, NEW, unique) == {}
    broken = judged(tmp_path, {"id": [1, 3], "rate": [2, 2], "zip": [501, 7]}, NEW, unique)
    assert {text: rule.failures for text, rule in broken.items()} == {"id: unique": 2, "zip: is one of zips.zip": 1}


def test_staleness_is_of_all_rows(tmp_path: Path) -> None:
    """The newest row counts, and not the newest of each version: an old part grows no younger."""
    stale = {"id": [1], "rate": [2]}
    assert judged(tmp_path, stale, NEW) == {}
    nothing = {name: pa.array([], pa.int64()) for name in ("id", "rate", "zip")}
    (told,) = judged(tmp_path, stale, {**nothing, "channel": pa.array([], pa.string())}).values()
    assert told.rule == "newest within 2 days of the watermark (it is 30.0 days)"
