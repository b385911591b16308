"""The digest `rows128-v1` of Parquet tables: per column and of whole rows, without regard to order, files and encoding.

Rows are hashed as they are decoded, in bounded memory, and hashes are added up: sums modulo 2^64 of two hashes of each
row, and a count. Sums, unlike exclusive or, do not cancel where something is there twice. How a cell is hashed is
`cell_hash.py`'s business. Imports numpy and pyarrow: import it inside functions.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.comparison.cell_hash import ALGORITHM, GOLDEN, Buffers, Hasher, Words, mix, plain, type_name
from mcml_assets.domain.errors import ContractViolation, CorruptSnapshot
from mcml_assets.domain.table_digest import ColumnDigest, TableDigest

T = TypeVar("T")

BATCH_ROWS = 65_536
BLOCK_ROWS = 32_768  # a block's hashes stay in a core's cache
# Columns differ in what they cost to decode: with one batch only, a core would wait for the longest of each.
BATCHES_AHEAD = 3
DECODE_BUFFER_BYTES = 2**20
# Parquet that spends less per cell has a dictionary of few values: then each of them is hashed once per batch.
DICTIONARY_BYTES_PER_CELL = 4


@dataclass(slots=True)
class _Lanes:
    """Sums of two hashes modulo 2^64."""

    first: int = 0
    second: int = 0

    def add(self, h: Words, g: Words) -> None:
        self.first = (self.first + int(h.sum())) & 0xFFFF_FFFF_FFFF_FFFF
        self.second = (self.second + int(g.sum())) & 0xFFFF_FFFF_FFFF_FFFF

    def hex(self) -> str:
        return f"{self.first:016x}{self.second:016x}"


@dataclass(slots=True)
class _Column:
    type: str
    nulls: int = 0
    lanes: _Lanes = field(default_factory=_Lanes)


def digest_files(files: Sequence[Path]) -> TableDigest:
    """The digest of the table whose parts these Parquet files are, in any order.

    Raises `ContractViolation` when there is no file, the files have other columns or types than the first, or a column
    has a type that has no digest, and `CorruptSnapshot` when one cannot be read.
    """
    if not files:
        raise ContractViolation("a digest needs at least one Parquet file: an empty table has one with no rows")
    schema = _read(files[0], lambda file: file.schema_arrow)
    for path in files[1:]:
        _check_schema(files[0], schema, path, _read(path, lambda file: file.schema_arrow))
    return digest_batches(schema, _ahead(batch for path in files for batch in decoded_batches(path)))


def digest_table(table: pa.Table) -> TableDigest:
    """The digest of a table in memory."""
    return digest_batches(table.schema, table.to_batches(max_chunksize=BATCH_ROWS))


def digest_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> TableDigest:
    """The digest of the rows of all batches, whose columns may come in any order."""
    names = schema.names
    if len(set(names)) < len(names):
        raise ContractViolation(f"columns share a name: {sorted({name for name in names if names.count(name) > 1})}")
    columns = {name: _Column(type_name(schema.field(name).type)) for name in names}
    buffers = Buffers(BLOCK_ROWS)
    hashers = {name: Hasher(name, schema.field(name).type, buffers) for name in names}
    rows, lanes = 0, _Lanes()
    row_h, row_g = np.empty(BLOCK_ROWS, "u8"), np.empty(BLOCK_ROWS, "u8")
    for batch in batches:
        rows += batch.num_rows
        cells = {name: plain(batch.column(name)) for name in columns}
        for start in range(0, batch.num_rows, BLOCK_ROWS):
            size = min(BLOCK_ROWS, batch.num_rows - start)
            a, b, t = row_h[:size], row_g[:size], buffers.t[:size]
            a[:], b[:] = 0, GOLDEN
            for name, column in columns.items():
                array = cells[name].slice(start, size)
                h, g = hashers[name].hash(array)
                column.nulls += array.null_count
                column.lanes.add(h, g)
                np.add(a, h, out=a)
                np.add(b, g, out=b)
            mix(a, t)
            mix(b, t)
            lanes.add(a, b)
    return TableDigest(
        ALGORITHM,
        rows,
        lanes.hex(),
        {name: ColumnDigest(column.type, column.nulls, column.lanes.hex()) for name, column in sorted(columns.items())},
    )


def decoded_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of one file as they are digested, in bounded memory. Raises `CorruptSnapshot` when it cannot be read."""
    file = _read(path, lambda file: file)
    repeating = [
        file.schema_arrow.names[index]
        for index in range(file.metadata.num_columns if not _nested(file.schema_arrow) else 0)
        if _repeats(file, index)
    ]
    try:
        # Buffered: a row group may be larger than memory.
        options = {"buffer_size": DECODE_BUFFER_BYTES, "pre_buffer": False}
        yield from pq.ParquetFile(path, read_dictionary=repeating, **options).iter_batches(BATCH_ROWS)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptSnapshot(f"{path.name} cannot be read as Parquet: {type(error).__name__}") from error


def _repeats(file: pq.ParquetFile, column: int) -> bool:
    """Whether a text column's values repeat, by the bytes that Parquet needs for them."""
    if not pa.types.is_string(file.schema_arrow.field(column).type):
        return False
    chunks = [file.metadata.row_group(group).column(column) for group in range(file.metadata.num_row_groups)]
    cells = sum(chunk.num_values for chunk in chunks)
    return sum(chunk.total_uncompressed_size for chunk in chunks) <= DICTIONARY_BYTES_PER_CELL * cells


def _nested(schema: pa.Schema) -> bool:
    return any(pa.types.is_nested(kind) for kind in schema.types)


def _read(path: Path, what: Callable[[pq.ParquetFile], T]) -> T:
    try:
        return what(pq.ParquetFile(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptSnapshot(f"{path.name} cannot be read as Parquet: {type(error).__name__}") from error


def _check_schema(first: Path, schema: pa.Schema, path: Path, found: pa.Schema) -> None:
    def types(of: pa.Schema) -> dict[str, str]:
        return {field.name: type_name(field.type) for field in of}

    if types(found) != types(schema):
        other = sorted(dict(types(schema).items() ^ types(found).items()))
        raise ContractViolation(f"{path.name} has other columns or types than {first.name}: {', '.join(other)}")


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, the next ones decoded while one is hashed."""
    with ThreadPoolExecutor(1) as reader:
        coming = deque(reader.submit(next, batches, None) for _ in range(BATCHES_AHEAD))
        while (batch := coming.popleft().result()) is not None:
            coming.append(reader.submit(next, batches, None))
            yield batch
