"""A workload's contract in the form of the Open Data Contract Standard, so that other tools can read it. Imports pandera.

https://bitol-io.github.io/open-data-contract-standard/v3.1.0: schema objects with properties, `quality` entries of type
`custom` with the engine that asks them, `relationships` for references. How it is read again is in
`configuration/contract_files.py`.
"""

import datetime as dt
import inspect
from collections.abc import Mapping
from hashlib import sha256
from math import isfinite
from textwrap import dedent
from typing import Any

import pandera.pandas as pa
import yaml
from pandera.api.function_dispatch import Dispatcher

from mcml_assets.configuration.contract_files import DIGEST, FUNCTION, UNIQUE, source_digest
from mcml_assets.contracts.reading import FRESH, REFERENCES, check_text, load_schemas, unique_columns
from mcml_assets.domain.contract import Contract, ContractColumn, ContractRule, ContractTable
from mcml_assets.domain.workload import Workload

API_VERSION = "v3.1.0"
LOGICAL = (("timestamp", "timestamp"), ("date", "date"), ("bool", "boolean"), ("int", "integer"), ("uint", "integer"),
           ("float", "number"), ("double", "number"))  # fmt: skip
# What a check limits, in the standard's words.
LIMITS = {
    "greater_than_or_equal_to": {"min_value": "minimum"},
    "less_than_or_equal_to": {"max_value": "maximum"},
    "greater_than": {"min_value": "exclusiveMinimum"},
    "less_than": {"max_value": "exclusiveMaximum"},
    "in_range": {"min_value": "minimum", "max_value": "maximum"},
    "str_length": {"min_value": "minLength", "max_value": "maxLength"},
    "str_matches": {"pattern": "pattern"},
}
EXCLUDED = {"include_min": ("minimum", "exclusiveMinimum"), "include_max": ("maximum", "exclusiveMaximum")}
# The standard has each limit for columns of some logical types, as values of one kind.
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
OPTIONS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "string": {"minLength": int, "maxLength": int, "pattern": str},
    **{logical: dict.fromkeys(BOUNDS, str) for logical in ("timestamp", "date")},
    **{logical: dict.fromkeys(BOUNDS, (int, float)) for logical in ("integer", "number")},
}


def contract_of(workload: Workload) -> Contract:
    """The contract as code and declaration say it now. Raises `ConfigurationError` when the code cannot be used."""
    return contract_of_schemas(workload, load_schemas(workload.contract))


def contract_of_schemas(workload: Workload, schemas: Mapping[str, pa.DataFrameSchema]) -> Contract:
    """What these schemas say of the workload's declared columns."""
    tables: dict[str, ContractTable] = {}
    for source in workload.sources:
        schema = schemas.get(source.name, pa.DataFrameSchema())
        tables[source.name] = ContractTable(
            {name: _column(type_, schema.columns.get(name)) for name, type_ in source.columns.items()},
            tuple(unique_columns(schema)),
            tuple(_rule(check) for check in schema.checks or ()),
        )
    return Contract(workload.contract_version, tables)


def to_odcs(contract: Contract, workload: Workload) -> dict[str, Any]:
    """The document of one version, in plain JSON values."""
    columns = {source.name: source.columns for source in workload.sources}
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"urn:mcml:contract:{workload.name}",
        "name": workload.name,
        "version": contract.version,
        "status": "active",
        "description": {"purpose": workload.description},
        "schema": [_table(name, table, workload) for name, table in contract.tables.items()],
        "customProperties": [
            {"property": DIGEST, "value": source_digest(workload.contract.file, columns)},
            {"property": FUNCTION, "value": workload.contract.name},
            {"property": "classification", "value": workload.classification.value},
            {"property": "owner", "value": workload.owner},
        ],
    }


def to_yaml(document: Mapping[str, Any]) -> str:
    """The document as it is kept beside `defs.yaml`."""
    head = "# Written by `mcml contract export`; a version that data has landed under is not changed by hand.\n"
    return head + yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)


def _column(type_: str, column: pa.Column | None) -> ContractColumn:
    if column is None:
        return ContractColumn(type_, nullable=True)
    rules = [_rule(check) for check in column.checks or () if not check.raise_warning]
    for name, value in (column.metadata or {}).items():
        if name in (REFERENCES, FRESH):
            text = f"is one of {value}" if name == REFERENCES else f"newest within {value:g} days of the watermark"
            # Less allowed silence is a tighter rule.
            rules.append(ContractRule(name, text, {"to": value} if name == REFERENCES else {"max_value": value}))
    return ContractColumn(type_, column.nullable, column.unique, tuple(rules))


def _rule(check: pa.Check) -> ContractRule:
    given = {name: _plain(value) for name, value in (check.statistics or {}).items() if value is not None}
    if not isinstance(check._check_fn, Dispatcher):
        # What a callable permits cannot be read, only whether it is still the same.
        given["code"] = sha256(dedent(inspect.getsource(check._check_fn)).encode()).hexdigest()[:12]
    return ContractRule(str(check.name or "callable"), check_text(check), given)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, frozenset | set | tuple | list):
        return sorted((_plain(item) for item in value), key=lambda item: (str(type(item)), item))
    # JSON has no infinite number.
    return value if isinstance(value, str | int | bool) or (isinstance(value, float) and isfinite(value)) else str(value)


def _table(name: str, table: ContractTable, workload: Workload) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": name,
        "logicalType": "object",
        "physicalType": "parquet",
        "properties": [_property(column, promised, workload) for column, promised in table.columns.items()],
    }
    if table.rules:
        document["quality"] = [_quality(rule) for rule in table.rules]
    if table.unique:
        document["customProperties"] = [{"property": UNIQUE, "value": list(table.unique)}]
    return document


def _property(name: str, column: ContractColumn, workload: Workload) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": name,
        "logicalType": next((logical for start, logical in LOGICAL if column.type.startswith(start)), "string"),
        "physicalType": column.type,
        "required": not column.nullable,
        "unique": column.unique,
    }
    if name in workload.personal_columns:
        document["classification"] = "personal"
    options = _options(column, document["logicalType"])
    if options:
        document["logicalTypeOptions"] = options
    if column.rules:
        document["quality"] = [_quality(rule) for rule in column.rules]
    if references := [rule.given["to"] for rule in column.rules if rule.check == REFERENCES]:
        document["relationships"] = [{"type": "foreignKey", "to": to} for to in references]
    return document


def _options(column: ContractColumn, logical: str) -> dict[str, Any]:
    """The limits that the standard has a word for; all of them stand under `quality`, too."""
    options: dict[str, Any] = {}
    for rule in column.rules:
        words = {bound: option for bound, option in LIMITS.get(rule.check, {}).items() if bound in rule.given}
        for included, (word, excluded) in EXCLUDED.items():
            if rule.given.get(included) is False:
                words = {bound: excluded if option == word else option for bound, option in words.items()}
        options |= {option: rule.given[bound] for bound, option in words.items()}
    kinds = OPTIONS.get(logical, {})
    return {
        option: value
        for option, value in options.items()
        if option in kinds and isinstance(value, kinds[option]) and not isinstance(value, bool)
    }


def _quality(rule: ContractRule) -> dict[str, Any]:
    engine = "mcml" if rule.check in (REFERENCES, FRESH) else "pandera"
    implementation = {"check": rule.check, **rule.given}
    return {"type": "custom", "engine": engine, "description": rule.text, "implementation": implementation}
