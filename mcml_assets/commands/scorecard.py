"""`mcml scorecard`: how much of a workload's resilience is proved by events, now. Gathering them is `scorecard/`'s business."""

import time
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import workload_named


def scorecard(
    workload: Annotated[str | None, typer.Argument(help="The workload; all if absent.")] = None, json_: Json = False
) -> None:
    """How much of the workloads' resilience is proved, from 0 to 100, and what no event proves.

    JSON: a list of scorecards, as described by mcml_assets/scorecard/scorecard.schema.json.
    """
    from mcml_assets.drills.events import opened  # noqa: PLC0415 - Dagster
    from mcml_assets.scorecard.publish import publish  # noqa: PLC0415 - matplotlib

    settings = Settings()
    try:
        workloads, _ = read_platform(settings)
        chosen = [workload_named(workload, workloads)] if workload else workloads
        with opened(settings.dagster_home) as instance:
            made = [publish(one, instance, settings, time.time()) for one in chosen]
    except McmlError as error:
        fail(error)
    if json_:
        print_json([card.to_json() for card, _ in made])
        return
    for card, file in made:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in ("question", "points", "no event about"):
            table.add_column(heading, justify="left" if heading == "question" else "right")
        for part in card.components:
            missing = len(part.missing())
            lacking = f"{missing} of {len(part.subjects)}" if missing else ""
            table.add_row(escape(part.question), f"{card.points(part):.1f} of {part.weight:g}", lacking)
        out.print(f"[bold]{card.workload}[/bold]: [bold]{card.score:.0f}[/bold] of 100")
        out.print(table)
        out.print(f"Page: {file}\n", highlight=False)
