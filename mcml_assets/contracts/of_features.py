"""The contract of features: what follows from the declared views, with the rules that a user adds. Imports pyarrow and
duckdb, and pandera where a user adds rules: import it inside functions.

The views' own rules: every column with its declared type and no other, keys and times never missing, one row per key and
time, no infinite number, no time after the watermark, and no watermark before the raw data's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from mcml_assets.contracts.in_parquet import Table, ask, database
from mcml_assets.contracts.rules import (
    NO_OTHER_COLUMNS,
    NOT_NULL,
    PRESENT,
    SAMPLES,
    DistinctRule,
    RowRule,
    RuleKey,
    RuleResult,
)
from mcml_assets.contracts.translation import literal, quoted
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import FeatureView, FunctionReference, Workload

TIME = "event_timestamp"
TIME_TYPE = pa.timestamp("us", tz="UTC")
FRESH = "up to the raw data's watermark"


def judge_features(
    workload: Workload,
    views: Sequence[FeatureView],
    files: Mapping[str, Sequence[Path]],
    watermark: datetime | None,
    raw_watermark: datetime | None,
    contract: FunctionReference | None,
) -> tuple[RuleResult, ...]:
    """Every rule about these views, with its failures; `raw_watermark` is that of the raw data in this location.

    `contract` are the rules that the user adds, of the version that the features have.

    Raises `ConfigurationError` when the user's rules cannot be used, `ContractViolation` when a file cannot be read.
    """
    results = [_fresh(watermark, raw_watermark)]
    schemas = _user_schemas(workload, contract)
    by_name = {view.name: view for view in views}
    tables = {name: Table.of(name, files[name]) for name in by_name if files.get(name)}
    results += [RuleResult(name, None, "the view has files", 1) for name in by_name if name not in tables]
    with database() as connection:
        for name, table in tables.items():
            settled, rules = _view_rules(by_name[name], table, watermark)
            answers = ask(
                connection, table, rules, tables,
                key=(by_name[name].join_key, TIME), unshown=workload.unshown_features, watermark=watermark,
            )  # fmt: skip
            results += [*settled.values(), *answers]
            if name in schemas:
                from mcml_assets.contracts.judge import judge_table  # noqa: PLC0415 - pandera, where a user adds rules

                known = {(result.column, result.rule) for result in results if result.table == name}
                added = judge_table(
                    str(contract), connection, schemas[name], tables, name,
                    unshown=workload.unshown_features, watermark=watermark,
                )  # fmt: skip
                results += [rule for rule in added if (rule.column, rule.rule) not in known]
    return tuple(results)


def _user_schemas(workload: Workload, contract: FunctionReference | None):
    if contract is None:
        return {}
    from mcml_assets.contracts.reading import load_schemas  # noqa: PLC0415 - pandera, where a user adds rules

    schemas = load_schemas(contract)
    views = [view.name for view in workload.features.views]
    for name in schemas:
        if name not in views:
            raise ConfigurationError(
                f"{contract} has rules for view {name!r}, which is not declared{did_you_mean(name, views)}"
            )
    return schemas


def _fresh(watermark: datetime | None, raw_watermark: datetime | None) -> RuleResult:
    result = RuleResult("all views", None, FRESH, 0)
    if watermark is None or raw_watermark is None:
        missing = "features" if watermark is None else "raw data here"
        return replace(result, rule=f"{FRESH} (the {missing} have no watermark)", failures=1)
    if watermark < raw_watermark:
        behind = (raw_watermark - watermark).total_seconds() / 3600
        return replace(result, rule=f"{FRESH} ({behind:.1f} hours behind)", failures=1)
    return result


def _view_rules(
    view: FeatureView, table: Table, watermark: datetime | None
) -> tuple[dict[RuleKey, RuleResult], list[RowRule | DistinctRule]]:
    declared = {
        view.join_key: pa.type_for_alias(view.join_key_type),
        TIME: TIME_TYPE,
        **{name: pa.type_for_alias(type_) for name, type_ in view.features.items()},
    }
    settled: dict[RuleKey, RuleResult] = {}
    rules: list[RowRule | DistinctRule] = []
    for name, type_ in declared.items():
        found = table.fields.get(name)
        settled[name, PRESENT] = RuleResult(view.name, name, PRESENT, int(found is None))
        if found is None:
            continue
        text = f"is of type {type_}"
        settled[name, text] = RuleResult(view.name, name, text, int(found != type_), () if found == type_ else (str(found),))
        if found == type_:
            rules += _value_rules(view, name, type_, watermark)
    others = [name for name in table.fields if name not in declared]
    settled[None, NO_OTHER_COLUMNS] = RuleResult(view.name, None, NO_OTHER_COLUMNS, len(others), tuple(others[:SAMPLES]))
    if {view.join_key, TIME} <= table.fields.keys():
        rules.append(DistinctRule((None, "unique"), f"one row per {view.join_key} and time", (view.join_key, TIME)))
    return settled, rules


def _value_rules(view: FeatureView, name: str, type_: pa.DataType, watermark: datetime | None) -> list[RowRule]:
    column = quoted(name)
    if name in (view.join_key, TIME):
        rules = [RowRule((name, NOT_NULL), NOT_NULL, f"{column} IS NULL")]
        if name == TIME and watermark is not None:
            rules.append(RowRule((name, "past"), "not after the watermark", f"{column} > {literal(watermark)}"))
        return rules
    # A missing number is NaN or null, and both mean that it is not known; infinity means a division nobody thought of.
    return [RowRule((name, "finite"), "finite", f"isinf({column})")] if pa.types.is_floating(type_) else []
