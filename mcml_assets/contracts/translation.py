"""pandera's own checks as SQL conditions for DuckDB, with the same verdict on every value. Imports pandera.

What has no such condition (a callable, a check with `groupby`, a bound of an unknown type) gives None, and is asked in
pandas. pandera treats NaN as missing, and its checks pass over missing values: so do these conditions.
"""

import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandera.pandas as pa
import pyarrow as arrow
from pandera.api.function_dispatch import Dispatcher

# What Python's regular expressions and RE2 mean alike for ASCII text of one line.
_LITERAL = r"[A-Za-z0-9 _,:;<>=!@#%&~'\"/-]"
_SAME_MEANING = re.compile(
    rf"""\^? (?: {_LITERAL} | \\[.\-/()\[\]+*?] | \\d | \. | \[\^?(?: {_LITERAL} | \\d | \. )+\] | \( (?:\?:)? | \) | \|
    | [*+?] | \{{\d+(?:,\d*)?\}} )* \$?""",
    re.VERBOSE,
)

Translated = tuple[str, Callable[[object], bool] | None]


class _NoLiteralError(Exception):
    """A value that has no exact literal in SQL."""


def translated(check: pa.Check, column: str, type_: arrow.DataType) -> Translated | None:
    """The condition of a row that breaks the check, and who decides about suspects (see `RowRule`); None: ask pandas.

    `column` is the quoted name, `type_` what the files hold: a bound of another kind (a time with a zone for times
    without) is pandas' to refuse.
    """
    known = _CONDITIONS.get(str(check.name))
    # A callable may bear the name of one of pandera's own: only those are dispatched by the type of the data.
    own = isinstance(check._check_fn, Dispatcher)
    if known is None or not own or check.element_wise or check.groupby or not check.ignore_na:
        return None
    given = check.statistics or {}
    text_only = str(check.name).startswith("str_")
    fits = _kind(type_) == "text" if text_only else _kinds(given) <= {_kind(type_)}
    try:
        found = known(column, given) if fits else None
    except _NoLiteralError:
        return None
    if found is None:
        return None
    condition, exact = found
    missing = f" AND NOT isnan({column})" if arrow.types.is_floating(type_) else ""
    return f"NOT ({condition}){missing}", exact


def _kind(type_: arrow.DataType) -> str:
    of = arrow.types
    if of.is_integer(type_) or of.is_floating(type_):
        return "number"
    if of.is_timestamp(type_):
        return "zoned time" if type_.tz else "time"
    return "text" if of.is_string(type_) or of.is_large_string(type_) else "boolean" if of.is_boolean(type_) else "other"


def _kinds(given: dict[str, Any]) -> set[str]:
    """The kinds of the values that a check compares with; what says how it compares has none."""
    values = []
    for name, value in given.items():
        if name not in ("include_min", "include_max") and value is not None:
            values += list(value) if isinstance(value, frozenset | set | list | tuple) else [value]
    return {_kind_of(value) for value in values}


def _kind_of(value: object) -> str:
    if isinstance(value, dt.datetime):
        return "zoned time" if value.tzinfo else "time"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    return "number" if isinstance(value, int | float | np.number) else "text" if isinstance(value, str) else "other"


def quoted(column: str) -> str:
    """A column's name in SQL."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A value in SQL, exactly. Raises `_NoLiteralError` for one that cannot be written so."""
    if hasattr(value, "item") and not isinstance(value, dt.datetime):
        value = value.item()
    match value:
        case bool():
            return str(value).upper()
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return f"'{value!r}'::DOUBLE"  # a plain 0.1 would be a decimal
        case str() if "\0" not in value:
            return "'" + value.replace("'", "''") + "'"
        case dt.datetime() if not getattr(value, "nanosecond", 0):
            return f"{'TIMESTAMPTZ' if value.tzinfo else 'TIMESTAMP'} '{value.isoformat(sep=' ')}'"
        case _:
            raise _NoLiteralError


def _compared(operator: str, bound: str) -> Callable[[str, dict[str, Any]], Translated]:
    return lambda column, given: (f"{column} {operator} {literal(given[bound])}", None)


def _in_range(column: str, given: dict[str, Any]) -> Translated:
    low = ">=" if given["include_min"] else ">"
    high = "<=" if given["include_max"] else "<"
    return f"{column} {low} {literal(given['min_value'])} AND {column} {high} {literal(given['max_value'])}", None


def _among(negated: str, values: str) -> Callable[[str, dict[str, Any]], Translated]:
    def condition(column: str, given: dict[str, Any]) -> Translated:
        listed = ", ".join(sorted(literal(value) for value in given[values]))
        nothing = "true" if negated else f"{column} IS NULL"
        return f"{column} {negated} IN ({listed})" if listed else nothing, None

    return condition


def _length(column: str, given: dict[str, Any]) -> Translated | None:
    if given.get("exact_value") is not None:
        return f"length({column}) = {literal(given['exact_value'])}", None
    bounds = [f"length({column}) {operator} {literal(given[bound])}"
              for operator, bound in ((">=", "min_value"), ("<=", "max_value")) if given.get(bound) is not None]  # fmt: skip
    return (" AND ".join(bounds), None) if bounds else None


def _affix(function: str) -> Callable[[str, dict[str, Any]], Translated]:
    return lambda column, given: (f"{function}({column}, {literal(given['string'])})", None)


def _pattern(begin: str, match: Callable[[re.Pattern[str], str], object]) -> Callable[[str, dict[str, Any]], Translated | None]:
    """A regular expression: RE2 answers for plain text, Python itself for every other value."""

    def condition(column: str, given: dict[str, Any]) -> Translated | None:
        try:
            pattern = re.compile(given["pattern"])
        except (re.error, TypeError):
            return None  # pandas says what is wrong with it
        sure = "false"
        if not pattern.flags & ~re.UNICODE and _SAME_MEANING.fullmatch(pattern.pattern):
            sure = (
                f"regexp_matches({column}, {literal(f'{begin}(?:{pattern.pattern})')}) "
                # Plain text has as many bytes as characters, and no second line.
                f"AND strlen({column}) = length({column}) AND NOT contains({column}, chr(10))"
            )
        return sure, lambda value: match(pattern, str(value)) is not None

    return condition


_CONDITIONS: dict[str, Callable[[str, dict[str, Any]], Translated | None]] = {
    "equal_to": _compared("=", "value"),
    "not_equal_to": _compared("<>", "value"),
    "greater_than": _compared(">", "min_value"),
    "greater_than_or_equal_to": _compared(">=", "min_value"),
    "less_than": _compared("<", "max_value"),
    "less_than_or_equal_to": _compared("<=", "max_value"),
    "in_range": _in_range,
    "isin": _among("", "allowed_values"),
    "notin": _among("NOT", "forbidden_values"),
    "str_length": _length,
    "str_startswith": _affix("starts_with"),
    "str_endswith": _affix("ends_with"),
    "str_matches": _pattern("^", re.Pattern.match),
    "str_contains": _pattern("", re.Pattern.search),
}
