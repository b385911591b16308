"""`mcml`: what the Dagster UI cannot do, or a terminal does better. Typer for the arguments, Rich for the tables.

Commands only read arguments, call down and print. With `--json` each prints one JSON document of a stable shape,
described in its help text; without it, a table for people. Imports that only one command needs stay inside it:
starting the command line costs less than asking the edge.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.caller import caller_app
from mcml_assets.commands.contract import contract_app
from mcml_assets.commands.daemon import daemon
from mcml_assets.commands.doctor import doctor
from mcml_assets.commands.drill import drill_app
from mcml_assets.commands.edge import edge_app
from mcml_assets.commands.endpoint import endpoint_app
from mcml_assets.commands.failover import evacuate, failback, failover, whatif
from mcml_assets.commands.fault import fault_app
from mcml_assets.commands.flag import flag_app
from mcml_assets.commands.gameday import gameday_app
from mcml_assets.commands.hold import hold_app
from mcml_assets.commands.platform import dev, start, stop
from mcml_assets.commands.prediction import explain, predictions, stale
from mcml_assets.commands.readiness import readiness
from mcml_assets.commands.rebuild import rebuild
from mcml_assets.commands.register import register_app
from mcml_assets.commands.rollout import rollout_app
from mcml_assets.commands.runbook import runbook
from mcml_assets.commands.scorecard import scorecard
from mcml_assets.commands.snapshot import snapshot_app
from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.commands.top import top
from mcml_assets.commands.topology import topology_app
from mcml_assets.commands.traffic import traffic_app
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.workload import Workload, workload_named

if TYPE_CHECKING:
    from mcml_assets.status import LocationStatus

app = typer.Typer(
    help="Keep machine learning serving when a cloud region goes dark.\n\n"
    "Exit codes: 0 fine, 1 something is unhealthy, 2 wrong input or configuration, 3 unavailable, 4 unknown entity.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(caller_app, name="caller")
app.add_typer(contract_app, name="contract")
app.add_typer(drill_app, name="drill")
app.add_typer(edge_app, name="edge")
app.add_typer(endpoint_app, name="endpoint")
app.add_typer(fault_app, name="fault")
app.add_typer(flag_app, name="flag")
app.add_typer(gameday_app, name="gameday")
app.add_typer(hold_app, name="hold")
app.add_typer(register_app, name="register")
app.add_typer(rollout_app, name="rollout")
app.add_typer(snapshot_app, name="snapshot")
app.add_typer(topology_app, name="topology")
app.add_typer(traffic_app, name="traffic")
for command in (dev, start, stop, daemon, doctor, failover, failback, evacuate, whatif, rebuild):
    app.command()(command)
for command in (top, explain, stale, predictions, readiness, runbook, scorecard):
    app.command()(command)


@app.command()
def status(json_: Json = False) -> None:
    """What every location holds and serves, and how far it lags; exits with 1 when a location is not healthy.

    JSON: a list of {workload, jurisdiction, location, role, acting, epoch, snapshot, rows, watermark,
    feature_snapshot, model_version, endpoint, endpoint_version, lag_seconds, healthy, problem, faults}; what is unknown
    is null. `readiness` is what `mcml readiness --json` tells of the location.
    """
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.failover.control import platform_control  # noqa: PLC0415 - the same
    from mcml_assets.failover.standbys import standbys  # noqa: PLC0415 - the same
    from mcml_assets.status import collect_status  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
    except McmlError as error:
        fail(error)
    workloads, topology = read_platform(settings)
    rows = list(collect_status(workloads, topology, settings))
    if json_:
        found = {(one.workload, one.location): one for one in standbys(platform_control(settings, topology), workloads)}
        print_json([asdict(row) | {"readiness": found[row.workload, row.location].to_json()} for row in rows])
    else:
        out.print(_status_table(rows))
        for row in rows:
            if row.problem:
                out.print(f"[red]✗[/red] {row.workload} {row.location}: {escape(row.problem)}", highlight=False)
        for fault in dict.fromkeys(fault for row in rows for fault in row.faults):
            out.print(f"[yellow]faults:[/yellow] {escape(fault)}", highlight=False)
    if not all(row.healthy for row in rows):
        raise typer.Exit(Exit.UNHEALTHY)


@app.command()
def matrix(json_: Json = False) -> None:
    """Which workload is placed where, in which role, under which objectives: the inventory, generated.

    JSON: a list of {workload, location, jurisdiction, role, classification, rto_seconds, rpo_seconds, owner,
    regulations, managed_services, lock_in}.
    """
    from mcml_assets.configuration.matrix import matrix_rows, matrix_table  # noqa: PLC0415 - only this command

    workloads, _ = read_platform(Settings())
    rows = matrix_rows(workloads)
    if json_:
        print_json(rows)
    else:
        out.print(matrix_table(rows))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def predict(
    context: typer.Context,
    workload: Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")],
    jurisdiction: Annotated[
        str | None,
        typer.Option("--jurisdiction", "-j", help="Where the entity's data is; the first placement if absent."),
    ] = None,
    json_: Json = False,
) -> None:
    """Ask the edge for a prediction: `mcml predict online_retail --customer 17850`.

    The option is named after the workload's entity (customer, applicant); `-` reads the value from standard input, so
    that a personal key stays out of the shell's history. JSON: {workload, jurisdiction, score, model_version,
    location, training_snapshot, feature_snapshot, route_epoch, milliseconds, prediction_id}.
    """
    from mcml_assets.serving.client import predict as ask  # noqa: PLC0415 - httpx is not needed elsewhere

    settings = Settings()
    workloads, _ = read_platform(settings)
    try:
        asked = workload_named(workload, workloads)
        where = asked.placement(jurisdiction or asked.jurisdictions[0]).jurisdiction
        answer = ask(settings, asked, _entity_id(context.args, asked), where)
    except McmlError as error:
        fail(error)
    if json_:
        print_json({"workload": asked.name, **asdict(answer)})
        return
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("score", f"[bold]{answer.score:.6f}[/bold]")
    table.add_row("model version", f"{answer.model_version}")
    table.add_row("answered by", answer.location)
    table.add_row("trained on snapshot", answer.training_snapshot[:12])
    table.add_row("features from snapshot", answer.feature_snapshot[:12])
    table.add_row("took", f"{answer.milliseconds:.1f} ms")
    table.add_row("prediction id", answer.prediction_id)
    out.print(table)


def _entity_id(arguments: list[str], workload: Workload) -> int | str:
    entity = workload.features.entity
    option = f"--{entity.name}"
    words = [word for argument in arguments for word in argument.split("=", 1)]
    if len(words) != 2 or words[0] != option:
        given = f", not {words[0]!r}" if words else ""
        raise ConfigurationError(f"{workload.name} is asked about with {option} <{entity.key}>{given}")
    value = typer.get_text_stream("stdin").readline().strip() if words[1] == "-" else words[1]
    if entity.type.startswith("int"):
        try:
            return int(value)
        except ValueError:
            raise ConfigurationError(f"{option} takes a whole number") from None
    return value


def _status_table(rows: list["LocationStatus"]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "location", "role", "snapshot", "rows", "up to", "model", "endpoint", "lag"):
        table.add_column(heading, justify="right" if heading in ("rows", "lag") else "left", no_wrap=True)
    former = None
    for row in rows:
        if former is not None and former != row.workload:
            table.add_section()
        colour = "green" if row.healthy else "red"
        table.add_row(
            row.workload if former != row.workload else "",
            f"[bold]{row.location}[/bold]" if row.acting else row.location,
            f"{row.role}, acting" if row.acting else row.role,
            row.snapshot[:8] if row.snapshot else "-",
            f"{row.rows:,}" if row.rows is not None else "-",
            (row.watermark or "-")[:10],
            f"v{row.model_version}" if row.model_version is not None else "-",
            f"[{colour}]{row.endpoint}[/{colour}]" + (f" v{row.endpoint_version}" if row.endpoint_version else ""),
            f"{row.lag_seconds:.0f} s" if row.lag_seconds is not None else "[red]unknown[/red]",
        )
        former = row.workload
    return table
