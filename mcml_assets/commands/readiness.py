"""`mcml readiness`: whether each location could take the work over now, and what speaks against it.

What readiness is, `domain/readiness.py` says; the next failover asks the same function.
"""

from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.readiness import Standing, points_by_question
from mcml_assets.domain.workload import workload_named

MARKS = {Standing.MET: "[green]✓[/green]", Standing.RESERVED: "[yellow]·[/yellow]", Standing.UNMET: "[red]✗[/red]"}


def readiness(
    workload: Annotated[str | None, typer.Argument(help="The workload; all if absent.")] = None, json_: Json = False
) -> None:
    """Whether each location could take the work over now; exits with 1 when a standby could not.

    A dot is a reservation: not proved, and no obstacle. JSON: a list of {workload, jurisdiction, location, role, acting,
    ready, problem, points}, each point {question, standing, text} with standing met, reserved or unmet.
    """
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.failover.control import platform_control  # noqa: PLC0415 - the same
    from mcml_assets.failover.standbys import standbys  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
        workloads, topology = read_platform(settings)
        chosen = [workload_named(workload, workloads)] if workload else workloads
        found = list(standbys(platform_control(settings, topology), chosen))
    except McmlError as error:
        fail(error)
    if json_:
        print_json([one.to_json() for one in found])
    else:
        questions = next((tuple(points_by_question(one.readiness)) for one in found if one.readiness is not None), ())
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in ("workload", "location", *(question for question, *_ in questions), ""):
            table.add_column(heading)
        for one in found:
            points = tuple(points_by_question(one.readiness)) if one.readiness is not None else ()
            marks = [MARKS[Standing(standing)] for _, standing, _ in points] or ["?"] * len(questions)
            told = "[green]ready[/green]" if one.ready else "[red]not ready[/red]"
            table.add_row(one.workload, f"{one.location}{', acting' if one.acting else ''}", *marks, told)
        out.print(table)
        for one in found:
            if one.sentence != "ready":
                out.print(f"{one.workload} {one.location}: {escape(one.sentence)}", highlight=False)
    if not all(one.ready for one in found if not one.acting):
        raise typer.Exit(Exit.UNHEALTHY)
