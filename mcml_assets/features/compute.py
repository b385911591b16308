"""Runs the users' features function, once per as-of date, and writes what it returns as Parquet files that are the same
bytes in every location. Imports pandas and pyarrow: import it inside functions.

Which times there are is `as_of.py`'s, which rows each time may see is `tables.py`'s, what Feast makes of the files is
`feast_store.py`'s business.
"""

import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.configuration.user_code import load_function
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Classification, Workload
from mcml_assets.features.as_of import as_of_dates
from mcml_assets.features.frames import EVENT_TIMESTAMP, checked_table, returned_frames
from mcml_assets.features.tables import before, earliest_event, utc_tables


def compute_features(
    workload: Workload, tables: Mapping[str, pd.DataFrame], watermark: datetime, folder: Path, *, ray: str | None = None
) -> dict[str, Path]:
    """Compute the workload's features as of every as-of date and write them to `folder`.

    `tables` holds the raw rows by source name; rows at or after an as-of date are cut away before the function sees
    them. Writes and returns `<view>/<as-of date>.parquet` (path in the snapshot -> file): join key, `event_timestamp`
    (UTC, microseconds), features in declared order and type, sorted by join key and time. A view that brings its own
    `event_timestamp` gets one file, at the watermark.

    With `ray`, the address of a Ray cluster, each date is a task there: the same bytes, by more machines.

    Raises `ConfigurationError` naming the function, view and column when what it returns is not what was declared, and
    `ContractViolation` when a source has no table.
    """
    tables = utc_tables(workload, tables)
    dates = as_of_index(workload, tables, watermark)
    if ray is not None:
        from mcml_assets.features.scale_out import compute_on_ray  # noqa: PLC0415 - Ray, only where a cluster is named

        return compute_on_ray(workload, tables, dates, folder, ray)
    written: dict[str, Path] = {}
    for as_of in dates:
        for path, table in tables_as_of(workload, tables, as_of, newest=as_of == dates[-1]).items():
            written[path] = write_table(table, folder / path)
    return written


def tables_as_of(
    workload: Workload, tables: Mapping[str, pd.DataFrame], as_of: pd.Timestamp, *, newest: bool
) -> dict[str, pa.Table]:
    """The features as of one date, checked, by their path in the snapshot."""
    function = load_function(workload.features.function)
    frames = returned_frames(workload, _call(workload, function, before(workload, tables, as_of), as_of))
    return {
        f"{view.name}/{as_of:%Y-%m-%d}.parquet": checked_table(workload, view, frames[view.name], as_of)
        for view in workload.features.views
        if newest or EVENT_TIMESTAMP not in frames[view.name].columns
    }


def as_of_index(workload: Workload, tables: Mapping[str, pd.DataFrame], watermark: datetime) -> pd.DatetimeIndex:
    """The as-of dates that `compute_features` uses for these tables, in UTC, the watermark last; `target` takes the same."""
    earliest = earliest_event(workload, utc_tables(workload, tables))
    features = workload.features
    dates = as_of_dates(watermark if earliest is None else earliest, watermark, features.first_after_days, features.every_days)
    return pd.DatetimeIndex(pd.to_datetime(list(dates), utc=True))


def _call(workload: Workload, function: Callable[..., Any], tables: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> Any:
    """What the user's function returns; its own failure says where it happened, and quotes no value that is restricted."""
    try:
        return function(tables, as_of)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        file = workload.features.function.file
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file.absolute()]
        cause = None if workload.classification is Classification.RESTRICTED else error
        raise ConfigurationError(
            f"{workload.name}: {workload.features.function} as of {as_of:%Y-%m-%d} failed with {type(error).__name__}"
            f" in line {lines[-1]}"
        ) from cause


def write_table(table: pa.Table, file: Path) -> Path:
    """The same table gives the same bytes: one row group, fixed compression, no metadata of pandas or of this machine."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(None), file, compression="zstd", compression_level=3, row_group_size=2**31 - 1)
    return file
