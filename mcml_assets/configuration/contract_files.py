"""The exported versions of a workload's contract: `contracts/<version>.odcs.yaml` beside `defs.yaml`, read and judged.

They are what a change is measured against. Beside each stands `<version>.py`, the code as it was: data that landed under
a version is judged by that version's own rules, callables included. Where rules about features have a file of their own,
that is kept as `<version>.features.py`.

Loading compares digests and versions only: running a contract costs a library
for data, and is `contracts/`'s business. Files have the form of the Open Data Contract Standard, version 3.1.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.workload_model import WorkloadModel
from mcml_assets.configuration.yaml_lines import read_yaml
from mcml_assets.domain.contract import Contract, ContractColumn, ContractRule, ContractTable, version_key, version_problem
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import FunctionReference, Workload

FOLDER, SUFFIX = "contracts", ".odcs.yaml"
DIGEST, UNIQUE, FUNCTION = "sourceDigest", "uniqueTogether", "function"
_DIGEST_LINE = re.compile(rf"property: {DIGEST}\n\s+value: '?([0-9a-f]+)'?")


def exported_versions(directory: Path) -> dict[str, Path]:
    """The exported versions beside `defs.yaml` with their files, the oldest first."""
    found = {file.name.removesuffix(SUFFIX): file for file in (directory / FOLDER).glob(f"*{SUFFIX}")}
    return {version: found[version] for version in sorted(filter(_is_version, found), key=version_key)}


def export_file(directory: Path, version: str) -> Path:
    """Where a version is exported to."""
    return directory / FOLDER / f"{version}{SUFFIX}"


def code_file(directory: Path, version: str) -> Path:
    """Where the code of an exported version is kept."""
    return directory / FOLDER / f"{version}.py"


def features_file(directory: Path, version: str) -> Path:
    """Where the rules about features of an exported version are kept, if they have a file of their own."""
    return directory / FOLDER / f"{version}.features.py"


def contract_function(workload: Workload, version: str) -> FunctionReference:
    """The code of a version: what is declared, or the copy that was kept when the version was exported.

    Raises `ConfigurationError` when that version is neither declared nor kept.
    """
    if version == workload.contract_version:
        return workload.contract
    file, exported = code_file(workload.directory, version), export_file(workload.directory, version)
    if not is_kept(workload, version):
        raise ConfigurationError(
            f"version {version} of the contract is not the declared {workload.contract_version}, and {FOLDER}/{file.name} with "
            f"{exported.name} is not there: bring both back from version control, for data landed under it"
        )
    function = _custom(read_yaml(exported).data).get(FUNCTION, workload.contract.name)
    return FunctionReference(file, function)


def is_kept(workload: Workload, version: str) -> bool:
    """Whether a version's code is there: data that landed under it can be judged by it."""
    kept = code_file(workload.directory, version).is_file() and export_file(workload.directory, version).is_file()
    return kept or version == workload.contract_version


def feature_contract_function(workload: Workload, version: str) -> FunctionReference | None:
    """The user's rules about features that were computed from data of a version; None where there are none.

    They have the contract's versions, and are as they were kept. What was exported before rules in a file of their own were
    kept has the present ones.
    """
    function = workload.features.contract
    if function is None or version == workload.contract_version:
        return function
    own = function.file != workload.contract.file
    kept = features_file(workload.directory, version) if own else contract_function(workload, version).file
    if own and not kept.is_file():
        return function
    known = {node.name for node in ast.parse(kept.read_bytes()).body if isinstance(node, ast.FunctionDef)}
    return FunctionReference(kept, function.name) if function.name in known else None


def same_code(one: Path, other: Path) -> bool:
    """Whether two files of Python differ in comments and layout at most."""
    first, second = one.read_bytes(), other.read_bytes()
    try:
        return first == second or ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    except SyntaxError:
        return False


def older_columns(workload: Workload, version: str) -> dict[str, frozenset[str]]:
    """The columns that exported versions before this one had, by table."""
    found: dict[str, frozenset[str]] = {}
    for older, file in exported_versions(workload.directory).items():
        if version_key(older) < version_key(version):
            for name, table in read_contract(file).tables.items():
                found[name] = found.get(name, frozenset()) | table.columns.keys()
    return found


def read_contract(file: Path) -> Contract:
    """An exported version. Raises `ConfigurationError` for a file that is not what `mcml contract export` writes."""
    return _read(file, file.stat().st_mtime_ns)


def source_digest(contract: Path, columns: Mapping[str, Mapping[str, str]]) -> str:
    """What an export was made from: the contract's file, and the declared columns of each source."""
    declared = json.dumps({name: dict(types) for name, types in columns.items()}, sort_keys=True)
    return sha256(contract.read_bytes() + declared.encode()).hexdigest()[:16]


