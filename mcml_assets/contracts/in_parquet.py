"""Asks rules of Parquet files with DuckDB: one pass over the rows answers every rule; only what is broken is read again.

Only a column of whole numbers that must differ is read by itself, with Arrow: DuckDB collects ten million values in 0.8 s of
processor time, half of it page faults, and reading and sorting them costs 0.2 s. Of other rows that must differ DuckDB
collects the hashes. Either takes 8 bytes per row and rule, twice while they are sorted; else memory does not grow with the
rows. What the one query asks is put together in `one_pass.py`. Imports duckdb and pyarrow: import it inside functions.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.contracts.one_pass import answer, repeated
from mcml_assets.contracts.rules import (
    SAMPLES,
    DistinctRule,
    FreshRule,
    ReferenceRule,
    RowRule,
    Rule,
    RuleResult,
    shortened,
)
from mcml_assets.contracts.translation import literal, quoted
from mcml_assets.domain.errors import ContractViolation

DAY_SECONDS = 86_400
# Up to 256 values take one byte per cell; the second is for the values themselves.
BYTES_PER_CELL = 2


@dataclass(frozen=True, slots=True)
class Table:
    """The Parquet files of one table, in order, and the types of their columns.

    `mixed` where the files' columns are not the same; `repeating` are text columns of few values.
    """

    name: str
    files: tuple[Path, ...]
    fields: Mapping[str, pa.DataType]
    mixed: bool
    repeating: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, files: Sequence[Path], ignored: Collection[str] = ()) -> "Table":
        """Read the footers; `ignored` columns are as if they were not there.

        Raises `ContractViolation` for a file that is no Parquet, or types that do not go together.
        """
        footers: list[pq.FileMetaData] = []
        schemas: list[pa.Schema] = []
        for file in files:
            try:
                footers.append(pq.read_metadata(file))
                schemas.append(_without(footers[-1].schema.to_arrow_schema().remove_metadata(), ignored))
            except (pa.ArrowInvalid, OSError) as error:
                raise ContractViolation(
                    f"{name}: {file.name}: expected a Parquet file, found {file.stat().st_size} bytes that are truncated or "
                    "another format"
                ) from error
        try:
            schema = pa.unify_schemas(schemas, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            # Arrow's message names columns and types, no values.
            raise ContractViolation(f"{name}: the files do not go together: {error}") from error
        mixed = any(not one.equals(schemas[0]) for one in schemas[1:])
        fields = {field.name: field.type for field in schema}
        return cls(name, tuple(files), fields, mixed, _repeating(fields, footers))

    def sql(self, *, numbered: bool = False) -> str:
        """The table function that reads the rows; `numbered` ones know their file and their place in it."""
        plain = ("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)) for path in self.files)
        listed = ", ".join(literal(path) for path in plain)
        options = f"hive_partitioning = false, union_by_name = {self.mixed}"
        if numbered:
            options += ", filename = true, file_row_number = true"
        return f"read_parquet([{listed}], {options})"

    def counts(self, columns: Sequence[str]) -> bool:
        """Whether these are one column of whole numbers, the same in all files."""
        return len(columns) == 1 and not self.mixed and pa.types.is_integer(self.fields[columns[0]])

    @property
    def numbers_rows(self) -> bool:
        """Whether the names that DuckDB gives to file and row number are not the table's own."""
        return not {"filename", "file_row_number"} & self.fields.keys()


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of one judgement. A failure to read becomes `ContractViolation`, without the value it stumbled on."""
    try:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except duckdb.OutOfMemoryException:
        raise  # the machine is at fault, not the data
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise ContractViolation(
            f"the data cannot be read to its end ({type(error).__name__}): expected sound Parquet files"
        ) from None


def ask(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    rules: Sequence[Rule],
    others: Mapping[str, Table],
    *,
    key: Sequence[str],
    unshown: Collection[str],
    watermark: datetime | None,
) -> list[RuleResult]:
    """Every rule with the number of rows that break it, in the order given. `others` are all tables, by name.

    `key` names a row where none of its columns is in `unshown`, of which no value is ever told.
    """
    asked = _Asked(connection, table, [column for column in key if column in table.fields], frozenset(unshown))
    fitting = {
        rule.other_table: others[rule.other_table].sql()
        for rule in rules
        if isinstance(rule, ReferenceRule) and asked.unfit(rule, others) is None
    }
    by_value = {rule.key: rule.columns[0] for rule in rules if isinstance(rule, DistinctRule) and table.counts(rule.columns)}
    found = answer(connection, table.sql(), [rule for rule in rules if rule.key not in by_value], table.repeating, fitting)
    results = []
    for rule in rules:
        match rule:
            case RowRule():
                results.append(asked.row_rule(rule, found.broken[rule.key]))
            case DistinctRule() if rule.key in by_value:
                results.append(asked.distinct(rule, asked.repeated_numbers(by_value[rule.key])))
            case DistinctRule():
                results.append(asked.distinct(rule, asked.repeated_rows(rule, found.suspected[rule.key])))
            case ReferenceRule():
                results.append(asked.reference(rule, others, found.broken.get(rule.key, 0)))
            case FreshRule():
                told = rule.column not in asked.unshown
                results.append(_fresh(table.name, rule, found.newest[rule.key], watermark, told=told))
    return results


@dataclass(frozen=True, slots=True)
class _Asked:
    """One table that is asked, and what may be told of it."""

    connection: duckdb.DuckDBPyConnection
    table: Table
    key: Sequence[str]
    unshown: frozenset[str]

    def one(self, query: str) -> tuple[Any, ...]:
        return self.connection.execute(query).fetchall()[0]

    def row_rule(self, rule: RowRule, broken: int) -> RuleResult:
        condition = rule.broken
        if broken and rule.exact is not None:
            condition = self._judged(rule)
            (broken,) = self.one(f"SELECT count(*) FROM {self.table.sql()} WHERE {condition}")  # noqa: S608 - quoted
        return self._result(rule, broken, condition, self._shown(rule.key[0]))

    def repeated_numbers(self, column: str) -> int:
        """Put the whole numbers that are there more than once into the table `repeated`; how many rows hold one.

        Several rows without a number count as equal.
        """
        read = [pq.ParquetFile(file).read([column]).column(0) for file in self.table.files]
        missing = sum(chunks.null_count for chunks in read)
        chunks = [chunk.drop_null().to_numpy() for chunks in read for chunk in chunks.chunks]
        values, times = repeated(np.concatenate(chunks) if chunks else np.empty(0, "i8"))
        nulls = [None] if missing > 1 else []
        if len(values) or nulls:
            kind = self.table.fields[column]
            held = pa.chunked_array([pa.array(values, kind), pa.array(nulls, kind)])
            self._hold("repeated", pa.table({column: held}))
        return int(times.sum()) + (missing if nulls else 0)

    def repeated_rows(self, rule: DistinctRule, hashes: np.ndarray) -> int:
        """Put the rows that are there more than once into the table `repeated`; how many there are.

        Only those are looked at whose hash is among `hashes`: to group all rows takes as long as all other rules together.
        """
        if not len(hashes):
            return 0
        columns = ", ".join(map(quoted, rule.columns))
        self._hold("suspects", pa.table({"hash": pa.array(hashes, pa.uint64())}))
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT {columns}, count(*) AS times "  # noqa: S608 - quoted
            f"FROM {self.table.sql()} WHERE hash({columns}) IN (SELECT hash FROM suspects) "
            f"GROUP BY {columns} HAVING count(*) > 1"
        )
        return int(self.one("SELECT coalesce(sum(times), 0) FROM repeated")[0])

    def distinct(self, rule: DistinctRule, broken: int) -> RuleResult:
        """What is told of the rows in the table `repeated`, which there is when some are `broken`."""
        same = " AND ".join(f"repeated.{quoted(name)} IS NOT DISTINCT FROM asked.{quoted(name)}" for name in rule.columns)
        condition = f"EXISTS (SELECT 1 FROM repeated WHERE {same})"  # noqa: S608 - quoted
        return self._result(rule, broken, condition, self._shown(rule.key[0]))

    def unfit(self, rule: ReferenceRule, others: Mapping[str, Table]) -> str | None:
        """Why the column cannot be looked up in the other table's; None when it can."""
        other = others.get(rule.other_table)
        if other is None or rule.other_column not in other.fields:
            return f"there is no {rule.other_table}.{rule.other_column}"
        here, there = self.table.fields[rule.column], other.fields[rule.other_column]
        return None if str(here) == str(there) else f"the types differ: {here} and {there}"

    def reference(self, rule: ReferenceRule, others: Mapping[str, Table], broken: int) -> RuleResult:
        if (problem := self.unfit(rule, others)) is not None:
            return RuleResult(self.table.name, rule.column, f"{rule.text} ({problem})", 1)
        other = others[rule.other_table]
        name, known = quoted(rule.column), f"SELECT {quoted(rule.other_column)} AS known FROM {other.sql()}"  # noqa: S608
        condition = f"{name} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ({known}) WHERE known = asked.{name})"  # noqa: S608
        return self._result(rule, broken, condition, self._shown(rule.column))

    def _judged(self, rule: RowRule) -> str:
        """Let `exact` decide about the different suspects; gives the condition of the rows that hold a bad one."""
        column = quoted(str(rule.key[0]))
        suspects = self.connection.execute(
            f"SELECT DISTINCT {column} FROM {self.table.sql()} WHERE {rule.broken}"  # noqa: S608 - quoted
        ).fetchall()
        bad = [value for (value,) in suspects if rule.exact is not None and not rule.exact(value)]
        self._hold("bad", pa.table({"bad": pa.array(bad, pa.string())}))
        return f"{column} IN (SELECT bad FROM bad)"  # noqa: S608 - quoted

    def _hold(self, name: str, rows: pa.Table) -> None:
        """Keep a few rows as a table of this connection, in the place of former ones."""
        self.connection.register("held_rows", rows)
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM held_rows")  # noqa: S608 - our own name
        self.connection.unregister("held_rows")

    def _shown(self, column: str | None) -> str | None:
        """The column whose values a report may quote."""
        return column if column is not None and column not in self.unshown else None

    def _result(self, rule: Rule, broken: int, condition: str, shown: str | None) -> RuleResult:
        examples: tuple[str, ...] = ()
        keys: tuple[str, ...] = ()
        if broken and self.table.numbers_rows:
            rows = f"FROM {self.table.sql(numbered=True)} AS asked WHERE {condition}"
            named = self.key if not self.unshown & set(self.key) else ()
            columns = "".join(f", {quoted(name)}" for name in named)
            found = self.connection.execute(
                f"SELECT filename, file_row_number{columns} {rows} ORDER BY filename, file_row_number LIMIT {SAMPLES}"
            ).fetchall()
            keys = tuple(row_key(file, number, dict(zip(named, values, strict=True))) for file, number, *values in found)
            if shown is not None:
                different = self.connection.execute(
                    f"SELECT {quoted(shown)} {rows} AND {quoted(shown)} IS NOT NULL GROUP BY 1 "
                    f"ORDER BY min(filename), min(file_row_number) LIMIT {SAMPLES}"
                ).fetchall()
                examples = tuple(shortened(str(value)) for (value,) in different)
        return RuleResult(self.table.name, rule.key[0], rule.text, broken, examples, keys)


