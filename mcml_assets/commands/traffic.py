"""`mcml traffic`: telling global load balancers the edge's routes, or printing what they would be told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, err, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError

if TYPE_CHECKING:
    from mcml_assets.domain.route import Route
    from mcml_assets.domain.traffic import TrafficAccess

traffic_app = typer.Typer(help="Global load balancing: the edge's routes, at the providers.", no_args_is_help=True)


@traffic_app.command("publish")
def publish(
    workload: Annotated[str | None, typer.Argument(help="Only this workload.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the requests, and change nothing.")] = False,
    json_: Json = False,
) -> None:
    """Publish the routes that the edge obeys now, where the topology says; exits with 1 when one could not be published.

    With --dry-run the requests that would be sent are printed as JSON: a list of {where, workload, jurisdiction, epoch,
    requests, error, problem}. Otherwise JSON: a list of {where, workload, jurisdiction, epoch, changed, error, problem}.
    """
    from mcml_assets.clouds.traffic_registry import publish_everywhere, traffic_adapter  # noqa: PLC0415 - loads clouds' clients

    told: list[dict[str, Any]] = []
    for access, route in _routes(Settings(), workload):
        about = {"where": access.key, "workload": route.workload, "jurisdiction": route.jurisdiction, "epoch": route.epoch}
        if dry_run:
            try:
                told.append({**about, "requests": traffic_adapter(access).plan(route), "error": None, "problem": None})
            except McmlError as error:
                told.append({**about, "requests": [], "error": type(error).__name__, "problem": str(error)})
        else:
            (outcome,) = publish_everywhere([access], route)
            told.append({**about, "changed": outcome.changed, "error": outcome.error, "problem": outcome.problem})
    if dry_run or json_:
        print_json(told)
    else:
        _print(told)
    if any(one["error"] for one in told):
        raise typer.Exit(Exit.UNHEALTHY)


def _routes(settings: Settings, wanted: str | None) -> "Iterator[tuple[TrafficAccess, Route]]":
    """Every place, with the route that the edge obeys there; what has no route yet is said on standard error."""
    from mcml_assets.domain.workload import workload_named  # noqa: PLC0415 - only this command
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - the same
    from mcml_assets.serving.routes import read_route  # noqa: PLC0415 - the same

    workloads, _ = read_platform(settings)
    try:
        chosen = [workload_named(wanted, workloads)] if wanted is not None else workloads
        places = [(one, placement) for one in chosen for placement in one.placements if placement.traffic]
        if not places:
            raise ConfigurationError(f"{settings.topology_file} names no global load balancer for it: see its block `traffic`")
        for workload, placement in places:
            route = read_route(DataPlaneFolder.of(settings), workload.name, placement.jurisdiction)
            if route is None:
                err.print(f"the edge has no route of {workload.name} in {placement.jurisdiction} yet", highlight=False)
                continue
            yield from ((access, route) for access in placement.traffic)
    except ConfigurationError as error:
        fail(error)


def _print(told: list[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("where", "epoch", "state"):
        table.add_column(column)
    for one in told:
        state = "[red]not published[/red]" if one["error"] else "published" if one["changed"] else "held already"
        table.add_row(one["where"], str(one["epoch"]), state)
    out.print(table)
    for one in told:
        if one["problem"]:
            err.print(f"{one['where']}: {one['error']}: {escape(one['problem'])}", highlight=False, soft_wrap=True)
