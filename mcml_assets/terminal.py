"""What all commands of `mcml` share: the two consoles, the exit codes, and how an error or a JSON document is printed."""

import json
from enum import IntEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, McmlError, UnknownEntity


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
