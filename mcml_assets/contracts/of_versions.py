"""Judges tables whose rows landed under several versions of a contract: each row by the version under which it landed.

What a rule says of a single row is asked of the rows of its version. What it says of rows together (that they differ, that
the newest is fresh) is asked of all rows that were promised it, for a line that lands today may repeat one of last year.
How rules are asked is `in_parquet.py`'s and `in_pandas.py`'s business. Imports pandera, duckdb and pyarrow: import it inside
functions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import pandera.pandas as pa

from mcml_assets.contracts.in_pandas import ask_in_pandas
from mcml_assets.contracts.in_parquet import Table, ask, database
from mcml_assets.contracts.judge import check_tables, in_order, judge
from mcml_assets.contracts.reading import Reading, load_schemas, read_rules
from mcml_assets.contracts.rules import SAMPLES, DistinctRule, FreshRule, Rule, RuleResult
from mcml_assets.contracts.version import JudgedBy

# Table -> the Parquet files of its rows.
Files = Mapping[str, Sequence[Path]]


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one table that landed under one version, and what that version says of them."""

    by: JudgedBy
    table: Table
    reading: Reading


def judge_versions(parts: Sequence[tuple[JudgedBy, Files]], watermark: datetime | None) -> tuple[RuleResult, ...]:
    """Every rule of every version about the rows that landed under it, the oldest version first; the last is the present one.

    Raises what `judge` raises, by which the rows of a single version are judged.
    """
    if len(parts) == 1:
        ((by, files),) = parts
        return judge(by.function, files, by.unshown, watermark, by.ignored)
    schemas = {by.version: load_schemas(by.function) for by, _ in parts}
    for by, files in parts:
        check_tables(by.function, schemas[by.version], [name for name, rows in files.items() if rows])
    present, _ = parts[-1]
    names = list(dict.fromkeys(name for _, files in parts for name in files))
    together = {
        name: Table.of(name, every, present.ignored.get(name, ()))
        for name in names
        if (every := [file for _, files in parts for file in files.get(name, ())])
    }
    results: list[RuleResult] = []
    with database() as connection:
        for name, whole in together.items():
            found = [
                _Part(by, table, read_rules(name, schemas[by.version][name], table.fields))
                for by, files in parts
                if files.get(name)
                for table in [Table.of(name, files[name], by.ignored.get(name, ()))]
            ]
            asked = _Asked(connection, together, watermark, present)
            results += asked.table(whole, found, schemas[present.version][name])
    return tuple(results)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all tables of a judgement share."""

    connection: duckdb.DuckDBPyConnection
    together: Mapping[str, Table]
    watermark: datetime | None
    present: JudgedBy

    def table(self, whole: Table, parts: Sequence[_Part], schema: pa.DataFrameSchema) -> list[RuleResult]:
        now = read_rules(whole.name, schema, whole.fields)
        promised = {rule.columns for rule in now.rules if isinstance(rule, DistinctRule)}
        told: dict[tuple[str | None, str], RuleResult] = {}
        # The present version first, so that a rule that older ones have as well is told in its place.
        for part in reversed(parts):
            older = part.by is not self.present
            rules = [rule for rule in part.reading.rules if not _is_of_all(rule, promised)]
            answers = [
                *part.reading.settled.values(),
                *self.ask(part.table, rules, part.reading, part.by),
                *ask_in_pandas(str(part.by.function), part.table, part.reading, part.by.unshown),
            ]
            _add(told, answers, f" (of rows that landed under {part.by.version})" if older else "")
        for rule in now.rules:
            if isinstance(rule, FreshRule):
                _add(told, self.ask(whole, [rule], now, self.present), "")
            elif isinstance(rule, DistinctRule):
                table = replace(whole, files=tuple(_promised(parts, rule, self.present)))
                _add(told, self.ask(table, [rule], now, self.present) if table.files else (), "")
        return in_order(list(told.values()))

    def ask(self, table: Table, rules: Sequence[Rule], reading: Reading, by: JudgedBy) -> list[RuleResult]:
        return ask(self.connection, table, rules, self.together, key=reading.key, unshown=by.unshown, watermark=self.watermark)


def _is_of_all(rule: Rule, promised: set[tuple[str, ...]]) -> bool:
    """Whether a rule is asked of the rows of several versions: how fresh all are, and what the present version has differ."""
    return isinstance(rule, FreshRule) or (isinstance(rule, DistinctRule) and rule.columns in promised)


def _promised(parts: Sequence[_Part], rule: DistinctRule, present: JudgedBy) -> Iterator[Path]:
    """The files of the versions that have the rule."""
    for part in parts:
        had = {one.columns for one in part.reading.rules if isinstance(one, DistinctRule)}
        if part.by is present or rule.columns in had:
            yield from part.table.files


def _add(told: dict[tuple[str | None, str], RuleResult], answers: Iterable[RuleResult], suffix: str) -> None:
    """Tell the same rule of several versions once, and what only an older version asks as its own."""
    for answer in answers:
        key = answer.column, answer.rule
        if key not in told:
            told[key] = replace(answer, rule=answer.rule + suffix)
            continue
        known = told[key]
        told[key] = replace(
            known,
            failures=known.failures + answer.failures,
            examples=tuple(dict.fromkeys((*known.examples, *answer.examples)))[:SAMPLES],
            keys=(*known.keys, *answer.keys)[:SAMPLES],
        )