def _without(schema: pa.Schema, ignored: Collection[str]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in ignored])


def _repeating(fields: Mapping[str, pa.DataType], footers: Sequence[pq.FileMetaData]) -> frozenset[str]:
    """Text columns whose values repeat, by the bytes that Parquet needs for each cell."""
    size, cells = Counter[str](), Counter[str]()
    for footer in footers:
        for group in map(footer.row_group, range(footer.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                size[chunk.path_in_schema] += chunk.total_uncompressed_size
                cells[chunk.path_in_schema] += chunk.num_values
    return frozenset(
        name for name, type_ in fields.items() if pa.types.is_string(type_) and size[name] <= BYTES_PER_CELL * cells[name]
    )


def row_key(file: str, number: int, named: Mapping[str, object]) -> str:
    """How a report names a row: its place (rows count from 0), and the values of the table's key."""
    values = ", ".join(f"{name}={value}" for name, value in named.items())
    return shortened(f"{Path(file).name} row {number}" + (f" ({values})" if values else ""))


def _fresh(table: str, rule: FreshRule, newest: int | None, watermark: datetime | None, *, told: bool) -> RuleResult:
    """A stale table breaks the rule once, whatever its rows; with no row, or no watermark to compare with, as well.

    How stale it is would tell its newest time, and is left out unless that may be `told`.
    """
    if newest is None or watermark is None:
        what = "no row has a time" if newest is None else "the snapshot has no watermark"
        return RuleResult(table, rule.column, f"{rule.text} ({what})", 1)
    moment = watermark if watermark.tzinfo else watermark.replace(tzinfo=UTC)
    days = (moment.timestamp() - newest / 1e6) / DAY_SECONDS
    if days <= rule.within_days:
        return RuleResult(table, rule.column, rule.text, 0)
    return RuleResult(table, rule.column, rule.text + (f" (it is {days:.1f} days)" if told else ""), 1)
