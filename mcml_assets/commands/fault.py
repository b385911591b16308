"""`mcml fault`: make something go wrong on purpose, see what is wrong on purpose, and end it.

Commands read arguments, call down and print. What faults do is `clouds/faulty.py`'s business.
"""

import getpass
import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.clouds import fault_plan
from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.faults import AMOUNTS, Fault, FaultKind, duration, fault_kind

KINDS = ", ".join(FaultKind)
PARAMETERS = "; ".join(f"{kind}: {', '.join(amounts)}" for kind, amounts in AMOUNTS.items())

fault_app = typer.Typer(
    help="Make a cloud or a location fail on purpose, for a drill; every fault ends by itself.", no_args_is_help=True
)


@fault_app.command("set")
def set_(
    target: Annotated[str, typer.Argument(help="A cloud (aws) or a location (aws/eu-west-2).")],
    kind: Annotated[str, typer.Option("--kind", help=f"What goes wrong: {KINDS}.")],
    lasts: Annotated[str, typer.Option("--for", help="How long, at most 24 h: 90s, 10m, 1.5h.")] = "10m",
    probability: Annotated[float, typer.Option(help="Share of the requests that are struck, above 0, at most 1.")] = 1.0,
    param: Annotated[
        list[str] | None,
        typer.Option(help=f"NAME=VALUE, repeatable. {PARAMETERS}. For every kind: operation, and key, a pattern."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides which requests are struck; at random if absent.")] = None,
    why: Annotated[str, typer.Option(help="What for; shown wherever the fault is.")] = "",
    json_: Json = False,
) -> None:
    """Set a fault of the running platform: `mcml fault set aws --kind outage --for 10m --why drill`.

    An outage strikes the endpoints of its target too, within a second. JSON: {id, target, kind, parameters, probability,
    seed, begins, expires, why, who, drill}.
    """
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - pydantic models, not needed for help

    settings = Settings()
    try:
        now = datetime.now(UTC)
        fault = Fault(
            target=target,
            kind=fault_kind(kind),
            begins=now,
            expires=now + duration(lasts),
            parameters=dict(_parameter(word) for word in param or ()),
            probability=probability,
            seed=secrets.randbelow(2**32) if seed is None else seed,
            why=why,
            who=getpass.getuser(),
        )
        fault_plan.set_fault(fault, load_topology(settings.topology_file), settings)
    except McmlError as error:
        fail(error)
    if json_:
        print_json(fault.to_json())
    else:
        out.print(f"Fault [bold]{fault.id}[/bold] is set: {escape(fault.describe())}.", highlight=False)


@fault_app.command("list")
def list_(json_: Json = False) -> None:
    """The faults that have not expired. JSON: a list of what `set` prints."""
    try:
        faults = fault_plan.list_faults(Settings())
    except McmlError as error:
        fail(error)
    if json_:
        print_json([fault.to_json() for fault in faults])
    elif not faults:
        out.print("No fault is set.")
    else:
        out.print(_table(faults))


@fault_app.command()
def clear(
    fault_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="As `mcml fault list` shows it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="End every fault; also mends an unreadable plan.")] = False,
    json_: Json = False,
) -> None:
    """End one fault, or all, now. JSON: {cleared: how many}."""
    settings = Settings()
    try:
        if everything is (fault_id is not None):
            raise ConfigurationError("say which fault is to end, by its id, or --all")
        if fault_id is None:
            cleared = fault_plan.clear_all_faults(settings)
        else:
            fault_plan.clear_fault(fault_id, settings)
            cleared = 1
    except McmlError as error:
        fail(error)
    if json_:
        print_json({"cleared": cleared})
    else:
        out.print(f"{cleared} {'fault is' if cleared == 1 else 'faults are'} cleared.")
    raise typer.Exit(Exit.OK)


def _parameter(word: str) -> tuple[str, str]:
    name, separator, value = word.partition("=")
    if not separator:
        raise ConfigurationError(f"--param takes NAME=VALUE, not {word!r}")
    return name.strip(), value.strip()


def _table(faults: tuple[Fault, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("id", "target", "kind", "parameters", "share", "until", "why", "who"):
        table.add_column(heading)
    for fault in faults:
        parameters = " ".join(f"{name}={value}" for name, value in fault.parameters.items())
        until = fault.expires.strftime("%H:%M:%S UTC")
        row = (fault.id, fault.target, fault.kind, parameters, f"{fault.probability:.0%}", until, fault.why, fault.who)
        table.add_row(*(escape(str(cell)) for cell in row))
    return table
