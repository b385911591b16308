"""The contracts that a snapshot is judged by: its rows by the version under which they landed, as its manifest says.

A version with the same first number promises more to whoever reads from then on; what landed before it was promised less, and
is held to that. Across first numbers there is no such order: rows that go on have to be what the new version says.
And what a verdict follows from besides the data: a digest of the contract's code, of what is declared, and of this engine.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from mcml_assets.configuration.contract_files import contract_function, is_kept, older_columns
from mcml_assets.domain.contract import breaks, version_key
from mcml_assets.domain.snapshot import CONTRACT, OLDER_CONTRACTS, Manifest
from mcml_assets.domain.workload import FIRST_VERSION, FunctionReference, Workload

# Counts up when the engine would answer otherwise about the same data and contract.
ENGINE = 3


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


def landed_under(manifest: Manifest | None) -> dict[str, frozenset[str]]:
    """The files of a snapshot by the version under which they landed, the oldest first."""
    if manifest is None:
        return {}
    older: Mapping[str, Sequence[str]] = manifest.annotations.get(OLDER_CONTRACTS, {})
    files = frozenset(file.path for file in manifest.files)
    found = {version: files & frozenset(paths) for version, paths in older.items()}
    found[manifest.annotations.get(CONTRACT, FIRST_VERSION)] = files.difference(*found.values())
    return {version: found[version] for version in sorted(found, key=version_key)}


def still_under(workload: Workload, former: Manifest | None, kept: Collection[str]) -> dict[str, list[str]]:
    """Of the files that the next snapshot keeps of the former one those that an older version goes on to judge, by that.

    Those of an older first number are not among them, nor of a version whose code is not there: the declared one judges them.
    """
    declared = workload.contract_version
    return {
        version: still
        for version, paths in landed_under(former).items()
        if version != declared and not breaks(version, declared) and is_kept(workload, version)
        if (still := sorted(paths.intersection(kept)))
    }


def judgement_digest(
    workload: Workload,
    judged: Sequence[JudgedBy],
    raw_watermark: str | None,
    files: Mapping[str, Sequence[str]],
    feature_contract: FunctionReference | None,
) -> str:
    """Another contract, other views, another declaration of what may be told: another digest.

    `files` are the snapshot's, by the version that judges them; `feature_contract` are the user's rules about features, where
    they are asked.
    """
    functions = [*(by.function for by in judged), *([feature_contract] if feature_contract else [])]
    declared = {
        "engine": ENGINE,
        "versions": [by.version for by in judged],
        "files": {version: sorted(paths) for version, paths in files.items()},
        "functions": [f"{function}" for function in functions],
        "code": [sha256(function.file.read_bytes()).hexdigest() for function in functions],
        "sources": {source.name: dict(source.columns) for source in workload.sources},
        "ignored": [{name: sorted(columns) for name, columns in by.ignored.items()} for by in judged],
        "views": {view.name: [view.join_key, view.join_key_type, dict(view.features)] for view in workload.features.views},
        "unshown": [*(list(by.unshown) for by in judged), *workload.unshown_features],
        "raw_watermark": raw_watermark,
    }
    return sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
