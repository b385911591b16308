"""Contracts beside other tools: ten rules of 10 million rows, ours from Parquet, the peers with the table in memory.

Besides the ten rules ours and pandera ask each column's type and whether it is missing. Every side has to find nothing
wrong with the sound table. A check exists for the table that is not sound, and then it owes people each broken rule with
its count and three rows by their key: so the comparison with Great Expectations is on the table with three bad rows, both
sides with that answer, which has to be the same. What it takes to read Parquet, which ours does within its time, is
beside it, and so are the sound table and the least that Great Expectations can be asked: whether each rule holds. Processor
time is that of all threads together: on a shared machine it tells more than the clock.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
from pyarrow import parquet

from mcml_assets.contracts.in_parquet import Table, ask, database
from mcml_assets.contracts.judge import judge_table
from mcml_assets.contracts.rules import ReferenceRule, RuleResult
from mcml_assets_tests.benchmarks.peers import ask_peer
from mcml_assets_tests.benchmarks.peers.contract_rows import KINDS, ROWS, SHOPS, columns
from mcml_assets_tests.benchmarks.report import Result, processor_seconds, seconds, side_by_side

REPEATS = 5
PARTS = 7
TYPES = {"whole": "int64", "number": "float64", "text": str, "time": pa.DateTime}
# Row, column, and what stands there: a key that was there before, a number too high, a name nobody knows.
DEFECTS = ((ROWS // 2, "id", 1), (ROWS // 3, "age", 151), (ROWS - 1, "kind", "kind 40"))


def measure() -> list[Result]:
    """Time and growth, after what is measured has been shown to be right."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = make_table(ROWS)
        files, one = write(table, folder / "sound"), folder / "one.parquet"
        parquet.write_table(table, one, compression="zstd")
        with_defects, one_with_defects = _spoil(table, folder)
        del table
        _finds_the_defects(with_defects)
        if broken := _broken(files):
            raise SystemExit(f"ours finds {broken} in a sound table")
        ours, decoding = side_by_side(lambda: seconds(lambda: _broken(files)), lambda: seconds(lambda: _decode(files)), REPEATS)
        polars: list[dict[str, float]] = []

        def ask_polars() -> float:
            polars.append(ask_peer("contract", "pandera_polars", str(one)))
            return polars[-1]["seconds"]

        beside, in_memory = side_by_side(lambda: seconds(lambda: _broken(files)), ask_polars, REPEATS)
        if wrong := [peer for peer in polars if peer["broken"]]:
            raise SystemExit(f"a peer finds rules broken in a sound table: {wrong}")
        reading, worked = (median(peer[name] for peer in polars) for name in ("read", "processor"))
        work = median(processor_seconds(lambda: _broken(files)) for _ in range(REPEATS))
        return [
            Result("contract: ten rules of 10 M rows from Parquet, against pandera-polars in memory", "ratio <= 1", beside,
                   in_memory, "s"),
            Result("contract: the same, against pandera-polars and its reading", "", beside, in_memory + reading, "s"),
            Result("contract: the same, processor time against pandera-polars' without reading", "", work, worked, "s"),
            Result("contract: the same, against DuckDB decoding the columns alone", "", ours, decoding, "s"),
            *_great_expectations(files, one, with_defects, one_with_defects),
            *_one_by_one(files, folder),
        ]  # fmt: skip


def make_table(rows: int) -> arrow.Table:
    """A key in no order, four counts, two amounts, a category of forty, a code of 100,000, and a time."""
    draw = np.random.default_rng(1)
    codes = arrow.array([f"C{number:05}" for number in range(100_000)])
    chosen = {"kind": (arrow.array(KINDS), len(KINDS)), "code": (codes, len(codes))}
    text = {
        name: arrow.DictionaryArray.from_arrays(draw.integers(0, size, rows).astype("i4"), values).cast(arrow.string())
        for name, (values, size) in chosen.items()
    }
    return arrow.table(
        {
            "id": arrow.array(draw.permutation(rows) + 1),
            "shop": arrow.array(draw.integers(1, SHOPS + 1, rows)),
            "age": arrow.array(draw.integers(18, 100, rows)),
            "quantity": arrow.array(draw.integers(1, 1_000, rows)),
            "price": arrow.array(draw.gamma(2, 20, rows)),
            "rate": arrow.array(draw.uniform(1, 30, rows), mask=draw.random(rows) < 0.02),
            **text,
            "at": arrow.array((1_300_000_000_000_000 + draw.integers(0, 3 * 10**13, rows)).astype("M8[us]")),
        }
    )


