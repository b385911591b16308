"""`mcml drill`: rehearse a failure on the running platform, and see what earlier rehearsals showed.

Commands read arguments, call down and print. What a drill does is `drills/`'s business.
"""

from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.drill_render import render
from mcml_assets.commands.terminal import Json, err, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Verdict
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.scenario import Load
from mcml_assets.domain.workload import Workload, workload_named

drill_app = typer.Typer(
    help="Rehearse a failure on the running platform: real faults, real failover, measured from events.", no_args_is_help=True
)


class DrillExit(IntEnum):
    """Exit codes of `mcml drill run`."""

    MET = 0
    MISSED = 1
    REFUSED = 2
    ABORTED = 3


EXITS = {Verdict.MET: DrillExit.MET, Verdict.MISSED: DrillExit.MISSED, Verdict.REFUSED: DrillExit.REFUSED,
         Verdict.ABORTED: DrillExit.ABORTED}  # fmt: skip


drill_app.command()(render)


@drill_app.command("list")
def list_(json_: Json = False) -> None:
    """The scenarios that can be rehearsed. JSON: a list of {name, title, hypothesis, faults, moves, file}."""
    from mcml_assets.configuration.scenario_files import load_scenario, scenario_files  # noqa: PLC0415 - pydantic models

    try:
        found = [(load_scenario(path), path) for path in scenario_files().values()]
    except McmlError as error:
        fail(error)
    if json_:
        print_json(
            [
                {
                    "name": scenario.name,
                    "title": scenario.title,
                    "hypothesis": scenario.hypothesis,
                    "faults": [f"{one.kind} of {one.target} for {one.lasts_seconds:g} s" for one in scenario.injections],
                    "moves": scenario.objectives.moves,
                    "file": str(path),
                }
                for scenario, path in found
            ]
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("scenario", "what happens", "work moves"):
        table.add_column(heading)
    for scenario, _ in found:
        table.add_row(scenario.name, escape(scenario.title), "yes" if scenario.objectives.moves else "no")
    out.print(table)


@drill_app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="The scenario, as `mcml drill list` names it.")],
    workload: Annotated[str | None, typer.Option("--workload", help="The workload; the first if absent.")] = None,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", "-j", help="Where; the first placement's if absent.")
    ] = None,
    location: Annotated[
        str | None, typer.Option("--location", "-l", help="Where, in the place of the scenario's acting location or standby.")
    ] = None,
    requests_per_second: Annotated[
        float | None, typer.Option(help="The load; the scenario's own if absent.", min=0.1, max=500)
    ] = None,
    json_: Json = False,
) -> None:
    """Rehearse one scenario: `mcml drill run region_outage`. Everything is mended at the end, also by Ctrl-C.

    Exit codes: 0 objectives met, 1 missed, 2 refused, 3 given up. JSON: the drill's result, as described by
    mcml_assets/drills/result.schema.json; steps are told on standard error.
    """
    from mcml_assets.configuration.scenario_files import scenario_named  # noqa: PLC0415 - pydantic models
    from mcml_assets.drills.events import opened  # noqa: PLC0415 - Dagster
    from mcml_assets.drills.results import keep, report_event  # noqa: PLC0415 - the same
    from mcml_assets.drills.run import rehearse  # noqa: PLC0415 - the same
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores

    try:
        settings = enter_emulators(Settings())
        workloads, _ = read_platform(settings)
        chosen = workload_named(workload, workloads) if workload else workloads[0]
        where = _jurisdiction(chosen, jurisdiction, location)
        rehearsed = scenario_named(scenario)
        if requests_per_second is not None:
            rehearsed = replace(rehearsed, load=Load(requests_per_second))
        there = f"{where}, at {location}" if location is not None else where
        err.print(f"[bold]{escape(rehearsed.title)}[/bold]: {chosen.name} in {there}", highlight=False, soft_wrap=True)
        with opened(settings.dagster_home) as instance:
            result = rehearse(rehearsed, chosen, where, settings, instance, _step, location)
            report = keep(result, settings) if result.verdict is not Verdict.REFUSED else None
            if report is not None:
                report_event(result, chosen, report, instance)
    except McmlError as error:
        fail(error)
    if json_:
        print_json(result.to_json())
    else:
        _show(result.to_json())
        if report is not None:
            out.print(f"Report: {report}", highlight=False)
    raise typer.Exit(EXITS[result.verdict])


@drill_app.command()
def results(
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A page about the newest drill of each scenario.")] = False,
) -> None:
    """The drills that were run on this machine, oldest first. JSON: a list of what `mcml drill run --json` prints."""
    from mcml_assets.drills.results import kept_results  # noqa: PLC0415 - Dagster

    documents = kept_results(Settings())
    if markdown:
        from mcml_assets.configuration.scenario_files import scenario_files  # noqa: PLC0415 - pydantic models
        from mcml_assets.drills.page import page  # noqa: PLC0415 - only for the page

        typer.echo(page(documents, scenario_files()), nl=False)
        return
    if json_:
        print_json(documents)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("began", "scenario", "workload", "where", "verdict", "recovery", "failed", "slowest"):
        table.add_column(heading)
    for one in documents:
        measured = one["measured"] or {}
        requests = measured.get("requests") or {}
        recovery = measured.get("recovery_seconds")
        table.add_row(
            f"{datetime.fromtimestamp(one['began'], UTC):%Y-%m-%d %H:%M}", one["scenario"], one["workload"],
            one["jurisdiction"], _coloured(one["verdict"]), "-" if recovery is None else f"{recovery:.1f} s",
            f"{requests['failed']} of {requests['sent']}" if requests else "-",
            f"{requests['slowest']:.0f} ms" if requests else "-",
        )  # fmt: skip
    out.print(table if documents else "No drill was run yet; `mcml drill run region_outage` runs one.")


def _jurisdiction(workload: Workload, jurisdiction: str | None, location: str | None) -> str:
    """Where it is rehearsed: a location says it as well. Raises `ConfigurationError` where the two do not agree."""
    if location is None:
        return workload.placement(jurisdiction or workload.jurisdictions[0]).jurisdiction
    found = workload.placement_of(location).jurisdiction
    if jurisdiction not in (None, found):
        raise ConfigurationError(f"{location} is in {found}, and not in {jurisdiction}")
    return found


def _step(text: str) -> None:
    err.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/dim] {escape(text)}", highlight=False, soft_wrap=True)


def _show(document: dict[str, Any]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("objective", "measured", ""):
        table.add_column(heading)
    for one in document["judged"]:
        table.add_row(
            escape(one["objective"]), escape(one["measured"]), "[green]met[/green]" if one["met"] else "[red]missed[/red]"
        )
    if document["judged"]:
        out.print(table)
    out.print(f"Verdict: {_coloured(document['verdict'])}")
    for reason in document["reasons"]:
        out.print(f"  {escape(reason)}", highlight=False)


def _coloured(verdict: str) -> str:
    return f"[{'green' if verdict == Verdict.MET else 'yellow' if verdict == Verdict.REFUSED else 'red'}]{verdict}[/]"
