"""`mcml flag`: decide something about one location until further notice, see what is decided, and end it.

Commands read arguments, call down and print. What each flag means is `domain/flags.py`'s business.
"""

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Json, err, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.flags import MEANINGS, FlagChange, FlagName, checked_flag
from mcml_assets.domain.workload import workload_named

if TYPE_CHECKING:
    from mcml_assets.domain.route import Route
    from mcml_assets.domain.workload import Workload

flag_app = typer.Typer(
    help="Feature flags of routes: " + "; ".join(f"{name}: {meaning}" for name, meaning in MEANINGS.items()) + ".",
    no_args_is_help=True,
)

WorkloadName = Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")]
Name = Annotated[str, typer.Argument(help=f"The flag: {', '.join(FlagName)}.")]
Location = Annotated[str, typer.Argument(help="The location: aws/eu-west-2.")]
Reason = Annotated[str, typer.Option(help="Why; on record.")]
Who = Annotated[str | None, typer.Option(help="Who decides it; you if absent.")]


@flag_app.command("set")
def set_(
    workload: WorkloadName,
    name: Name,
    location: Location,
    value: Annotated[int, typer.Argument(help="A whole number: the version, the percent, or 1 for yes.")],
    reason: Reason,
    who: Who = None,
    json_: Json = False,
) -> None:
    """Set a flag: `mcml flag set online_retail model_version aws/eu-west-2 3 --reason "case 17"`. The edge obeys at once.

    JSON: the flag, {workload, name, location, value, who, reason, set_at}.
    """
    _change(workload, name, location, value, reason, who, json_)


@flag_app.command("clear")
def clear(workload: WorkloadName, name: Name, location: Location, reason: Reason, who: Who = None, json_: Json = False) -> None:
    """Clear a flag; who did it and why stays on record. JSON: the entry, {workload, name, location, value, who, reason, at}."""
    _change(workload, name, location, None, reason, who, json_)


@flag_app.command("list")
def list_(
    history: Annotated[bool, typer.Option("--history", help="All that was ever changed, oldest first.")] = False,
    json_: Json = False,
) -> None:
    """Flags that are set. JSON: a list of what `set` prints; with --history, of what `clear` prints."""
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - only these commands
    from mcml_assets.serving.routes import read_routes  # noqa: PLC0415 - the same

    routes = read_routes(DataPlaneFolder.of(Settings()))
    rows: list[dict[str, Any]] = [
        {"workload": route.workload, **asdict(one)}
        for route in routes
        for one in (route.flag_changes if history else route.flags)
    ]
    if json_:
        print_json(rows)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "location", "flag", "value", "since", "who", "reason"):
        table.add_column(heading, no_wrap=heading != "reason")
    for row in rows:
        value, at = row["value"], row.get("at", row.get("set_at", ""))
        said = "cleared" if value is None else f"{value}"
        table.add_row(row["workload"], row["location"], row["name"], said, at, escape(row["who"]), escape(row["reason"]))
    out.print(table)


def _change(name: str, flag: str, location: str, value: int | None, reason: str, who: str | None, json_: bool) -> None:
    from mcml_assets.serving.data_plane import data_plane_state  # noqa: PLC0415 - only these commands
    from mcml_assets.serving.routes import change_flag  # noqa: PLC0415 - the same

    settings = Settings()
    workloads, _ = read_platform(settings)
    # By its time a change is told once in Dagster: two within a second must differ.
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    change = FlagChange(flag, location, value, who or getpass.getuser(), reason, at)
    try:
        workload = workload_named(name, workloads)
        jurisdiction = workload.placement_of(location).jurisdiction
        if value is not None and checked_flag(flag, value) is FlagName.MODEL_VERSION:
            _require_server(workload, location, value, settings)
        route = change_flag(name, jurisdiction, change, settings)
    except McmlError as error:
        fail(error)
    if not data_plane_state(settings).running:
        err.print("[yellow]No data plane runs:[/yellow] the edge obeys once one does (`mcml start`).")
    _say(route, change, json_)


def _say(route: "Route", change: FlagChange, json_: bool) -> None:
    if json_:
        flags = [flag for flag in route.flags if (flag.name, flag.location) == (change.name, change.location)]
        print_json({"workload": route.workload, **asdict(flags[0] if flags else change)})
        return
    done = "cleared" if change.value is None else f"set to {change.value}"
    out.print(f"{change.name} of {route.workload} in {change.location} is {done}.", highlight=False)


def _require_server(workload: "Workload", location: str, version: int, settings: Settings) -> None:
    """A version that nobody serves there would leave the location without an answer."""
    from mcml_assets.serving.manifest import endpoint_name  # noqa: PLC0415 - only this flag
    from mcml_assets.serving.platforms import placed_platforms  # noqa: PLC0415 - the same

    status = placed_platforms(settings).status(endpoint_name(workload.name, location))
    ready = {status.version, *([status.wanted_version] if status.new_address is not None else [])}
    if version not in ready:
        served = ", ".join(sorted(f"{one}" for one in ready if one is not None)) or "none"
        raise ConfigurationError(
            f"no server of version {version} is ready in {location}, which would be asked no more; ready there: {served}"
        )
