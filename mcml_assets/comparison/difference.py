"""Two tables row by row: which columns differ, in how many rows, by how much, and for which keys.

Needed only when digests differ. A word per row and one column at a time are in memory, and matched rows are compared in
blocks: about 85 bytes per row, so that 10 million rows of 10 columns stay within 1 GiB. Imports numpy and pyarrow: import it
inside functions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcml_assets.comparison.cell_hash import GOLDEN, Buffers, Hasher, Hashes, Words, mixed, plain, type_name
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.table_difference import EXACT, ColumnDifference, Example, TableDifference, Tolerance

EXAMPLES = 3
BLOCK_ROWS = 500_000
Positions = npt.NDArray[np.int64]


def compare_files(
    first: Sequence[Path], second: Sequence[Path], *, keys: Sequence[str], tolerances: Mapping[str, Tolerance]
) -> TableDifference:
    """Compare two tables, each given as Parquet files with one schema; rows are matched by `keys`.

    Raises `ContractViolation` when a key column is missing in one of them, or has another type there.
    """
    types = _types(first), _types(second)
    for key in keys:
        here, there = (found.get(key, "missing") for found in types)
        if here != there or key not in types[0]:
            raise ContractViolation(f"rows cannot be matched by {key!r}: it is {here} here, {there} there")
    both = [name for name in types[0] if name in types[1]]
    rows = [_occurrences(_key_hashes(files, keys)) for files in (first, second)]
    of_first, of_second = _matched(rows.pop(0), rows.pop(0))
    only_first, only_second = _unmatched(first, of_first), _unmatched(second, of_second)
    unmatched = [*_examples(first, keys, only_first), *_examples(second, keys, only_second)]
    columns = [
        _compare_column(name, first, second, of_first, of_second, keys, tolerances.get(name, EXACT))
        for name in both
        if name not in keys and types[0][name] == types[1][name]
    ]
    return TableDifference(
        missing=tuple(name for name in types[0] if name not in types[1]),
        added=tuple(name for name in types[1] if name not in types[0]),
        retyped=tuple(name for name in both if types[0][name] != types[1][name]),
        compared=len(of_first),
        only_first=len(only_first),
        only_second=len(only_second),
        unmatched=tuple(unmatched[:EXAMPLES]),
        columns=tuple(column for column in columns if column.rows or column.tolerated),
    )


def _types(files: Sequence[Path]) -> dict[str, str]:
    return {field.name: type_name(field.type) for field in pq.read_schema(files[0])}


def _column(files: Sequence[Path], name: str) -> pa.Array:
    """One column of all files, in one piece."""
    table = pa.concat_tables([pq.ParquetFile(file).read(columns=[name]) for file in files])
    column = table[name].combine_chunks()
    return plain(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)


def _hashes(name: str, column: pa.Array) -> Hashes:
    return Hasher(name, column.type, Buffers(max(1, len(column)))).hash(column)


def _key_hashes(files: Sequence[Path], keys: Sequence[str]) -> Words:
    """A word per row for its whole key; two keys share one with a probability of 2^-64."""
    total: Any = GOLDEN
    for key in keys:
        total = total + _hashes(key, _column(files, key))[0]
    return mixed(np.atleast_1d(total))


def _occurrences(hashes: Words) -> Words:
    """Unique words: of rows that share a key, the second is told from the first."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else np.empty(0, "i8")
    number = np.arange(len(ordered)) - np.repeat(begins, np.diff(np.append(begins, len(ordered))))
    unique = np.empty_like(hashes)
    unique[order] = mixed(ordered + number.astype("u8") * GOLDEN)
    return unique


def _matched(one: Words, other: Words) -> tuple[Positions, Positions]:
    """Where the words that both have lie in each, in the order of the first."""
    order = np.argsort(other)
    other = other[order]
    of_first: list[Positions] = []
    of_second: list[Positions] = []
    for start in range(0, len(one) if len(other) else 0, BLOCK_ROWS):
        block = one[start : start + BLOCK_ROWS]
        at = np.minimum(np.searchsorted(other, block), len(other) - 1)
        found = np.flatnonzero(other[at] == block)
        of_first.append(found + start)
        of_second.append(order[at[found]])
    none = np.empty(0, "i8")
    return np.concatenate([none, *of_first]), np.concatenate([none, *of_second])


def _unmatched(files: Sequence[Path], matched: Positions) -> Positions:
    lone = np.ones(sum(pq.read_metadata(file).num_rows for file in files), dtype=bool)
    lone[matched] = False
    return np.flatnonzero(lone)


def _compare_column(
    name: str,
    first: Sequence[Path],
    second: Sequence[Path],
    of_first: Positions,
    of_second: Positions,
    keys: Sequence[str],
    tolerance: Tolerance,
) -> ColumnDifference:
    one, other = _column(first, name), _column(second, name)
    differing: list[Positions] = []
    tolerated, largest = 0, None
    for start in range(0, len(of_first), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        here, there = one.take(pa.array(of_first[block])), other.take(pa.array(of_second[block]))
        differs = beyond = _different(name, here, there)
        if pa.types.is_integer(here.type) or pa.types.is_floating(here.type):
            gaps, allowed = _gaps(here, there, tolerance)
            beyond = differs & ~(gaps <= allowed)
            finite = gaps[differs & np.isfinite(gaps)]
            largest = max([largest or 0.0, float(finite.max())]) if len(finite) else largest
        differing.append(of_first[block][beyond])
        tolerated += int(differs.sum()) - int(beyond.sum())
    rows = np.sort(np.concatenate([np.empty(0, "i8"), *differing]))
    return ColumnDifference(
        column=name, rows=len(rows), tolerated=tolerated, largest=largest, examples=_examples(first, keys, rows)
    )


def _different(name: str, one: pa.Array, other: pa.Array) -> npt.NDArray[np.bool_]:
    """Where two columns of one type do not hold the same: null is null only, NaN is NaN, and the zeros are equal."""
    (h, g), (other_h, other_g) = _hashes(name, one), _hashes(name, other)
    return (h != other_h) | (g != other_g)


def _gaps(one: pa.Array, other: pa.Array, tolerance: Tolerance) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How far numbers are apart, NaN where one is missing, and how far they may be."""
    a, b = (pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False) for array in (one, other))
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(a - b)
        largest = np.maximum(np.abs(a), np.abs(b))
        # An infinite number agrees with itself only, whatever the relative tolerance.
        allowed = np.where(np.isfinite(largest), tolerance.absolute + tolerance.relative * largest, 0.0)
    return gaps, allowed


def _examples(files: Sequence[Path], keys: Sequence[str], rows: Positions) -> tuple[Example, ...]:
    """The first of these rows with their keys."""
    chosen = rows[:EXAMPLES]
    if not len(chosen):
        return ()
    shown = {key: _column(files, key).take(pa.array(chosen)).to_pylist() for key in keys}
    return tuple(
        Example(int(row), {key: _text(values[position]) for key, values in shown.items()})
        for position, row in enumerate(chosen)
    )


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
