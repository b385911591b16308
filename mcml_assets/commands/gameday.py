"""`mcml gameday`: plan a game day, go through its scenarios, write down what was seen, and report it as one document.

Commands read arguments, call down and print. What a game day is, `domain/gameday.py` says.
"""

import time
from dataclasses import replace
from typing import Annotated

import typer
from rich.markup import escape

from mcml_assets.commands.terminal import err, fail, out, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Verdict
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.gameday import Note
from mcml_assets.domain.workload import workload_named

gameday_app = typer.Typer(
    help="People rehearse together: roles, agenda, scenarios, questions, minutes and actions as one document.",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(help="The game day, as `mcml gameday plan` named it.")]


@gameday_app.command()
def plan(
    definition: Annotated[str, typer.Argument(help="Which kind of game day.")] = "quarterly",
    workload: Annotated[str | None, typer.Option("--workload", help="The workload; the first if absent.")] = None,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", "-j", help="Where; the first placement's if absent.")
    ] = None,
    person: Annotated[
        list[str] | None, typer.Option("--person", help="Who has a role, several times: --person 'scribe=Ann'.")
    ] = None,
) -> None:
    """Begin a game day: writes its plan, and prints its id and the document's file."""
    from mcml_assets.configuration.gameday_files import gameday_named  # noqa: PLC0415 - pydantic models
    from mcml_assets.drills.gamedays import plan as begin  # noqa: PLC0415 - Dagster

    try:
        pairs = [entry.partition("=") for entry in person or ()]
        if wrong := [role for role, equals, who in pairs if not (equals and who)]:
            raise ConfigurationError(f"--person takes role=name, and {wrong[0]!r} names nobody")
        settings = Settings()
        workloads, _ = read_platform(settings)
        chosen = workload_named(workload, workloads) if workload else workloads[0]
        where = jurisdiction or chosen.jurisdictions[0]
        file = begin(gameday_named(definition), chosen, where, {role: who for role, _, who in pairs}, settings)
    except McmlError as error:
        fail(error)
    out.print(f"{file.parent.name}\n{file}", highlight=False, soft_wrap=True)


@gameday_app.command()
def run(
    name: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before each scenario.")] = False,
) -> None:
    """Go through the scenarios that are left, each a real drill on the running platform; asks before each.

    Exit codes are those of `mcml drill run`, of its worst drill.
    """
    from mcml_assets.commands.drill import EXITS  # noqa: PLC0415 - the same codes
    from mcml_assets.drills.events import opened  # noqa: PLC0415 - Dagster
    from mcml_assets.drills.gamedays import load  # noqa: PLC0415 - the same
    from mcml_assets.drills.gamedays import run as go_through  # noqa: PLC0415 - the same
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores

    def tell(text: str) -> None:
        err.print(f"  {escape(text)}", highlight=False, soft_wrap=True)

    def go_on(title: str) -> bool:
        err.print(f"[bold]{escape(title)}[/bold]", highlight=False)
        return yes or typer.confirm("Begin?", err=True)

    try:
        settings = enter_emulators(Settings())
        day, held = load(name, settings)
        workload = workload_named(held.workload, read_platform(settings)[0])
        with opened(settings.dagster_home) as instance:
            held, made = go_through(day, held, workload, settings, instance, tell, go_on)
    except McmlError as error:
        fail(error)
    for result in made:
        out.print(f"{result.scenario}: {result.verdict}", highlight=False)
        for reason in result.reasons:
            out.print(f"  {escape(reason)}", highlight=False)
    raise typer.Exit(max((EXITS[result.verdict] for result in made), default=EXITS[Verdict.MET]))


@gameday_app.command()
def note(
    name: Id,
    text: Annotated[str, typer.Argument(help="What was seen, decided, or is to be done.")],
    owner: Annotated[str, typer.Option("--owner", help="Makes it an action: who does it.")] = "",
    due: Annotated[str, typer.Option("--due", help="Until when the action is done: 2027-01-31.")] = "",
) -> None:
    """Write a line into the minutes, or with --owner an action."""
    from mcml_assets.drills.gamedays import load, save  # noqa: PLC0415 - Dagster

    try:
        settings = Settings()
        day, held = load(name, settings)
        if due and not owner:
            raise ConfigurationError("--due is an action's, and an action has an --owner")
        save(day, replace(held, notes=(*held.notes, Note(time.time(), text, owner, due))), settings)
    except McmlError as error:
        fail(error)


@gameday_app.command()
def report(name: Id) -> None:
    """The document as Markdown: plan, results, questions, minutes, and actions, one for each objective that was missed."""
    from mcml_assets.drills.gamedays import load, save  # noqa: PLC0415 - Dagster

    try:
        settings = Settings()
        file = save(*load(name, settings), settings)
    except McmlError as error:
        fail(error)
    typer.echo(file.read_text(encoding="utf-8"), nl=False)
    err.print(str(file), highlight=False, soft_wrap=True)
