"""Parity of features: the digest `rows128-v1` of 10 million rows and 10 columns, beside decoding alone, and other tools.

One table is written twice: in order, in one row group, with zstd; and shuffled, in seven files of small row groups, with
snappy. Both are digested, or compared, from Parquet; every figure is the whole of both tables.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from mcml_assets.comparison.digest import BATCH_ROWS, decoded_batches, digest_files
from mcml_assets_tests.benchmarks.peers import ask_peer
from mcml_assets_tests.benchmarks.report import Result, processor_seconds, seconds, side_by_side

ROWS = 10_000_000
REPEATS = 5
PARTS = 7
# The high-water mark of this very program: `ru_maxrss` outlives exec, and would be that of the process that started it.
MEMORY = """
import json, sys
from pathlib import Path
from mcml_assets.comparison.digest import digest_files
digest_files([Path(name) for name in sys.argv[1:]])
marks = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps(int(marks["VmHWM"].split()[0]) / 1024))
"""


def measure() -> list[Result]:
    """Time, memory and growth, after what is measured has been shown to be right."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = make_table(ROWS)
        one, other = write_in_order(table, folder / "one.parquet"), write_shuffled(table, folder / "other")
        _is_right(table, one, other, folder)
        del table
        files = (*one, *other)
        ours, decoding = side_by_side(
            lambda: seconds(lambda: (digest_files(one), digest_files(other))), lambda: seconds(lambda: decode(files)), REPEATS
        )
        plain = median(seconds(lambda: decode_plainly(files)) for _ in range(REPEATS))
        duck = seconds(lambda: _except_all(one, other))
        compy = ask_peer("parity", "datacompy", str(one[0]), str(folder / "other"))
        if not compy["equal"]:
            raise SystemExit("datacompy finds the equal tables different")
        return [
            Result("parity: digest 10 M rows x 10 columns twice, against decoding alone", "ratio <= 2", ours, decoding, "s"),
            Result("parity: the same, against decoding without dictionaries of text", "", ours, plain, "s"),
            Result("parity: the same, against DuckDB's EXCEPT ALL both ways", "ratio <= 0.143", ours, duck, "s"),
            Result("parity: the same, against datacompy", "ratio <= 0.1", ours, compy["seconds"], "s"),
            Result("parity: most memory, one row group of 10 M rows", "ours <= 1024", _megabytes(one), None, "MiB"),
        ]


def make_table(rows: int, values: int = 5, seed: int = 7) -> pa.Table:
    """A key, two counts, a time, a category of forty, and `values` floating-point columns, the first with 2 % nulls."""
    draw = np.random.default_rng(seed)
    categories = pa.array([f"category {number}" for number in range(40)])
    columns = {
        "key": pa.array(draw.permutation(rows)),
        "count": pa.array(draw.poisson(3, rows)),
        "quantity": pa.array(draw.integers(0, 10**6, rows)),
        "at": pa.array((1_300_000_000_000_000 + draw.integers(0, 3 * 10**13, rows)).astype("M8[us]")),
        "category": pa.DictionaryArray.from_arrays(draw.integers(0, 40, rows).astype("i4"), categories).cast(pa.string()),
    }
    for number in range(values):
        columns[f"value_{number}"] = pa.array(draw.normal(size=rows), mask=draw.random(rows) < 0.02 if number == 0 else None)
    return pa.table(columns)


def write_in_order(table: pa.Table, file: Path) -> list[Path]:
    """One file with one row group."""
    parquet.write_table(table, file, compression="zstd", row_group_size=2**31 - 1)
    return [file]


def write_shuffled(table: pa.Table, folder: Path) -> list[Path]:
    """Other order, files, row groups and codec."""
    folder.mkdir()
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(len(table))))
    step = -(-len(table) // PARTS)
    files = [folder / f"{number}.parquet" for number in range(PARTS)]
    for number, file in enumerate(files):
        parquet.write_table(shuffled.slice(number * step, step), file, compression="snappy", row_group_size=400_000)
    return files


def decode(files: Sequence[Path]) -> None:
    """Only decode, exactly as the digest does: batch by batch, for a table in memory would cost more than decoding."""
    for file in files:
        for _ in decoded_batches(file):
            pass


def decode_plainly(files: Sequence[Path]) -> None:
    """Only decode, as pyarrow does by default."""
    for file in files:
        for _ in parquet.ParquetFile(file).iter_batches(BATCH_ROWS):
            pass


def _is_right(table: pa.Table, one: Sequence[Path], other: Sequence[Path], folder: Path) -> None:
    """Equal tables have one digest; one cell of 100 million that is 1e-12 more gives another."""
    digest = digest_files(one)
    if digest != digest_files(other):
        raise SystemExit("the digests of equal tables differ")
    values = table["value_3"].to_numpy().copy()
    values[len(values) // 3] += 1e-12
    position = table.schema.get_field_index("value_3")
    changed = write_in_order(table.set_column(position, "value_3", pa.array(values)), folder / "changed.parquet")
    if digest_files(changed).digest == digest.digest:
        raise SystemExit("a cell that changed by 1e-12 was not found")
    changed[0].unlink()


def _except_all(one: Sequence[Path], other: Sequence[Path]) -> None:
    with duckdb.connect() as connection:
        for first, second in ((one, other), (other, one)):
            sides = [connection.read_parquet([str(file) for file in files]) for files in (first, second)]
            if rows := len(sides[0].except_(sides[1])):  # EXCEPT ALL
                raise SystemExit(f"DuckDB finds {rows} rows different in equal tables")


def _megabytes(files: Sequence[Path]) -> float:
    """The most that a process holds which digests these files, its libraries included."""
    command = [sys.executable, "-c", MEMORY, *map(str, files)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def growth(folder: Path) -> list[Result]:
    """Nanoseconds per cell: for fewer rows and for more columns, beside 1 million rows of 10 columns."""
    sizes = {"1 M rows x 10 columns": (ROWS // 10, 5), "0.1 M rows x 10 columns": (ROWS // 100, 5),
             "1 M rows x 50 columns": (ROWS // 10, 45)}  # fmt: skip
    per_cell: dict[str, float] = {}
    folder.mkdir()
    for name, (rows, values) in sizes.items():
        files = write_in_order(make_table(rows, values), folder / f"{rows}-{values}.parquet")
        took = min(processor_seconds(lambda files=files: digest_files(files)) for _ in range(REPEATS))
        per_cell[name] = 1e9 * took / rows / (values + 5)
    base = per_cell["1 M rows x 10 columns"]
    return [Result(f"parity: per cell, {name}, against 1 M x 10", "", figure, base, "ns") for name, figure in per_cell.items()]
