"""Reads a user's contract: from pandera schemas, and what Parquet files say of their columns, to rules and first verdicts.

Presence and types are settled here, from the files' footers. What only pandas can ask is left in a schema of its own.
Imports pandera and pyarrow: import it inside functions. How rules are asked is the engines' business.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandera.pandas as pa
import pyarrow as arrow

from mcml_assets.configuration.user_code import load_function
from mcml_assets.contracts.rules import (
    NO_OTHER_COLUMNS,
    NOT_NULL,
    PRESENT,
    SAMPLES,
    UNIQUE,
    DistinctRule,
    FreshRule,
    ReferenceRule,
    RowRule,
    Rule,
    RuleKey,
    RuleResult,
    shortened,
)
from mcml_assets.contracts.translation import quoted, translated
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import FunctionReference

# What a column's `metadata` may say beyond pandera: `{"references": "zipcodes.zipcode"}`, `{"fresh_within_days": 40}`.
REFERENCES = "references"
FRESH = "fresh_within_days"
METADATA = (REFERENCES, FRESH)


@dataclass(frozen=True, slots=True)
class Reading:
    """A table's rules: `settled` ones with their verdict, `rules` for DuckDB, and the schema `left` for pandas.

    `left_checks` names the rule of each check of `left`, by its column (None: the whole table), in order; `left_types`
    the columns of which pandas has to say whether they can be coerced. `left` is None where DuckDB can ask everything.
    `key` are the columns that name a row.
    """

    settled: dict[RuleKey, RuleResult] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    left: pa.DataFrameSchema | None = None
    left_checks: dict[str | None, list[tuple[RuleKey, str]]] = field(default_factory=dict)
    left_types: set[str] = field(default_factory=set)
    key: tuple[str, ...] = ()


def load_schemas(contract: FunctionReference) -> Mapping[str, pa.DataFrameSchema]:
    """The pandera schema of each table. Raises `ConfigurationError` when the function fails, or gives something else."""
    function = load_function(contract)
    try:
        schemas = function()
    except Exception as error:
        raise ConfigurationError(f"{contract} fails: {type(error).__name__}: {error}") from error
    if not isinstance(schemas, Mapping) or not all(isinstance(one, pa.DataFrameSchema) for one in schemas.values()):
        raise ConfigurationError(f"{contract} must give a pandera DataFrameSchema by the name of each table")
    for name, schema in schemas.items():
        for column, of_column in schema.columns.items():
            _check_metadata(f"{contract}: {name}.{column}", of_column.metadata or {}, schemas)
    return schemas


def read_rules(name: str, schema: pa.DataFrameSchema, fields: Mapping[str, arrow.DataType]) -> Reading:
    """The rules of a schema about a table whose files have these columns."""
    if not _is_plain(schema):
        return Reading(left=schema, key=_key(schema))
    reading = Reading(key=_key(schema))
    left: dict[str, pa.Column] = {}
    for column, of_column in schema.columns.items():
        if not _settle(reading, name, column, of_column, fields):
            continue
        checks = _column_rules(reading, name, column, of_column, fields[column])
        if checks or column in reading.left_types:
            left[column] = _asked_in_pandas(of_column, checks)
    _table_rules(reading, name, schema, fields)
    if table_checks := list(schema.checks or ()):
        reading.left_checks[None] = [((None, index), check_text(check)) for index, check in enumerate(table_checks)]
        # Rows as the user's functions expect them: every column, with its coercion.
        for column, of_column in schema.columns.items():
            if column in fields:
                left.setdefault(column, _asked_in_pandas(of_column, ()))
    if not left and not table_checks:
        return reading
    return replace(reading, left=pa.DataFrameSchema(left, checks=schema.checks))


def type_rule(dtype: Any) -> str:
    """How a report says which type a column is of."""
    return f"is of type {dtype}"


def check_text(check: pa.Check) -> str:
    """How a report says a check."""
    return shortened(str(check.error or check.name or "a check without a name"))


def unique_text(schema: pa.DataFrameSchema) -> str:
    """How a report says that rows differ in these columns."""
    return f"unique together: {', '.join(unique_columns(schema))}"


def unique_columns(schema: pa.DataFrameSchema) -> list[str]:
    """The columns in which rows differ; none where the schema says nothing of it."""
    return [schema.unique] if isinstance(schema.unique, str) else list(schema.unique or [])


def _check_metadata(where: str, metadata: Mapping[Any, Any], schemas: Mapping[str, pa.DataFrameSchema]) -> None:
    for key in metadata:
        if key not in METADATA and "did you mean" in (near := did_you_mean(str(key), METADATA)):
            raise ConfigurationError(f"{where}: unknown metadata {key!r}{near}")
    if REFERENCES in metadata:
        table, _, column = str(metadata[REFERENCES]).partition(".")
        if table not in schemas:
            raise ConfigurationError(f"{where} references table {table!r}{did_you_mean(table, list(schemas))}")
        if column not in schemas[table].columns:
            known = did_you_mean(column, list(schemas[table].columns))
            raise ConfigurationError(f"{where} references {table}.{column}, which {table} has not{known}")
    days = metadata.get(FRESH, 1)
    if isinstance(days, bool) or not isinstance(days, int | float) or not days > 0:
        raise ConfigurationError(f"{where}: {FRESH} must be a number of days above 0, it is {days!r}")


def _is_plain(schema: pa.DataFrameSchema) -> bool:
    """Whether the rules are about the rows as they are stored: nothing parsed, filled in, dropped or put in order first."""
    changed = schema.parsers or schema.add_missing_columns or schema.drop_invalid_rows or schema.strict == "filter"
    unusual = schema.ordered or schema.unique_column_names or schema.index is not None or schema.dtype is not None
    columns = schema.columns.values()
    return not (changed or unusual or any(column.parsers or column.regex or column.default is not None for column in columns))


def _key(schema: pa.DataFrameSchema) -> tuple[str, ...]:
    by_itself = next(((name,) for name, column in schema.columns.items() if column.unique), ())
    return by_itself or tuple(unique_columns(schema))


def _settle(reading: Reading, table: str, column: str, of_column: pa.Column, fields: Mapping[str, arrow.DataType]) -> bool:
    """Settle presence and type; whether values may be asked about. Of a column of another type only that is told."""
    if of_column.required:
        reading.settled[column, PRESENT] = RuleResult(table, column, PRESENT, int(column not in fields))
    if column not in fields:
        return False
    if of_column.dtype is None:
        return True
    text, found = type_rule(of_column.dtype), fields[column]
    accepted = _accepts(str(of_column.dtype), found, coerced=of_column.coerce, nullable=of_column.nullable)
    if accepted is None:
        reading.left_types.add(column)
        return True
    # A type is no value: it may be told of restricted columns, too.
    reading.settled[column, text] = RuleResult(table, column, text, int(not accepted), () if accepted else (str(found),))
    return accepted


def _column_rules(reading: Reading, table: str, column: str, of_column: pa.Column, type_: arrow.DataType) -> list[pa.Check]:
    """Add the rules about a column's values; gives those checks that are left for pandas."""
    name, left = quoted(column), []
    if not of_column.nullable:
        missing = f"({name} IS NULL OR isnan({name}))" if arrow.types.is_floating(type_) else f"{name} IS NULL"
        reading.rules.append(RowRule((column, NOT_NULL), NOT_NULL, missing))
    if of_column.unique:
        reading.rules.append(DistinctRule((column, UNIQUE), UNIQUE, (column,)))
    metadata = of_column.metadata or {}
    if REFERENCES in metadata:
        other_table, _, other_column = str(metadata[REFERENCES]).partition(".")
        text = f"is one of {other_table}.{other_column}"
        reading.rules.append(ReferenceRule((column, text), text, column, other_table, other_column))
    if FRESH in metadata:
        text = f"newest within {metadata[FRESH]:g} days of the watermark"
        reading.rules.append(FreshRule((column, text), text, column, float(metadata[FRESH])))
    for index, check in enumerate(of_column.checks or ()):
        key, text = (column, index), check_text(check)
        if check.raise_warning:
            reading.settled[key] = RuleResult(table, column, text, 0)  # it says what is odd, not what is wrong
        elif (found := translated(check, name, type_)) is not None:
            reading.rules.append(RowRule(key, text, *found))
        else:
            reading.left_checks.setdefault(column, []).append((key, text))
            left.append(check)
    return left


