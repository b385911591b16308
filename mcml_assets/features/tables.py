"""Raw tables as users' functions see them. Imports pandas: import it inside functions.

One meaning of time for everybody: event times are UTC, and "as of" a time means strictly before it. Times without a
zone are UTC by declaration: a source's local clock is taken at its word, for the same instant in every location.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.workload import Source, Workload
from mcml_assets.sources.files import arrow_schema


def read_tables(workload: Workload, folder: Path) -> dict[str, pd.DataFrame]:
    """The workload's raw tables from a raw snapshot's files, by source name, event times in UTC.

    `folder` holds `<source>/*.parquet`; the parts of a source are put together in the order of their names.
    Raises `ContractViolation` when a source has no file.
    """
    return utc_tables(workload, {source.name: _read_source(source, folder) for source in workload.sources})


def utc_tables(workload: Workload, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same tables, with the event time of each incremental source as UTC.

    Raises `ContractViolation` when a source has no table.
    """
    return {source.name: _in_utc(source, _table(source, tables)) for source in workload.sources}


def before(workload: Workload, tables: Mapping[str, pd.DataFrame], as_of: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """What was known as of a time: of incremental sources the rows with event time < `as_of`; reference tables whole.

    Takes tables with UTC event times (`utc_tables`). Each call gives fresh frames, so a function that changes its
    input changes nothing for the next one.
    """
    return {source.name: _rows_before(source, tables[source.name], as_of) for source in workload.sources}


def earliest_event(workload: Workload, tables: Mapping[str, pd.DataFrame]) -> pd.Timestamp | None:
    """The earliest event time of all incremental sources; None when they are empty or there is none."""
    times = [tables[source.name][source.event_time] for source in workload.sources if source.event_time is not None]
    return min((pd.to_datetime(column).min() for column in times if len(column)), default=None)


def _read_source(source: Source, folder: Path) -> pd.DataFrame:
    files = sorted((folder / source.name).glob("*.parquet"))
    if not files:
        raise ContractViolation(f"the raw snapshot has no Parquet file of source {source.name!r}")
    return pd.concat([_in_declared_form(source, file) for file in files], ignore_index=True)


def _in_declared_form(source: Source, file: Path) -> pd.DataFrame:
    """A landed file's rows with the columns that are declared now, in whatever version of the contract they landed."""
    table = pq.read_table(file)
    if table.column_names == list(source.columns):
        return table.to_pandas()
    declared = arrow_schema(source.columns)
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in declared
    ]
    return pa.table(columns, names=declared.names).to_pandas()


def _table(source: Source, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    if source.name not in tables:
        raise ContractViolation(f"there is no table of source {source.name!r}; found are {sorted(tables)}")
    return tables[source.name]


def _in_utc(source: Source, table: pd.DataFrame) -> pd.DataFrame:
    if source.event_time is None:
        return table
    return table.assign(**{source.event_time: pd.to_datetime(table[source.event_time], utc=True)})


def _rows_before(source: Source, table: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    if source.event_time is None:
        return table.copy()
    return table.loc[table[source.event_time] < as_of].copy()
