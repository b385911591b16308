"""`mcml top`: a live view of how each location serves, or one look for a script. What is shown is `mcml_assets/top.py`'s."""

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.readiness import SYNTHETIC_SECONDS

if TYPE_CHECKING:
    from mcml_assets.top import LocationTop, Top

LEFT = 0.5  # from here on a budget is worth a look
HEADINGS = (
    "workload", "location", "edge", "endpoint", "synthetic", "rps", "failed", "p50", "p99", "budget", "route", "age", "lag"
)  # fmt: skip


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one table, and exit with 1 when something is unhealthy.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", "-s", help="Between two looks; rates are over it.", min=0.2)] = 2.0,
    json_: Json = False,
) -> None:
    """How each location serves right now, until Ctrl-C; works with Dagster stopped.

    With --once or --json it looks twice, --seconds apart, and prints the second look; it exits with 1 when something is
    unhealthy. JSON: {at, seconds, edge_problem, status_age_seconds, locations}, each location as
    {workload, jurisdiction, location, role, edge, endpoint, model_version, requests_per_second, failed_per_second,
    given_up_per_second, p50_milliseconds, p99_milliseconds, budget_left, budget_spent, synthetic_passed,
    synthetic_age_seconds, acting, route_acting, route_epoch, route_age_seconds, lag_seconds, healthy, problem}; what is
    unknown is null.
    """
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.top import Watching  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
        if not (once or json_ or sys.stdout.isatty()):
            raise ConfigurationError("this is no terminal: use `mcml top --once` or `mcml top --json`")
    except McmlError as error:
        fail(error)
    workloads, topology = read_platform(settings)
    watching = Watching(workloads, topology, settings)
    try:
        if once or json_:
            watching.look()
            time.sleep(seconds)
            _print_once(watching.look(wait_for_status=True), json_)
            return
        with Live(table(watching.look()), screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(seconds)
                live.update(table(watching.look()), refresh=True)
    except KeyboardInterrupt:
        return
    finally:
        watching.close()


def _print_once(seen: "Top", json_: bool) -> None:
    if json_:
        print_json(asdict(seen))
    else:
        out.print(table(seen))
    if not seen.healthy:
        raise typer.Exit(Exit.UNHEALTHY)


def table(seen: "Top") -> Table:
    """The whole view: a line for each location, then what is wrong."""
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=_title(seen), title_justify="left")
    for heading in HEADINGS:
        left = heading in ("workload", "location", "edge", "endpoint")
        view.add_column(heading, justify="left" if left else "right", no_wrap=left)
    former = None
    for row in seen.locations:
        if former is not None and former != (row.workload, row.jurisdiction):
            view.add_section()
        view.add_row(row.workload if former != (row.workload, row.jurisdiction) else "", *_cells(row))
        former = (row.workload, row.jurisdiction)
    told = [f"[red]✗[/red] {row.workload} {row.location}: {escape(row.problem)}" for row in seen.locations if row.problem]
    told += [
        f"[yellow]![/yellow] {row.workload} {row.location}: {row.budget_spent}" for row in seen.locations if row.budget_spent
    ]
    if told:
        view.caption = Text.from_markup("\n".join(told))
        view.caption_justify = "left"
    return view


def _title(seen: "Top") -> Text:
    told = f"{seen.at[11:19]} UTC, over {seen.seconds:.1f} s"
    if seen.status_age_seconds is None:
        told += "; the buckets are being read"
    else:
        told += f"; the buckets were read {seen.status_age_seconds:.0f} s ago"
    return Text(f"{told}\n{seen.edge_problem}" if seen.edge_problem else told, style="red" if seen.edge_problem else "dim")


def _cells(row: "LocationTop") -> list[str]:
    acting = row.route_acting == row.location
    name = f"[bold]{row.location}[/bold] acting" if acting else f"{row.location} {row.role}"
    if row.acting is not None and row.acting != row.route_acting and row.acting == row.location:
        name += " [yellow]next[/yellow]"  # the register names it, and the edge does not obey yet
    edge = row.edge.value if row.edge is not None else "?"
    colour = "green" if row.healthy else "red"
    bad = (row.failed_per_second or 0) + (row.given_up_per_second or 0)
    return [
        name,
        edge if edge in ("asked", "absent") else f"[red]{edge}[/red]",
        f"[{colour}]{row.endpoint or '?'}[/{colour}]" + (f" v{row.model_version}" if row.model_version else ""),
        _synthetic(row),
        _number(row.requests_per_second),
        f"[red]{bad:.1f}[/red]" if bad else _number(row.failed_per_second),
        _milliseconds(row.p50_milliseconds),
        _milliseconds(row.p99_milliseconds),
        _share(row.budget_left),
        f"epoch {row.route_epoch}" if row.route_epoch is not None else "[red]none[/red]",
        _age(row.route_age_seconds),
        f"{row.lag_seconds:.0f} s" if row.lag_seconds is not None else "[red]?[/red]",
    ]


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}" if value else "-"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _share(left: float | None) -> str:
    if left is None:
        return "-"
    if left <= 0:
        return "[red]spent[/red]"  # by how much is told below the table, in attempts
    return f"[yellow]{left:.0%}[/yellow]" if left < LEFT else f"{left:.0%}"


def _synthetic(row: "LocationTop") -> str:
    if row.synthetic_passed is None:
        return "-"
    told = f"ok {_age(row.synthetic_age_seconds)}" if row.synthetic_passed else f"failed {_age(row.synthetic_age_seconds)}"
    if not row.synthetic_passed:
        return f"[red]{told}[/red]"
    return f"[yellow]{told}[/yellow]" if (row.synthetic_age_seconds or 0) > SYNTHETIC_SECONDS else told


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
