"""Judges the frame a features function returned for one view, and turns it into the Arrow table that is stored.
Imports pandas and pyarrow: import it inside functions.

Messages name function, view, column and type, never a value: a join key may be personal data.
"""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import FeatureView, Workload

EVENT_TIMESTAMP = "event_timestamp"
TIMESTAMP_TYPE = pa.timestamp("us", tz="UTC")  # duckdb fails on nanoseconds


def returned_frames(workload: Workload, returned: object) -> dict[str, pd.DataFrame]:
    """What the function returned, when it is one frame per declared view; else `ConfigurationError`."""
    where = f"{workload.name}: {workload.features.function}"
    wanted = [view.name for view in workload.features.views]
    if not isinstance(returned, Mapping):
        raise ConfigurationError(f"{where} should return a dict of frames by view name, found {type(returned).__name__}")
    for name in wanted:
        if name not in returned:
            raise ConfigurationError(f"{where} returns no frame for view {name!r}; found {sorted(map(str, returned))}")
        if not isinstance(returned[name], pd.DataFrame):
            raise ConfigurationError(
                f"{where} should return a pandas DataFrame for view {name!r}, found {type(returned[name]).__name__}"
            )
    for name in returned:
        if name not in wanted:
            raise ConfigurationError(f"{where} returns undeclared view {name!r}{did_you_mean(str(name), wanted)}")
    return {name: returned[name] for name in wanted}


def checked_table(workload: Workload, view: FeatureView, frame: pd.DataFrame, as_of: pd.Timestamp) -> pa.Table:
    """The frame as stored: join key, `event_timestamp` and features in declared order and type, sorted by the first two.

    A frame without `event_timestamp` gets `as_of`. Raises `ConfigurationError` for a missing, undeclared or repeated
    column, a type that does not fit, an infinite number, a null or repeated key, and a time after `as_of`.
    """
    where = f"{workload.name}: {workload.features.function}, view {view.name!r}"
    wanted = {view.join_key: view.join_key_type, **view.features}
    _check_columns(where, list(frame.columns), wanted)
    arrays = {name: _column(where, name, frame.loc[:, name], type_) for name, type_ in wanted.items()}
    times = _times(where, frame, as_of)
    table = pa.table(
        {
            view.join_key: arrays[view.join_key],
            EVENT_TIMESTAMP: times,
            **{name: arrays[name] for name in view.features},
        }
    )
    _check_keys(where, table, view.join_key)
    return table.sort_by([(view.join_key, "ascending"), (EVENT_TIMESTAMP, "ascending")])


def _check_columns(where: str, found: list[str], wanted: Mapping[str, str]) -> None:
    repeated = sorted({str(name) for name in found if found.count(name) > 1})
    if repeated:
        raise ConfigurationError(f"{where} has column {repeated[0]!r} more than once")
    for name in wanted:
        if name not in found:
            raise ConfigurationError(f"{where} has no column {name!r}; it has {', '.join(map(repr, found)) or 'none'}")
    for name in found:
        if name not in wanted and name != EVENT_TIMESTAMP:
            raise ConfigurationError(
                f"{where} has column {str(name)!r}, which defs.yaml does not declare{did_you_mean(str(name), [*wanted])}"
            )


def _column(where: str, name: str, column: pd.Series, declared: str) -> pa.Array:
    """The column in its declared type; only conversions that keep every value are made."""
    wanted = pa.type_for_alias(declared)
    try:
        array = _plain_array(column)
        if not _fits(array.type, wanted):
            raise pa.ArrowInvalid("another kind of value")
        array = array.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # The cause would quote the value, which may be personal.
        raise ConfigurationError(
            f"{where}, column {name!r}: declared as {declared}, but its values are {column.dtype} and do not fit"
        ) from None
    if pa.types.is_floating(wanted) and pc.any(pc.is_inf(array)).as_py():  # pyright: ignore[reportAttributeAccessIssue] - pyarrow makes its functions at import
        raise ConfigurationError(
            f"{where}, column {name!r} has infinite values: divide with care, use NaN for an unknown value"
        )
    return array


def _plain_array(column: pd.Series) -> pa.Array:
    array = pa.Array.from_pandas(column)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type can stand for another: whole numbers for fractions, but not the other way."""
    of = pa.types
    if of.is_null(found) or found == wanted:
        return True
    if of.is_integer(wanted):
        return of.is_integer(found)
    if of.is_floating(wanted):
        return of.is_integer(found) or of.is_floating(found)
    if of.is_string(wanted) or of.is_large_string(wanted):
        return of.is_string(found) or of.is_large_string(found)
    return of.is_timestamp(wanted) and of.is_timestamp(found)


def _times(where: str, frame: pd.DataFrame, as_of: pd.Timestamp) -> pa.Array:
    if EVENT_TIMESTAMP not in frame.columns:
        return pa.repeat(pa.scalar(as_of.to_pydatetime(), TIMESTAMP_TYPE), len(frame))
    column = frame[EVENT_TIMESTAMP]
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise ConfigurationError(
            f"{where}, column {EVENT_TIMESTAMP!r} should be timestamps with a time zone, found {column.dtype}"
        )
    if column.hasnans:
        raise ConfigurationError(f"{where}, column {EVENT_TIMESTAMP!r} has null values")
    if len(frame.loc[column > as_of]):
        raise ConfigurationError(
            f"{where}, column {EVENT_TIMESTAMP!r} has times after {as_of}, the date the features are computed as of"
        )
    return pa.Array.from_pandas(column.dt.tz_convert("UTC").dt.floor("us")).cast(TIMESTAMP_TYPE)


def _check_keys(where: str, table: pa.Table, key: str) -> None:
    if table[key].null_count:
        raise ConfigurationError(f"{where}, join key {key!r} is null in {table[key].null_count} rows")
    distinct = table.select([key, EVENT_TIMESTAMP]).group_by([key, EVENT_TIMESTAMP]).aggregate([]).num_rows
    if distinct < table.num_rows:
        raise ConfigurationError(
            f"{where}: {table.num_rows - distinct} rows repeat a {key!r} and {EVENT_TIMESTAMP} of another row;"
            " features need one row per key and time"
        )
