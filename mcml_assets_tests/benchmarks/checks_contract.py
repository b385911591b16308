"""Contracts beside other tools: ten rules of 10 million rows, ours from Parquet, the peers with the table in memory.

Besides the ten rules ours and pandera ask each column's type and whether it is missing. Every side has to find nothing
wrong with the sound table, and ours exactly the planted defects in one with three bad rows. Great Expectations, which
takes minutes, gets a tenth of the rows, and its time, which is linear in them, is multiplied by ten. Processor time is that
of all threads together: on a shared machine it tells more than the clock.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import duckdb
import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
from pyarrow import parquet

from mcml_assets.contracts.in_parquet import Table, ask, database
from mcml_assets.contracts.judge import judge_table
from mcml_assets.contracts.rules import ReferenceRule
from mcml_assets_tests.benchmarks.peers import ask_peer
from mcml_assets_tests.benchmarks.peers.contract_rows import KINDS, ROWS, SHOPS, columns
from mcml_assets_tests.benchmarks.report import Result, seconds, side_by_side

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
        _finds_the_defects(table, folder)
        parquet.write_table(table, one, compression="zstd")
        del table
        if broken := _broken(files):
            raise SystemExit(f"ours finds {broken} in a sound table")
        ours, decoding = side_by_side(lambda: seconds(lambda: _broken(files)), lambda: seconds(lambda: _decode(files)), REPEATS)
        polars: list[dict[str, float]] = []

        def ask_polars() -> float:
            polars.append(ask_peer("contract", "pandera_polars", str(one)))
            return polars[-1]["seconds"]

        beside, in_memory = side_by_side(lambda: seconds(lambda: _broken(files)), ask_polars, REPEATS)
        tenth = folder / "tenth.parquet"
        parquet.write_table(make_table(ROWS // 10), tenth, compression="zstd")
        expectations = ask_peer("contract", "great_expectations", str(tenth))
        if wrong := [peer for peer in (*polars, expectations) if peer["broken"]]:
            raise SystemExit(f"a peer finds rules broken in a sound table: {wrong}")
        reading, worked = (median(peer[name] for peer in polars) for name in ("read", "processor"))
        work = median(processor_seconds(lambda: _broken(files)) for _ in range(REPEATS))
        return [
            Result("contract: ten rules of 10 M rows from Parquet, against pandera-polars in memory", "ratio <= 1", beside,
                   in_memory, "s"),
            Result("contract: the same, against pandera-polars and its reading", "", beside, in_memory + reading, "s"),
            Result("contract: the same, processor time against pandera-polars' without reading", "", work, worked, "s"),
            Result("contract: the same, against Great Expectations in memory (1 M rows x 10)", "ratio <= 0.01", ours,
                   expectations["seconds"] * 10, "s"),
            Result("contract: the same, processor time against Great Expectations' (1 M rows x 10)", "", work,
                   expectations["processor"] * 10, "s"),
            Result("contract: the same, against DuckDB decoding the columns alone", "", ours, decoding, "s"),
            *_one_by_one(files, folder),
            *_growth(folder),
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


def _broken(files: Sequence[Path]) -> dict[str, int]:
    """The rules that are broken, as `contract` judges: footers, one pass, samples of what is broken."""
    with database() as connection:
        tables = {"rows": Table.of("rows", files)}
        results = judge_table("bench", connection, _schema(), tables, "rows", unshown=(), watermark=None)
    return {f"{result.column}: {result.rule}": result.failures for result in results if result.failures}


def _decode(files: Sequence[Path]) -> None:
    with duckdb.connect() as connection:
        names = [f'max("{name}")' for name in columns(pa, TYPES, pd.Timestamp("2010-01-01"))]
        listed = ", ".join(f"'{file}'" for file in files)
        connection.execute(f"SELECT {', '.join(names)} FROM read_parquet([{listed}])").fetchall()  # noqa: S608 - our own


def _finds_the_defects(table: arrow.Table, folder: Path) -> None:
    """Three defects in ten million rows are told, and nothing else."""
    spoilt = table.to_pandas(types_mapper=pd.ArrowDtype)
    for row, column, value in DEFECTS:
        spoilt.loc[row, column] = value
    found = _broken(write(arrow.Table.from_pandas(spoilt, schema=table.schema, preserve_index=False), folder / "spoilt"))
    rules = [key.partition(":")[0] for key in found]
    if sorted(rules) != sorted(column for _, column, _ in DEFECTS) or found["id: unique"] != 2:
        raise SystemExit(f"ours finds {found} where {DEFECTS} were planted")


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


def _growth(folder: Path) -> list[Result]:
    sizes = {rows: write(make_table(rows), folder / f"{rows}") for rows in (ROWS // 10, ROWS // 100)}
    many, few = (min(processor_seconds(lambda files=files: _broken(files)) for _ in range(REPEATS)) for files in sizes.values())
    return [Result("contract: ten times the rows (100 k to 1 M), processor time", "ratio <= 12", many, few, "s")]


def processor_seconds(work: Callable[[], object]) -> float:
    """What one call takes of all processors together."""
    began = process_time()
    work()
    return process_time() - began