def write(table: arrow.Table, folder: Path) -> list[Path]:
    """Several files, as landings leave them."""
    folder.mkdir()
    step = -(-len(table) // PARTS)
    files = [folder / f"part-{number:05}.parquet" for number in range(PARTS)]
    for number, file in enumerate(files):
        parquet.write_table(table.slice(number * step, step), file, compression="zstd", row_group_size=131_072)
    return files


def _schema(**more: str) -> pa.DataFrameSchema:
    of_columns = columns(pa, TYPES, pd.Timestamp("2010-01-01"))
    of_columns["shop"].metadata = more or None
    return pa.DataFrameSchema(of_columns)


def _judged(files: Sequence[Path]) -> list[RuleResult]:
    """As `contract` judges: footers, one pass, samples of what is broken."""
    with database() as connection:
        tables = {"rows": Table.of("rows", files)}
        return judge_table("bench", connection, _schema(), tables, "rows", unshown=(), watermark=None)


def _broken(files: Sequence[Path]) -> dict[str, int]:
    """The rules that are broken, with how many rows break them."""
    return {f"{result.column}: {result.rule}": result.failures for result in _judged(files) if result.failures}


def _told(files: Sequence[Path]) -> dict[str, Any]:
    """What is told of broken rules, in the words of the peer's program."""
    return {
        str(result.column): {
            "count": result.failures,
            "keys": sorted(int(key.rpartition("id=")[2].rstrip(")")) for key in result.keys),
        }
        for result in _judged(files)
        if result.failures
    }


def _decode(files: Sequence[Path]) -> None:
    with duckdb.connect() as connection:
        names = [f'max("{name}")' for name in columns(pa, TYPES, pd.Timestamp("2010-01-01"))]
        listed = ", ".join(f"'{file}'" for file in files)
        connection.execute(f"SELECT {', '.join(names)} FROM read_parquet([{listed}])").fetchall()  # noqa: S608 - our own


def _spoil(table: arrow.Table, folder: Path) -> tuple[list[Path], Path]:
    """The table with the defects, as landings leave it, and as one file."""
    spoilt = table.to_pandas(types_mapper=pd.ArrowDtype)
    for row, column, value in DEFECTS:
        spoilt.loc[row, column] = value
    changed = arrow.Table.from_pandas(spoilt, schema=table.schema, preserve_index=False)
    parquet.write_table(changed, folder / "one-spoilt.parquet", compression="zstd")
    return write(changed, folder / "spoilt"), folder / "one-spoilt.parquet"


def _finds_the_defects(files: Sequence[Path]) -> None:
    """Three defects in ten million rows are told, and nothing else."""
    found = _broken(files)
    rules = [key.partition(":")[0] for key in found]
    if sorted(rules) != sorted(column for _, column, _ in DEFECTS) or found["id: unique"] != 2:
        raise SystemExit(f"ours finds {found} where {DEFECTS} were planted")


def _great_expectations(files: Sequence[Path], one: Path, with_defects: Sequence[Path], one_with_defects: Path) -> list[Result]:
    """Beside Great Expectations on all rows: with the same answer, and with the least that it can be asked."""

    def ask_form(file: Path, form: str) -> dict[str, Any]:
        return ask_peer("contract", "great_expectations", str(file), form)

    same, sound = ask_form(one_with_defects, "keys"), ask_form(one, "keys")
    least, least_sound = ask_form(one_with_defects, "verdict"), ask_form(one, "verdict")
    told = _told(with_defects)
    if same["broken"] != told or least["broken"].keys() != told.keys():
        raise SystemExit(f"Great Expectations tells {same['broken']} and {least['broken']}, ours {told}")
    if sound["broken"] or least_sound["broken"]:
        raise SystemExit(f"Great Expectations finds rules broken in a sound table: {sound['broken']}")
    ours, ours_sound = (median(seconds(lambda of=of: _judged(of)) for _ in range(REPEATS)) for of in (with_defects, files))
    work = median(processor_seconds(lambda: _judged(with_defects)) for _ in range(REPEATS))
    return [
        Result("contract: with three defects, count and keys of each broken rule, against Great Expectations in memory",
               "ratio <= 0.01", ours, same["seconds"], "s"),
        Result("contract: the same, against Great Expectations and its reading", "", ours, same["seconds"] + same["read"], "s"),
        Result("contract: the same, processor time against Great Expectations'", "", work, same["processor"], "s"),
        Result("contract: the same of a sound table", "", ours_sound, sound["seconds"], "s"),
        Result("contract: the same, against Great Expectations asked only whether each rule holds", "", ours,
               least["seconds"], "s"),
        Result("contract: the same of a sound table", "", ours_sound, least_sound["seconds"], "s"),
    ]  # fmt: skip


def _one_by_one(files: Sequence[Path], folder: Path) -> list[Result]:
    """What one pass is worth, and what a reference to another table and rows that differ together cost in it."""
    from mcml_assets.contracts.reading import read_rules

    other = folder / "shops.parquet"
    parquet.write_table(arrow.table({"shop": list(range(1, SHOPS + 1))}), other)
    table, shops = Table.of("rows", files), Table.of("shops", [other])
    rules = read_rules("rows", _schema(references="shops.shop"), table.fields).rules
    plain = [rule for rule in rules if not isinstance(rule, ReferenceRule)]

    def asked(*groups: Sequence) -> None:
        with database() as connection:
            for group in groups:
                ask(connection, table, group, {"shops": shops}, key=(), unshown=(), watermark=None)

    together, apart = side_by_side(
        lambda: processor_seconds(lambda: asked(plain)),
        lambda: processor_seconds(lambda: asked(*([rule] for rule in plain))),
        3,
    )
    more, less = side_by_side(
        lambda: processor_seconds(lambda: asked(rules)), lambda: processor_seconds(lambda: asked(plain)), 3
    )
    return [
        Result("contract: all rules in one pass, against a pass per rule, processor time", "ratio <= 1", together, apart, "s"),
        Result("contract: with a reference to 5,000 values, against without, processor time", "", more, less, "s"),
    ]


def growth(folder: Path) -> list[Result]:
    """More rows."""
    folder.mkdir()
    sizes = {rows: write(make_table(rows), folder / f"{rows}") for rows in (ROWS // 10, ROWS // 100)}
    many, few = (min(processor_seconds(lambda files=files: _broken(files)) for _ in range(REPEATS)) for files in sizes.values())
    return [Result("contract: ten times the rows (100 k to 1 M), processor time", "ratio <= 12", many, few, "s")]
