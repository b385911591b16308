"""Judges tables by the workload's contract: the pandera schemas that a user's `contract()` gives, one per source.

Imports pandera: import it inside functions. What to do about broken rules is the landing's decision. pandera's own
messages quote values, so none of them is passed on: only counts, and examples of columns that hold no personal data.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors, SchemaWarning

from mcml_assets.configuration.user_code import load_function
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import FunctionReference

EXAMPLES = 3
LONGEST_TEXT = 120
NO_OTHER_COLUMNS = "no other columns"
NOT_NULL = "not null"
UNIQUE = "unique"
PRESENT = "the column is there"

# A rule within its table: the column (None: the whole table), and the rule's text or the number of its check.
RuleKey = tuple[str | None, str | int]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule of the contract, and how many rows broke it (0: it holds; 1 where a rule is about the whole).

    `column` is None for rules about the whole table. `examples` are up to three different values, as text.
    """

    table: str
    column: str | None
    rule: str
    failures: int
    examples: tuple[str, ...]


def validate(
    contract_function: FunctionReference, tables: Mapping[str, pd.DataFrame], personal_columns: Collection[str]
) -> tuple[RuleResult, ...]:
    """Every rule of the contract about these tables, with its failures: all that is wrong, not only the first.

    There are no examples of `personal_columns`, nor of rules about whole rows; hand over all columns of a restricted
    workload. A rule that raises an exception is broken.

    Raises `ConfigurationError` when the contract fails, or has no pandera schema for one of the tables.
    """
    schemas = _schemas(contract_function)
    results: list[RuleResult] = []
    for name, table in tables.items():
        if name not in schemas:
            nearest = did_you_mean(name, list(schemas))
            raise ConfigurationError(f"{contract_function} has no schema for source {name!r}{nearest}")
        results += _judge(contract_function, name, schemas[name], table, personal_columns)
    return tuple(results)


def _schemas(contract_function: FunctionReference) -> Mapping[str, pa.DataFrameSchema]:
    contract = load_function(contract_function)
    try:
        schemas = contract()
    except Exception as error:
        raise ConfigurationError(f"{contract_function} fails: {type(error).__name__}: {error}") from error
    if not isinstance(schemas, Mapping) or not all(isinstance(one, pa.DataFrameSchema) for one in schemas.values()):
        raise ConfigurationError(f"{contract_function} must give a pandera DataFrameSchema by the name of each source")
    return schemas


def _judge(
    contract_function: FunctionReference,
    name: str,
    schema: pa.DataFrameSchema,
    table: pd.DataFrame,
    personal_columns: Collection[str],
) -> list[RuleResult]:
    results = _rules(name, schema, set(table.columns))
    errors: list[SchemaError] = []
    try:
        with warnings.catch_warnings():
            # A check that only warns quotes values in its warning; pandas warns of how pandera puts reports together.
            warnings.simplefilter("ignore", SchemaWarning)
            warnings.simplefilter("ignore", FutureWarning)
            # Failures are counted by their row, so every row needs a number of its own.
            schema.validate(table.reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        errors = error.schema_errors
    except pa.errors.SchemaDefinitionError as error:
        raise ConfigurationError(f"{contract_function}: the schema of {name!r} cannot be used: {error}") from error
    for error in errors:
        key, text = _broken_rule(error)
        known = results.get(key) or RuleResult(name, key[0], text, 0, ())
        failures, examples = _failures(error)
        if key[0] is None or key[0] in personal_columns:
            examples = ()
        # A type that cannot be coerced is told twice: what counts is how many rows are wrong.
        results[key] = replace(known, rule=text, failures=max(known.failures, failures), examples=examples)
    return list(results.values())


def _rules(name: str, schema: pa.DataFrameSchema, present: Collection[str]) -> dict[RuleKey, RuleResult]:
    """All rules of a schema, as if they held; of a column that is not there only that it should be."""
    rules: dict[RuleKey, str] = {}
    for column, of_column in schema.columns.items():
        if of_column.required:
            rules[column, PRESENT] = PRESENT
        if column not in present and not of_column.regex:
            continue
        if of_column.dtype is not None:
            rules[column, _type_rule(of_column)] = _type_rule(of_column)
        if not of_column.nullable:
            rules[column, NOT_NULL] = NOT_NULL
        if of_column.unique:
            rules[column, UNIQUE] = UNIQUE
        rules.update({(column, index): _check_text(check) for index, check in enumerate(of_column.checks or ())})
    if schema.strict is True:
        rules[None, NO_OTHER_COLUMNS] = NO_OTHER_COLUMNS
    if schema.unique:
        rules[None, UNIQUE] = _unique_text(schema)
    rules.update({(None, index): _check_text(check) for index, check in enumerate(schema.checks or ())})
    return {key: RuleResult(name, key[0], text, 0, ()) for key, text in rules.items()}


def _broken_rule(error: SchemaError) -> tuple[RuleKey, str]:
    """Which rule an error of pandera is about, and its text."""
    schema, reason = error.schema, error.reason_code
    of_table = isinstance(schema, pa.DataFrameSchema)
    column = None if of_table else str(schema.name)
    if reason is SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
        return (str(error.failure_cases), PRESENT), PRESENT
    if reason is SchemaErrorReason.COLUMN_NOT_IN_SCHEMA:
        return (None, NO_OTHER_COLUMNS), NO_OTHER_COLUMNS
    if reason is SchemaErrorReason.SERIES_CONTAINS_NULLS:
        return (column, NOT_NULL), NOT_NULL
    if reason in (SchemaErrorReason.SERIES_CONTAINS_DUPLICATES, SchemaErrorReason.DUPLICATES):
        return (column, UNIQUE), _unique_text(schema) if of_table else UNIQUE
    if reason in (SchemaErrorReason.WRONG_DATATYPE, SchemaErrorReason.DATATYPE_COERCION) and not of_table:
        return (column, _type_rule(schema)), _type_rule(schema)
    if isinstance(error.check, pa.Check) and error.check_index is not None:
        text = _check_text(error.check)
        if reason is SchemaErrorReason.CHECK_ERROR:
            # Only the class: the exception's text may quote the value it met.
            text += f" (the rule itself failed: {str(error.failure_cases).partition('(')[0]})"
        return (column, error.check_index), text
    text = str(reason.name if reason is not None else error.check).lower().replace("_", " ")
    return (column, text), text


def _failures(error: SchemaError) -> tuple[int, tuple[str, ...]]:
    """The number of rows at fault, and some of the different values found there."""
    cases = error.failure_cases
    if not isinstance(cases, pd.DataFrame):
        return 1, ()
    rows = (cases["index"].nunique() if "index" in cases else 0) or len(cases)
    values = cases["failure_case"].drop_duplicates().head(EXAMPLES) if "failure_case" in cases else ()
    return max(int(rows), 1), tuple(str(value)[:LONGEST_TEXT] for value in values)


def _type_rule(schema: pa.Column) -> str:
    return f"is of type {schema.dtype}"


def _unique_text(schema: pa.DataFrameSchema) -> str:
    columns = [schema.unique] if isinstance(schema.unique, str) else schema.unique or []
    return f"unique together: {', '.join(columns)}"


def _check_text(check: pa.Check) -> str:
    text = str(check.error or check.name or "a check without a name")
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
