"""The contract that a snapshot is judged by: the version its manifest names, with what belongs to that version.

And what a verdict follows from besides the data: a digest of the contract's code, of what is declared, and of this engine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from mcml_assets.configuration.contract_files import contract_function, older_columns
from mcml_assets.domain.workload import FunctionReference, Workload

# Counts up when the engine would answer otherwise about the same data and contract.
ENGINE = 2


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """One version of a workload's contract: its code, and of data that landed under it

    columns of earlier versions that it has no more (`ignored`, by table), and columns whose values may not be told.
    """

    version: str
    function: FunctionReference
    ignored: Mapping[str, frozenset[str]]
    unshown: tuple[str, ...]


def judged_by(workload: Workload, version: str, schema: Mapping[str, Mapping[str, str]]) -> JudgedBy:
    """The version's contract, for data with the columns of `schema` by table.

    Raises `ConfigurationError` when the version is neither declared nor kept.
    """
    earlier = older_columns(workload, version)
    declared = {column for source in workload.sources for column in source.columns}
    # Nobody says any more what a column that is not declared holds.
    undeclared = {column for columns in (*schema.values(), *earlier.values()) for column in columns} - declared
    return JudgedBy(
        version,
        contract_function(workload, version),
        {name: earlier.get(name, frozenset()) - columns.keys() for name, columns in schema.items()},
        (*workload.unshown_columns, *sorted(undeclared)),
    )


def judgement_digest(workload: Workload, judged: JudgedBy, raw_watermark: str | None) -> str:
    """Another contract, other views, another declaration of what may be told: another digest."""
    functions = [judged.function, *([workload.features.contract] if workload.features.contract else [])]
    declared = {
        "engine": ENGINE,
        "version": judged.version,
        "functions": [f"{function}" for function in functions],
        "code": [sha256(function.file.read_bytes()).hexdigest() for function in functions],
        "sources": {source.name: dict(source.columns) for source in workload.sources},
        "ignored": {name: sorted(columns) for name, columns in judged.ignored.items()},
        "views": {view.name: [view.join_key, view.join_key_type, dict(view.features)] for view in workload.features.views},
        "unshown": [*judged.unshown, *workload.unshown_features],
        "raw_watermark": raw_watermark,
    }
    return sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
