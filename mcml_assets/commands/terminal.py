"""What all commands of `mcml` share: the consoles, the exit codes, how an error or a JSON document is printed, and reading
the workloads and the topology that a command is about.
"""

import json
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, McmlError, UnknownEntity

if TYPE_CHECKING:
    from mcml_assets.domain.topology import Topology
    from mcml_assets.domain.workload import Workload


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    UNHEALTHY = 1
    WRONG_INPUT = 2
    UNAVAILABLE = 3
    UNKNOWN_ENTITY = 4


# Tables keep their columns in a narrow terminal and in a pipe: a cut snapshot id or location helps nobody.
MIN_WIDTH = 120
out = Console(width=max(Console().width, MIN_WIDTH))
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def print_json(document: Any) -> None:
    """Print one JSON document, indented."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_json_line(document: Any) -> None:
    """Print one JSON document on a line of its own, for commands that go on and tell more."""
    typer.echo(json.dumps(document, ensure_ascii=False))


def fail(error: McmlError) -> NoReturn:
    """Say what is wrong on standard error, and end with the exit code of this kind of error."""
    err.print(f"[red]{type(error).__name__}:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    match error:
        case UnknownEntity():
            raise typer.Exit(Exit.UNKNOWN_ENTITY)
        case LocationUnavailable():
            raise typer.Exit(Exit.UNAVAILABLE)
        case ConfigurationError():
            raise typer.Exit(Exit.WRONG_INPUT)
        case _:
            raise typer.Exit(Exit.UNHEALTHY)


def read_platform(settings: Settings) -> "tuple[list[Workload], Topology]":
    """Every workload that can be read, and the topology; what is wrong with the others is said on standard error.

    Ends with the exit code of wrong input where there is no topology or no workload at all.
    """
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - pydantic models, not needed for help
    from mcml_assets.configuration.workload import load_workloads  # noqa: PLC0415 - the same

    try:
        topology = load_topology(settings.topology_file)
    except ConfigurationError as error:
        fail(error)
    workloads, errors = load_workloads(DEFS, topology)
    for error in errors:
        err.print(f"[red]not loaded:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    if not workloads:
        raise typer.Exit(Exit.WRONG_INPUT)
    return workloads, topology