def _table_rules(reading: Reading, table: str, schema: pa.DataFrameSchema, fields: Mapping[str, arrow.DataType]) -> None:
    if schema.strict is True:
        others = [name for name in fields if name not in schema.columns]
        reading.settled[None, NO_OTHER_COLUMNS] = RuleResult(
            table, None, NO_OTHER_COLUMNS, len(others), tuple(others[:SAMPLES])
        )
    if columns := unique_columns(schema):
        key, text = (None, UNIQUE), unique_text(schema)
        if missing := [name for name in columns if name not in fields]:
            reading.settled[key] = RuleResult(table, None, f"{text} (there is no {', '.join(missing)})", 1)
        else:
            reading.rules.append(DistinctRule(key, text, tuple(columns)))


def _asked_in_pandas(of_column: pa.Column, checks: Sequence[pa.Check]) -> pa.Column:
    return pa.Column(of_column.dtype, [*checks] or None, nullable=True, coerce=of_column.coerce, required=False)


def _accepts(dtype: str, found: arrow.DataType, *, coerced: bool, nullable: bool) -> bool | None:
    """Whether a pandera type means what a Parquet column holds; None: only pandas can say.

    Parquet has one kind of whole number, which may be missing: `int64` and `Int64` both mean it.
    """
    of = arrow.types
    if of.is_null(found):
        return nullable
    if of.is_nested(found):
        return False
    if of.is_dictionary(found):
        found = found.value_type
    wanted = dtype.lower()
    same: bool | None = None
    if re.fullmatch(r"u?int\d+", wanted) or re.fullmatch(r"float\d+", wanted):
        same = str(found) == {"float32": "float", "float64": "double"}.get(wanted, wanted)
    elif wanted.startswith("bool"):
        same = of.is_boolean(found)
    elif wanted == "str" or wanted.startswith("string"):
        same = of.is_string(found) or of.is_large_string(found)
    elif time := re.fullmatch(r"datetime64\[(\w+)(?:, (.+))?\]", wanted):
        unit, zone = time.groups()
        # pandera's own `DateTime` is any unit without a zone.
        same = of.is_timestamp(found) and (found.tz or "").lower() == (zone or "")
        same = same and (found.unit == unit or (unit == "ns" and not zone))
    return None if same is False and coerced else same
