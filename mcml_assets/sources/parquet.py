"""Takes the next batch of a Parquet source: by event time, by jurisdiction, each line exactly once.

Imports duckdb and pyarrow: import it inside functions. Whether the rows are good is judged in `contract.py`; where the
files go is `snapshots/`'s business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.workload import Source
from mcml_assets.sources.files import arrow_schema, check_source, landed_form, write_parquet

# Arrow and DuckDB count in microseconds here: a window that ends this much after the last event includes it.
TICK = timedelta(microseconds=1)
# A hash tells a number of one width from the same number of another: what may have been widened is compared in one width.
DUCKDB_TYPES = {
    "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "uint16": "USMALLINT", "uint32": "UINTEGER",
    "uint64": "UBIGINT", "float": "FLOAT", "double": "DOUBLE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One new file of the landing snapshot: `path` inside the snapshot, `local` where it was written.

    `first_event` and `last_event` are ISO 8601; None for an empty file and for reference tables.
    """

    path: str
    local: Path
    rows: int
    first_event: str | None
    last_event: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one landing takes from one source.

    `files` are only the new ones; a reference table's `whole.parquet` replaces the former one. `watermark` is the new
    one (ISO 8601, all events before it have landed; None for reference tables). `rows` counts the rows of `files`, with
    the `late_rows` among them. `withdrawn_rows` have landed before and are no longer in the source; they stay landed.
    `exhausted`: there was nothing to take; no file, and the watermark as before.
    """

    files: tuple[BatchFile, ...]
    watermark: str | None
    rows: int
    late_rows: int
    withdrawn_rows: int
    exhausted: bool


def next_batch(
    source: Source,
    jurisdiction: str,
    landed: Sequence[Path],
    watermark: str | None,
    part: int,
    folder: Path,
    *,
    again_until: str | None = None,
) -> Batch:
    """The next rows of `source` that belong to `jurisdiction`, written as Parquet under `folder/<source>/`.

    `landed` are local copies of all files of this source in the current snapshot, `watermark` is where the last landing
    ended (None: nothing has landed), `part` the number of this landing, which names `part-00000.parquet` and
    `late-00000.parquet`. An incremental source gives the events of the window after the watermark, an empty file when
    the jurisdiction has none there, and those before it that have not landed; equal lines are counted, not merged.
    Windows end with the source's last event, whosever it is, so all jurisdictions move through the same ones. Landed files
    of an older version of the contract are compared in the columns that they have. With `again_until`, a watermark, and
    nothing `landed`, the first window ends there: all that had landed is taken again.
    Files hold the same bytes for the same rows.

    Raises `ConfigurationError` when there is no file at the source's path, `ContractViolation` when it is no readable
    Parquet file, has other columns or types than declared, or a row without an event time.
    """
    check_source(source)
    try:
        with duckdb.connect() as database:
            rows = _Rows(database, source, jurisdiction)
            if rows.time is None:
                return _whole(rows, landed, folder)
            return _window(rows, rows.time, landed, watermark, part, folder, again_until)
    except duckdb.OutOfMemoryException:
        raise  # the machine is at fault, not the data
    except duckdb.Error as error:
        # Without its text and its traceback: DuckDB quotes the value it stumbled on.
        raise ContractViolation(
            f"source {source.name!r}: {source.path.name} cannot be read to its end ({type(error).__name__}): "
            "expected a sound Parquet file"
        ) from None


class _Rows:
    """The rows of a source that belong to one jurisdiction, as a view `belonging` over its Parquet file."""

    def __init__(self, database: duckdb.DuckDBPyConnection, source: Source, jurisdiction: str) -> None:
        self.database = database
        self.source = source
        self.columns = ", ".join(_name(column) for column in source.columns)
        self.time = _name(source.event_time) if source.event_time is not None else None
        self.schema = arrow_schema(source.columns)
        placed = "true"
        if source.placed_by is not None:
            values = ", ".join(_text(value) for value in source.placed_by.values.get(jurisdiction, ()))
            placed = f"{_name(source.placed_by.column)} IN ({values or 'NULL'})"
        database.execute(f"CREATE TEMP VIEW source AS {_select('*', _files([source.path], numbered=True))}")
        database.execute(f"CREATE TEMP VIEW belonging AS {_select('*', 'source', placed)}")

    def in_order(self, condition: str = "true", parameters: Sequence[object] = ()) -> pa.Table:
        """The rows that belong and fulfil the condition, in the order of the source."""
        # Told to: what DuckDB makes of a long IN list leaves the order to chance, and with it the bytes of our file.
        return self.table(f"{_select(self.columns, 'belonging', condition)} ORDER BY file_row_number", parameters)

    def table(self, query: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The result as an Arrow table of the declared columns and types."""
        return self.database.sql(query, params=list(parameters)).to_arrow_table().cast(self.schema)

    def one(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """The only row of the result."""
        return self.database.sql(query, params=list(parameters)).fetchall()[0]

    def write(self, table: pa.Table, name: str, folder: Path) -> BatchFile:
        """Write the table as the snapshot's file `<source>/<name>.parquet` below `folder`."""
        path = f"{self.source.name}/{name}.parquet"
        write_parquet(table, folder / path)
        first = last = None
        if self.source.event_time is not None and len(table):
            times = pc.call_function("min_max", [table[self.source.event_time]]).as_py()
            first, last = times["min"].isoformat(), times["max"].isoformat()
        return BatchFile(path, folder / path, len(table), first, last)


def _whole(rows: _Rows, landed: Sequence[Path], folder: Path) -> Batch:
    """A reference table: all of it, if its bytes would differ from those that have landed."""
    file = rows.write(rows.in_order(), "whole", folder)
    if [former.read_bytes() for former in landed] == [file.local.read_bytes()]:
        file.local.unlink()
        return Batch((), None, 0, 0, 0, exhausted=True)
    return Batch((file,), None, file.rows, 0, 0, exhausted=False)


def _window(
    rows: _Rows, time: str, landed: Sequence[Path], watermark: str | None, part: int, folder: Path, again_until: str | None
) -> Batch:
    """An incremental source: the events from the watermark to the next one, and the late ones before it."""
    start = datetime.fromisoformat(watermark) if watermark is not None else None
    end = _next_watermark(rows, time, start) if again_until is None else datetime.fromisoformat(again_until)
    files: list[BatchFile] = []
    late_rows = withdrawn_rows = 0
    if start is not None:
        late, withdrawn_rows = _differences(rows, time, landed, start)
        if late_rows := len(late):
            files.append(rows.write(late, f"late-{part:05}", folder))
    if start is None or end > start:
        since = f"{time} >= ?" if start is not None else "true"
        bounds = [start, end] if start is not None else [end]
        taken = rows.in_order(f"{since} AND {time} < ?", bounds)
        files.append(rows.write(taken, f"part-{part:05}", folder))
    return Batch(
        tuple(files), end.isoformat(), sum(file.rows for file in files), late_rows, withdrawn_rows, exhausted=not files
    )


def _next_watermark(rows: _Rows, time: str, start: datetime | None) -> datetime:
    """Where the window after `start` ends: never before it, and just after the source's last event at most."""
    source = rows.source
    # In microseconds: DuckDB gives a time with a zone in the machine's, not in UTC.
    first, last = rows.one(_select(f"epoch_us(min({time})), epoch_us(max({time}))", "source"))
    (timeless,) = rows.one(_select("count(*)", "belonging", f"{time} IS NULL"))
    if timeless:
        raise ContractViolation(
            f"source {source.name!r}: {source.path.name}: column {source.event_time!r}: expected an event time in every "
            f"row, found {timeless} rows without"
        )
    if first is None:
        if start is not None:
            return start
        raise ContractViolation(f"source {source.name!r}: {source.path.name}: expected rows, found none")
    zoned = rows.schema.field(source.event_time).type.tz is not None
    epoch = datetime(1970, 1, 1, tzinfo=UTC if zoned else None)
    limit = epoch + timedelta(microseconds=last) + TICK
    if start is None:
        midnight = (epoch + timedelta(microseconds=first)).replace(hour=0, minute=0, second=0, microsecond=0)
        return min(midnight + timedelta(days=source.first_batch_days or 0), limit)
    return max(start, min(start + timedelta(days=source.batch_days or 0), limit))


def _differences(rows: _Rows, time: str, landed: Sequence[Path], watermark: datetime) -> tuple[pa.Table, int]:
    """Rows that should have landed by now and have not, and the number of landed rows that the source no longer has.

    Both are differences of multisets: a line that the source has three times and that landed twice is late once.
    """
    compared = _compared(rows, [landed_form(rows.source, file) for file in landed])
    held = _files(landed, by_name=True) if landed else f"({_select(rows.columns, 'belonging', 'false')})"
    # Counts and hashes cost a tenth of the difference, and nearly always say that there is none.
    digest = f"count(*), sum(hash({', '.join(compared)})::HUGEINT), bit_xor(hash({', '.join(compared)}))"
    due_digest = rows.one(_select(digest, "belonging", f"{time} < ?"), [watermark])
    held_digest = rows.one(_select(digest, held))
    if due_digest == held_digest:
        return rows.schema.empty_table(), 0
    # Of lines that are equal in what is compared, those are late that are due more often than they are held.
    keys = [_name(f"mcml: {number}") for number in range(len(compared))]
    keyed = ", ".join(f"{value} AS {key}" for value, key in zip(compared, keys, strict=True))
    nth = f"row_number() OVER (PARTITION BY {', '.join(compared)} ORDER BY {rows.columns}) AS nth"
    lines = _select(f"struct_pack({rows.columns}) AS line, {nth}, {keyed}", "belonging", f"{time} < ?")
    counts = f"{_select(f'count(*) AS times, {keyed}', held)} GROUP BY ALL"
    same = " AND ".join(f"lines.{key} IS NOT DISTINCT FROM counts.{key}" for key in keys)
    query = _select("line.*", f"({lines}) AS lines LEFT JOIN ({counts}) AS counts ON {same}", "nth > coalesce(times, 0)")
    late = rows.table(f"{query} ORDER BY ALL", [watermark])
    kept = due_digest[0] - len(late)
    return late, held_digest[0] - kept


def _compared(rows: _Rows, forms: Sequence[Mapping[str, pa.DataType]]) -> list[str]:
    """What tells lines apart: the columns that all landed files have, no finer than they have them.

    A line does not land again because its file is of a version without some column, or with a shorter number there.
    """
    compared = []
    for column in rows.schema:
        found = [form.get(column.name) for form in forms]
        if None in found:
            continue
        name = _name(column.name)
        if pa.types.is_float64(column.type) and pa.float32() in found:
            # Both sides as the shorter form keeps them; what it cannot keep at all stays as it is.
            compared.append(f"coalesce(TRY_CAST({name} AS FLOAT)::DOUBLE, {name})")
        else:
            compared.append(f"{name}::{DUCKDB_TYPES[str(column.type)]}" if str(column.type) in DUCKDB_TYPES else name)
    return compared


def _select(what: str, origin: str, condition: str = "true") -> str:
    return f"SELECT {what} FROM {origin} WHERE {condition}"  # noqa: S608 - names and values in it are quoted or bound


def _files(paths: Sequence[Path], numbered: bool = False, by_name: bool = False) -> str:
    """A table function that reads these files; DuckDB would take `*`, `?` and `[` in a path for patterns."""
    plain = ("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)) for path in paths)
    listed = ", ".join(_text(path) for path in plain)
    options = f"hive_partitioning = false, file_row_number = {numbered}, union_by_name = {by_name}"
    return f"read_parquet([{listed}], {options})"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
