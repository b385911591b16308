"""`mcml contract`: the versions of a workload's contract, written for other tools, and what a change means for readers.

Commands read arguments, call down and print. What is breaking is said in `domain/contract.py`.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import Workload

if TYPE_CHECKING:
    from mcml_assets.domain.contract import Change, Contract

contract_app = typer.Typer(help="Contracts: their exported versions, and what a change breaks.", no_args_is_help=True)

WorkloadName = Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")]
CODE = "code"


@contract_app.command("export")
def export(workload: WorkloadName, json_: Json = False) -> None:
    """Write the declared version as `contracts/<version>.odcs.yaml` beside `defs.yaml`, in the Open Data Contract Standard.

    Its code is kept beside it as `<version>.py`: data that landed under this version is always judged by it. Rules about
    features in a file of their own are kept as `<version>.features.py`.
    A version that is exported already is never changed: a change needs a new version, a breaking one a new first number.
    JSON: {workload, version, file, changes}, with `changes` since the version before as `diff` prints them.
    """
    from mcml_assets.configuration.contract_files import (  # noqa: PLC0415 - reads YAML, only here
        code_file,
        export_file,
        exported_versions,
        features_file,
        read_contract,
        same_code,
    )
    from mcml_assets.contracts.odcs import contract_of, to_odcs, to_yaml  # noqa: PLC0415 - pandera, only here
    from mcml_assets.domain.contract import changes, version_key, version_problem  # noqa: PLC0415 - with them

    try:
        facts = _workload(workload)
        contract = contract_of(facts)
        exported = {version: read_contract(file) for version, file in exported_versions(facts.directory).items()}
        earlier = [one for version, one in exported.items() if version_key(version) <= version_key(contract.version)]
        found: tuple[Change, ...] = changes(earlier[-1], contract) if earlier else ()
        if earlier and (problem := version_problem(earlier[-1], contract)):
            raise ConfigurationError(f"{facts.directory / 'defs.yaml'}: contract_version: {problem}")
        features, kept = facts.features.contract, features_file(facts.directory, contract.version)
        features = None if features is None or features.file == facts.contract.file else features
        if features is not None and kept.is_file() and not same_code(features.file, kept):
            raise ConfigurationError(
                f"{features.file.name} has other rules about features than version {contract.version}, which is exported: "
                "declare a new contract_version"
            )
        file = export_file(facts.directory, contract.version)
        file.parent.mkdir(exist_ok=True)
        file.write_text(to_yaml(to_odcs(contract, facts)), "utf-8")
        code_file(facts.directory, contract.version).write_bytes(facts.contract.file.read_bytes())
        if features is not None:
            kept.write_bytes(features.file.read_bytes())
    except McmlError as error:
        fail(error)
    if json_:
        print_json({"workload": workload, "version": contract.version, "file": str(file), "changes": _rows(found)})
        return
    out.print(f"Version {contract.version} of {workload} is written to {file}.", highlight=False, soft_wrap=True)
    _show(found)


@contract_app.command("diff")
def diff(
    workload: WorkloadName,
    old: Annotated[str | None, typer.Argument(help="An exported version; the newest if absent.")] = None,
    new: Annotated[str | None, typer.Argument(help="An exported version; the code as it is now if absent.")] = None,
    json_: Json = False,
) -> None:
    """What changed, and whether it breaks whoever reads the data; exits with 1 when something does.

    JSON: a list of {table, column, change, breaking}; `column` is null for what is about a whole table.
    """
    from mcml_assets.configuration.contract_files import exported_versions  # noqa: PLC0415 - reads YAML, only here
    from mcml_assets.domain.contract import changes  # noqa: PLC0415 - with it

    try:
        facts = _workload(workload)
        known = list(exported_versions(facts.directory))
        if not known:
            raise ConfigurationError(f"{workload} has exported no contract yet: run `mcml contract export {workload}`")
        found = changes(_version(facts, old or known[-1]), _version(facts, new or CODE))
    except McmlError as error:
        fail(error)
    if json_:
        print_json(_rows(found))
    else:
        _show(found)
        if not found:
            out.print("Both promise the same.")
    if any(change.breaking for change in found):
        raise typer.Exit(Exit.UNHEALTHY)


def _workload(name: str) -> Workload:
    """The workload, also when its contract is not exported as it is now: that is what these commands are for."""
    from mcml_assets.build import DEFS  # noqa: PLC0415 - dagster
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - pydantic models, not needed for help
    from mcml_assets.configuration.workload import find_workload_files, load_workload  # noqa: PLC0415 - the same

    files = {file.parent.name: file for file in find_workload_files(DEFS)}
    if name not in files:
        raise ConfigurationError(f"unknown workload {name!r}{did_you_mean(name, files)}")
    return load_workload(files[name], load_topology(Settings().topology_file), exported=False)


def _version(workload: Workload, version: str) -> "Contract":
    from mcml_assets.configuration.contract_files import exported_versions, read_contract  # noqa: PLC0415 - reads YAML
    from mcml_assets.contracts.odcs import contract_of  # noqa: PLC0415 - pandera, only here

    if version == CODE:
        return contract_of(workload)
    files = exported_versions(workload.directory)
    if version not in files:
        raise ConfigurationError(f"version {version!r} of {workload.name} is not exported{did_you_mean(version, files)}")
    return read_contract(files[version])


def _rows(changes: "tuple[Change, ...]") -> list[dict[str, Any]]:
    rows = [asdict(change) for change in changes]
    return [
        {"table": row["table"], "column": row["column"], "change": row["text"], "breaking": row["breaking"]} for row in rows
    ]


def _show(changes: "tuple[Change, ...]") -> None:
    for change in changes:
        colour = "red" if change.breaking else "green"
        out.print(f"[{colour}]{'breaking  ' if change.breaking else 'compatible'}[/] {escape(str(change))}", highlight=False)
