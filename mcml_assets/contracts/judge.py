"""Judges a snapshot's tables by a contract: all that is wrong, not only the first, and what was found to be right.

Each rule is asked in one engine: presence and types of the files' footers, rules over values in DuckDB (`in_parquet.py`),
callables in pandas (`in_pandas.py`). Rows of several versions of a contract are judged in `of_versions.py`. What to do about
broken rules is the caller's decision. Imports pandera, duckdb and pyarrow: import it inside functions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import duckdb
import pandera.pandas as pa

from mcml_assets.contracts.in_pandas import ask_in_pandas
from mcml_assets.contracts.in_parquet import Table, ask, database
from mcml_assets.contracts.reading import load_schemas, read_rules
from mcml_assets.contracts.rules import RuleResult
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import FunctionReference


def judge(
    contract: FunctionReference,
    files: Mapping[str, Sequence[Path]],
    unshown: Collection[str],
    watermark: datetime | None = None,
    ignored: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> tuple[RuleResult, ...]:
    """Every rule of the contract about these tables, each the Parquet files of its rows, with its failures.

    No value of a column in `unshown` is told, nor of rules about whole rows; hand over all columns of a restricted
    workload. A rule that raises an exception is broken. Freshness is asked against `watermark`. Of files from before a
    column was added the column is null; columns that were given up are `ignored`, by table.

    Raises `ConfigurationError` when the contract fails, or has no pandera schema for one of the tables, and
    `ContractViolation` when a file cannot be read.
    """
    schemas = load_schemas(contract)
    check_tables(contract, schemas, files)
    tables = {name: Table.of(name, parts, ignored.get(name, ())) for name, parts in files.items() if parts}
    results: list[RuleResult] = []
    with database() as connection:
        for name in tables:
            results += judge_table(
                str(contract), connection, schemas[name], tables, name, unshown=unshown, watermark=watermark
            )  # fmt: skip
    return tuple(results)


def check_tables(contract: FunctionReference, schemas: Mapping[str, pa.DataFrameSchema], names: Iterable[str]) -> None:
    """Raise `ConfigurationError` when the contract has no schema for one of these tables."""
    for name in names:
        if name not in schemas:
            raise ConfigurationError(f"{contract} has no schema for table {name!r}{did_you_mean(name, list(schemas))}")


def judge_table(
    where: str,
    connection: duckdb.DuckDBPyConnection,
    schema: pa.DataFrameSchema,
    tables: Mapping[str, Table],
    name: str,
    *,
    unshown: Collection[str],
    watermark: datetime | None,
) -> list[RuleResult]:
    """Every rule of one schema about the table `name`; `where` names the contract in messages."""
    table = tables[name]
    reading = read_rules(name, schema, table.fields)
    answers = ask(connection, table, reading.rules, tables, key=reading.key, unshown=unshown, watermark=watermark)
    return in_order([*reading.settled.values(), *answers, *ask_in_pandas(where, table, reading, unshown)])


def in_order(results: Sequence[RuleResult]) -> list[RuleResult]:
    """The rules of a column together, those about the whole table last."""
    columns = list(dict.fromkeys(result.column for result in results if result.column is not None))
    return sorted(results, key=lambda result: columns.index(result.column) if result.column is not None else len(columns))
