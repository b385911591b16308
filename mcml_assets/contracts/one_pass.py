"""The one query that answers all of a table's rules in a single pass over its Parquet files, and what its figures mean.

Row rules are counts of the rows that break them. Text columns of few values are counted value by value, and their rules
asked of the values: DuckDB counts a dictionary's entries many times faster than it compares them. References are looked up
as the rows pass by. Of rows that must differ the hashes are collected: where all hashes differ all rows do, which is nearly
always; two equal hashes are only a suspicion. Imports duckdb, numpy and pyarrow: import it inside functions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from mcml_assets.contracts.rules import DistinctRule, FreshRule, ReferenceRule, RowRule, Rule, RuleKey
from mcml_assets.contracts.translation import quoted

# A relation of a column's values with how often each is there; no user's column has this name.
TIMES = '"mcml: times"'


@dataclass(frozen=True, slots=True)
class Answers:
    """What one pass found: how many rows there are, and by rule

    how many break it (`broken`, for row rules and references), the newest time in microseconds since 1970 (`newest`, None
    where there is none), and the hashes of rows that may be equal (`suspected`, each hash once).
    """

    rows: int
    broken: Mapping[RuleKey, int]
    newest: Mapping[RuleKey, int | None]
    suspected: Mapping[RuleKey, np.ndarray]


def answer(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    rules: Sequence[Rule],
    repeating: Collection[str],
    others: Mapping[str, str],
) -> Answers:
    """Ask all rules of `table`, a table function of DuckDB; `repeating` are its text columns of few values.

    `others` are the table functions of those tables that references may be looked up in; other references are not asked.
    """
    by_value: dict[str, list[RowRule]] = {}
    wanted: dict[RuleKey, str] = {}
    for rule in rules:
        column = rule.key[0]
        match rule:
            case RowRule() if column in repeating and column is not None:
                by_value.setdefault(column, []).append(rule)
            case RowRule() if column is not None and rule.broken == f"{quoted(column)} IS NULL":
                # Values are counted without a look at each.
                wanted[rule.key] = f"count(*) - count({quoted(column)})"
            case RowRule():
                wanted[rule.key] = f"count(CASE WHEN {rule.broken} THEN 1 END)"
            case ReferenceRule() if rule.other_table in others:
                wanted[rule.key] = f"count(*) FILTER (WHERE {_unknown(rule, others[rule.other_table])})"
            case DistinctRule():
                wanted[rule.key] = f"list(hash({', '.join(map(quoted, rule.columns))}))"
            case FreshRule():
                wanted[rule.key] = f"epoch_us(max({quoted(rule.column)}))"
            case ReferenceRule():
                pass
    counted = [f"histogram({quoted(column)})" for column in by_value]
    query = f"SELECT {', '.join(['count(*)', *counted, *wanted.values()])} FROM {table}"  # noqa: S608 - names are quoted
    found = connection.sql(query).to_arrow_table()
    rows, *figures = (column.combine_chunks() for column in found.columns)
    total = rows[0].as_py()
    broken: dict[RuleKey, int] = {}
    for (column, its_rules), counts in zip(by_value.items(), figures, strict=False):
        broken |= _of_values(connection, column, its_rules, counts, total)
    figure = dict(zip(wanted, figures[len(by_value) :], strict=True))
    return Answers(
        total,
        broken | {rule.key: figure[rule.key][0].as_py() for rule in _of(rules, (RowRule, ReferenceRule), figure)},
        {rule.key: figure[rule.key][0].as_py() for rule in _of(rules, FreshRule, figure)},
        {rule.key: repeated(figure[rule.key].values.to_numpy())[0] for rule in _of(rules, DistinctRule, figure)},
    )


def _unknown(rule: ReferenceRule, other: str) -> str:
    """The condition of a row that refers to nothing."""
    name, known = quoted(rule.column), quoted(rule.other_column)
    return f"{name} IS NOT NULL AND {name} NOT IN (SELECT {known} FROM {other} WHERE {known} IS NOT NULL)"  # noqa: S608


def _of(rules: Iterable[Rule], kinds: Any, figure: Mapping[RuleKey, object]) -> list[Rule]:
    return [rule for rule in rules if isinstance(rule, kinds) and rule.key in figure]


def _of_values(
    connection: duckdb.DuckDBPyConnection, column: str, rules: Sequence[RowRule], counted: pa.Array, rows: int
) -> dict[RuleKey, int]:
    """The rows that break each rule of one column, from how often each value is there; what is left of the rows is null."""
    counts: dict[Any, int] = dict(counted[0].as_py() or ())
    counts[None] = rows - sum(counts.values())
    held = pa.table([pa.array(counts, pa.string()), pa.array(counts.values(), pa.int64())], names=[column, TIMES.strip('"')])
    wanted = (f"coalesce(sum({TIMES}) FILTER (WHERE {rule.broken}), 0)::BIGINT" for rule in rules)
    connection.register("held_values", held)
    figures = connection.execute(f"SELECT {', '.join(wanted)} FROM held_values").fetchall()[0]  # noqa: S608 - names are quoted
    connection.unregister("held_values")
    return dict(zip([rule.key for rule in rules], figures, strict=True))


def repeated(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that are there more than once, and how often each is."""
    ordered = np.sort(values)
    found, more = np.unique(ordered[1:][ordered[1:] == ordered[:-1]], return_counts=True)
    return found, more + 1
