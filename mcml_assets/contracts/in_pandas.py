"""Asks in pandas what only pandas can: callables, and schemas that change rows before they judge them. Imports pandera.

A callable sees a whole column, or the whole table, as pandera promises it: memory grows with the rows it is asked about.
pandera's own messages quote values, so none of them is passed on: only counts, row numbers and allowed examples.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pyarrow.parquet as pq
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors, SchemaWarning

from mcml_assets.contracts.in_parquet import Table, row_key
from mcml_assets.contracts.reading import Reading, check_text, type_rule, unique_columns, unique_text
from mcml_assets.contracts.rules import (
    NO_OTHER_COLUMNS,
    NOT_NULL,
    PRESENT,
    SAMPLES,
    UNIQUE,
    RuleKey,
    RuleResult,
    shortened,
)
from mcml_assets.domain.errors import ConfigurationError


def ask_in_pandas(where: str, table: Table, reading: Reading, unshown: Collection[str]) -> list[RuleResult]:
    """Every rule of `reading.left` with its failures; `where` names the contract in messages.

    Raises `ConfigurationError` when the schema cannot be used at all.
    """
    schema = reading.left
    if schema is None:
        return []
    known = _whole_schema(table, schema) if not reading.left_checks and not reading.left_types else _left(table, reading)
    wanted = None if None in reading.left_checks or not (reading.left_checks or reading.left_types) else list(schema.columns)
    frame, places = _read(table, wanted)
    for error in _errors(where, table.name, schema, frame):
        found = _broken_rule(error, reading)
        if found is None:
            continue
        key, text = found
        failures, rows, values = _failures(error)
        if error.reason_code is SchemaErrorReason.DUPLICATES:
            # pandera takes NaN for equal to NaN, and then leaves such rows out of its own count.
            repeated = frame.index[frame.duplicated(unique_columns(schema), keep=False)]
            failures, rows = max(failures, len(repeated)), rows or [int(row) for row in repeated[:SAMPLES]]
        result = known.get(key) or RuleResult(table.name, key[0], text, 0)
        if failures < result.failures:
            continue  # a type that cannot be coerced is told twice: what counts is how many rows are wrong
        shown = key[0] is not None and key[0] not in unshown
        known[key] = RuleResult(
            table.name, key[0], text, failures, values if shown else (), tuple(places.key(row) for row in rows)
        )
    return list(known.values())


class _Places:
    """From the number of a row in the frame to its file, and its place there."""

    def __init__(self, files: Sequence[Path], lengths: Sequence[int]) -> None:
        self._files, self._ends = files, list(accumulate(lengths))

    def key(self, row: int) -> str:
        index = next(index for index, end in enumerate(self._ends) if row < end)
        return row_key(str(self._files[index]), row - (self._ends[index - 1] if index else 0), {})


def _read(table: Table, columns: list[str] | None) -> tuple[pd.DataFrame, _Places]:
    """The rows of all files; where these are of several versions, in the form that all of them fit."""
    if table.mixed:
        parts = [_in_form(pq.read_table(file), table) for file in table.files]
        frame = arrow.concat_tables(parts).select(columns or list(table.fields)).to_pandas()
        return frame, _Places(table.files, [len(part) for part in parts])
    frames = [pd.read_parquet(file, columns=columns) for file in table.files]
    known = [frame.loc[:, [name for name in frame.columns if name in table.fields]] for frame in frames]
    return pd.concat(known, ignore_index=True), _Places(table.files, [len(frame) for frame in frames])


def _in_form(part: arrow.Table, table: Table) -> arrow.Table:
    """A part with all columns of the table: null where it is from before a column was added."""
    columns = {
        name: part[name].cast(type_) if name in part.column_names else arrow.nulls(len(part), type_)
        for name, type_ in table.fields.items()
    }
    return arrow.table(columns)


def _errors(where: str, name: str, schema: pa.DataFrameSchema, frame: pd.DataFrame) -> list[SchemaError]:
    try:
        with warnings.catch_warnings():
            # A check that only warns quotes values in its warning; pandas warns of how pandera puts reports together.
            warnings.simplefilter("ignore", SchemaWarning)
            warnings.simplefilter("ignore", FutureWarning)
            schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        return error.schema_errors
    except pa.errors.SchemaDefinitionError as error:
        raise ConfigurationError(f"{where}: the schema of {name!r} cannot be used: {error}") from error
    return []


def _left(table: Table, reading: Reading) -> dict[RuleKey, RuleResult]:
    """What was left of a schema, as if it held."""
    rules = {key: text for checks in reading.left_checks.values() for key, text in checks}
    columns = reading.left.columns if reading.left is not None else {}
    rules |= {(column, type_rule(columns[column].dtype)): type_rule(columns[column].dtype) for column in reading.left_types}
    return {key: RuleResult(table.name, key[0], text, 0) for key, text in rules.items()}


def _whole_schema(table: Table, schema: pa.DataFrameSchema) -> dict[RuleKey, RuleResult]:
    """All rules of a schema, as if they held; of a column that is not there only that it should be."""
    rules: dict[RuleKey, str] = {}
    for column, of_column in schema.columns.items():
        if of_column.required:
            rules[column, PRESENT] = PRESENT
        if column not in table.fields and not of_column.regex:
            continue
        if of_column.dtype is not None:
            rules[column, type_rule(of_column.dtype)] = type_rule(of_column.dtype)
        if not of_column.nullable:
            rules[column, NOT_NULL] = NOT_NULL
        if of_column.unique:
            rules[column, UNIQUE] = UNIQUE
        rules.update({(column, index): check_text(check) for index, check in enumerate(of_column.checks or ())})
    if schema.strict is True:
        rules[None, NO_OTHER_COLUMNS] = NO_OTHER_COLUMNS
    if unique_columns(schema):
        rules[None, UNIQUE] = unique_text(schema)
    rules.update({(None, index): check_text(check) for index, check in enumerate(schema.checks or ())})
    return {key: RuleResult(table.name, key[0], text, 0) for key, text in rules.items()}


def _broken_rule(error: SchemaError, reading: Reading) -> tuple[RuleKey, str] | None:
    """Which rule an error of pandera is about, and its text; None where DuckDB has the word."""
    schema, reason = error.schema, error.reason_code
    of_table = isinstance(schema, pa.DataFrameSchema)
    column = None if of_table else str(schema.name)
    if isinstance(error.check, pa.Check) and error.check_index is not None:
        names: Mapping[str | None, list[tuple[RuleKey, str]]] = reading.left_checks
        key, text = names[column][error.check_index] if names else ((column, error.check_index), check_text(error.check))
        if reason is SchemaErrorReason.CHECK_ERROR:
            # Only the class: the exception's text may quote the value it met.
            text += f" (the rule itself failed: {str(error.failure_cases).partition('(')[0]})"
        return key, text
    if reason in (SchemaErrorReason.WRONG_DATATYPE, SchemaErrorReason.DATATYPE_COERCION) and not of_table:
        return (column, type_rule(schema.dtype)), type_rule(schema.dtype)
    if reading.left_checks or reading.left_types:
        return None
    if reason is SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
        return (str(error.failure_cases), PRESENT), PRESENT
    if reason is SchemaErrorReason.COLUMN_NOT_IN_SCHEMA:
        return (None, NO_OTHER_COLUMNS), NO_OTHER_COLUMNS
    if reason is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return (column, NOT_NULL), NOT_NULL
    if reason in (SchemaErrorReason.SERIES_CONTAINS_DUPLICATES, SchemaErrorReason.DUPLICATES):
        return (column, UNIQUE), unique_text(schema) if of_table else UNIQUE
    text = str(reason.name if reason is not None else error.check).lower().replace("_", " ")
    return (column, text), text


def _failures(error: SchemaError) -> tuple[int, list[int], tuple[str, ...]]:
    """The number of rows at fault, some of them, and some of the different values found there."""
    cases = error.failure_cases
    if not isinstance(cases, pd.DataFrame):
        return 1, [], ()
    rows = cases["index"].dropna().drop_duplicates() if "index" in cases else cases.index[:0].to_series()
    values = cases["failure_case"].drop_duplicates().head(SAMPLES) if "failure_case" in cases else ()
    shown = tuple(shortened(str(value)) for value in values)
    return max(len(rows) or len(cases), 1), sorted(int(row) for row in rows)[:SAMPLES], shown
