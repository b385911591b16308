"""`mcml doctor`: the command. Reads arguments, calls down and prints; what is examined is `doctor/`'s business."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError

if TYPE_CHECKING:
    from mcml_assets.doctor.examination import Examination

EXITS = {"ok": Exit.OK, "problems": Exit.UNHEALTHY, "unreachable": Exit.UNAVAILABLE, "misconfigured": Exit.WRONG_INPUT}
SIGNS = {
    "ok": "[green]✓[/green]",
    "warning": "[yellow]![/yellow]",
    "error": "[red]✗[/red]",
    "unknown": "[red]?[/red]",
    "not_applicable": "[dim]·[/dim]",
}
COLUMNS = (
    "clock", "reach", "write", "read", "conditional_create", "conditional_update", "encryption", "versioning",
    "public_access", "delete",
)  # fmt: skip
# Only of locations whose endpoints run elsewhere.
PLATFORM_COLUMNS = ("platform", "platform_rights")


def doctor(
    location: Annotated[
        list[str] | None, typer.Option("--location", "-l", help="Only this location (aws/eu-west-2); repeatable.")
    ] = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            "--outputs", help="Folder with <cloud>.<region>.outputs.json of `terraform output -json`, to compare with."
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Test every location with the platform's own credentials, say what is wrong and how to mend it; leaves nothing behind.

    Exit codes: 0 all well (warnings may be shown), 1 problems, or something that must be known is not, 2 wrong
    configuration, 3 a location cannot be reached; of several the one that is later in ok, problems, unreachable,
    misconfigured.

    JSON: {profile, verdict, faults, locations: [{location, jurisdiction, store, bucket, verdict, checks: [{name, state,
    detail, remedy}]}]}. Verdicts: ok, problems, unreachable, misconfigured. States: ok, warning, error, unknown,
    not_applicable. Checks: clock, reach, write, read, conditional_create, conditional_update, encryption, versioning,
    public_access, delete, copies_from where the topology has it, platform and platform_rights where endpoints run
    elsewhere, infrastructure with --outputs, and cleanup where something stayed; what could not be asked any more is
    absent. Faults are those that were set on purpose for these locations, in words.
    """
    from mcml_assets.clouds.registry import provision  # noqa: PLC0415 - opens object stores
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - pydantic models, not needed for help
    from mcml_assets.doctor.examination import examine_all, planned_faults, worst  # noqa: PLC0415 - opens object stores
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
        topology = load_topology(settings.topology_file)
        locations = [topology.location(key) for key in location or topology.locations]
        provision(topology, settings)
    except McmlError as error:
        fail(error)
    examinations = examine_all(locations, settings, outputs)
    verdict = worst(examinations)
    faults = planned_faults(locations, settings)
    if json_:
        found = [asdict(each) for each in examinations]
        print_json({"profile": topology.profile, "verdict": verdict, "faults": faults, "locations": found})
    else:
        _print(examinations, faults)
    raise typer.Exit(EXITS[verdict])


def _print(examinations: Sequence["Examination"], faults: Sequence[str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("location", no_wrap=True)
    asked = {check.name for each in examinations for check in each.checks}
    columns = [*COLUMNS, *(column for column in PLATFORM_COLUMNS if column in asked)]
    for column in columns:
        table.add_column(column.replace("_", "\n"), justify="center")
    for each in examinations:
        signs = {check.name: SIGNS[check.state] for check in each.checks}
        colour = "green" if each.verdict == "ok" else "red"
        table.add_row(f"[{colour}]{each.location}[/{colour}]", *(signs.get(column, "") for column in columns))
    out.print(table)
    for each in examinations:
        for check in each.checks:
            if check.state in ("ok", "not_applicable"):
                continue
            out.print(f"{SIGNS[check.state]} {each.location} {check.name}: {escape(check.detail)}", highlight=False)
            if check.remedy:
                out.print(f"    {escape(check.remedy)}", highlight=False, soft_wrap=True)
    for fault in faults:
        out.print(f"[yellow]faults:[/yellow] {escape(fault)}; `mcml fault clear` ends it", highlight=False)