def contract_problems(model: WorkloadModel, directory: Path) -> Iterator[Problem]:
    """A contract that changed since its version was exported, or a version that a change does not permit.

    A workload that has exported nothing yet has nothing to be compared with: its record begins with the first export.
    """
    versions = exported_versions(directory)
    if not versions:
        return
    declared, command = model.contract_version, f"run `mcml contract export {model.name}`"
    at = ("contract_version",) if "contract_version" in model.model_fields_set else ("contract",)
    if declared not in versions:
        yield Problem(at, f"version {declared} is not exported, the newest is {list(versions)[-1]}: {command}")
        return
    if newer := [version for version in versions if version_key(version) > version_key(declared)]:
        yield Problem(at, f"version {declared} is declared, but {newer[-1]} is exported: declare that one, or remove its file")
    file = directory / model.contract.partition(":")[0]
    columns = {name: source.columns for name, source in model.sources.items()}
    written = _DIGEST_LINE.search(versions[declared].read_text("utf-8"))
    if file.is_file() and (written is None or written[1] != source_digest(file, columns)):
        yield Problem(
            ("contract",), f"{file.name} or the sources' columns changed since {FOLDER}/{versions[declared].name}: {command}"
        )
    if (problem := _features_problem(model, directory)) is not None:
        yield Problem(("features", "contract"), f"{problem}: {command}")
    for version, exported in versions.items():
        if version != declared and (problem := _code_problem(directory, version, exported)) is not None:
            yield Problem(at, problem)
    for (_, older), (version, newer_file) in pairwise(versions.items()):
        try:
            problem = version_problem(read_contract(older), read_contract(newer_file))
        except ConfigurationError as error:
            problem = str(error)
        if problem is not None:
            yield Problem(at, f"{FOLDER}/{version}{SUFFIX}: {problem}")


def _features_problem(model: WorkloadModel, directory: Path) -> str | None:
    """Why the rules about features are not those of the declared version, where they have a file of their own."""
    named = (model.features.contract or model.contract).partition(":")[0]
    file, kept = directory / named, features_file(directory, model.contract_version)
    if named == model.contract.partition(":")[0] or not file.is_file():
        return None
    if not kept.is_file():
        return f"{named} is not kept with version {model.contract_version}"
    return None if same_code(file, kept) else f"{named} changed since {FOLDER}/{kept.name}"


def _code_problem(directory: Path, version: str, exported: Path) -> str | None:
    """Why data of an older version could not be judged any more."""
    kept = code_file(directory, version)
    if not kept.is_file():
        return f"{FOLDER}/{kept.name} is missing: what landed under {version} is judged by it; bring it back"
    written = _DIGEST_LINE.search(exported.read_text("utf-8"))
    try:
        columns = {name: _types(table) for name, table in read_contract(exported).tables.items()}
    except ConfigurationError:
        return None  # told of the export itself
    if written is None or written[1] != source_digest(kept, columns):
        return f"{FOLDER}/{kept.name} changed since {version} was exported: what landed under it is judged by it; bring it back"
    return None


def _types(table: ContractTable) -> dict[str, str]:
    return {name: column.type for name, column in table.columns.items()}


def contract_from_odcs(document: Mapping[str, Any]) -> Contract:
    """The contract that an exported document says. Raises `KeyError`, `TypeError` or `AttributeError` for another form."""
    return Contract(
        str(document["version"]),
        {
            table["name"]: ContractTable(
                columns={
                    column["name"]: ContractColumn(
                        type=column["physicalType"],
                        nullable=not column["required"],
                        unique=column.get("unique", False),
                        rules=_rules(column),
                    )
                    for column in table["properties"]
                },
                unique=tuple(_custom(table).get(UNIQUE, ())),
                rules=_rules(table),
            )
            for table in document["schema"]
        },
    )


def _rules(element: Mapping[str, Any]) -> tuple[ContractRule, ...]:
    rules = []
    for quality in element.get("quality", ()):
        given = dict(quality["implementation"])
        rules.append(ContractRule(given.pop("check"), quality["description"], given))
    return tuple(rules)


def _custom(element: Mapping[str, Any]) -> dict[str, Any]:
    return {entry["property"]: entry["value"] for entry in element.get("customProperties", ())}


@lru_cache(maxsize=256)
def _read(file: Path, stamp: int) -> Contract:
    document = read_yaml(file)
    try:
        return contract_from_odcs(document.data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{file}:1: not what `mcml contract export` writes: {type(error).__name__}: {error}"
        ) from error


def _is_version(name: str) -> bool:
    return re.fullmatch(r"[1-9]\d*\.\d+", name) is not None
