"""`mcml failover`, `failback`, `evacuate` and `whatif`: what the sensors do by themselves, by hand, or only in thought.

Commands read arguments, call down and print. They decide by the same code as the sensors and change the register alone;
the failover sensor then requests what the new acting location has to do, within a tick while Dagster runs.
"""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.failover import Cause
from mcml_assets.domain.register import Evacuation
from mcml_assets.domain.workload import Workload, workload_named

if TYPE_CHECKING:
    from mcml_assets.failover.control import Control
    from mcml_assets.failover.plans import Plan

WorkloadName = Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")]
Jurisdiction = Annotated[str, typer.Argument(help="The jurisdiction whose work is meant: UK.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]
Why = Annotated[str, typer.Option(help="What for; kept with the change.")]

PLAN_SHAPE = (
    "JSON: a list of {workload, jurisdiction, decision, cause, from, to, epoch, requested: [{partition, assets}], "
    "copied_bytes, cost, currency, seconds, residency, left_behind_snapshot, lag_seconds, reasons, "
    "rejected: [{location, reason}], answered_by: [location], way_out, uncertain}; what is unknown is null. "
    "`answered_by` are the locations that answer callers meanwhile, `way_out` is what has to come back where the register's "
    "majority is gone, `uncertain` is why nobody can tell who acts now: `from` and `epoch` are then the published route's."
)


def failover(
    workload: WorkloadName,
    jurisdiction: Jurisdiction,
    to: Annotated[str | None, typer.Option(help="The location that is to act; the next in order if absent.")] = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Also to a location that lacks something; no other rule is waived.")
    ] = False,
    why: Why = "",
    dry_run: DryRun = False,
    json_: Json = False,
) -> None:
    """Move a workload's work in a jurisdiction to another location, and keep it there until `mcml failback`.

    Refused to a location that is not lawful, up, ready and (without --accept-loss) up to date. Exits with 1 when nothing
    could be moved.
    """
    from mcml_assets.failover.plans import plan  # noqa: PLC0415 - opens object stores

    try:
        control, workloads = _control()
        chosen = workload_named(workload, workloads)
        probes = control.probes([chosen])
        made = plan(
            control, chosen, chosen.placement(jurisdiction).jurisdiction, Cause.ORDER, probes,
            wanted=to, accept_loss=accept_loss,
        )  # fmt: skip
        if made.decision.moves and not dry_run:
            taken = Evacuation(made.decision.before.location, False, getpass.getuser(), why, _now())
            control.register.evacuate(chosen, jurisdiction, taken)
            if to is not None:
                control.register.give_back(chosen, jurisdiction, to)
            control.carry_out(chosen, made.decision, getpass.getuser())
    except McmlError as error:
        fail(error)
    _show(control, [made], json_=json_, done=not dry_run)


def failback(workload: WorkloadName, jurisdiction: Jurisdiction, dry_run: DryRun = False, json_: Json = False) -> None:
    """Give the work of a jurisdiction back to its primary: a planned handover, which loses nothing.

    Refused while the primary lacks anything. Exits with 1 when nothing could be moved.
    """
    from mcml_assets.failover.plans import plan  # noqa: PLC0415 - opens object stores

    try:
        control, workloads = _control()
        chosen = workload_named(workload, workloads)
        primary = chosen.placement(jurisdiction).primary.key
        if not dry_run:
            control.register.give_back(chosen, jurisdiction, primary)
        made = plan(control, chosen, jurisdiction, Cause.FAILBACK, control.probes([chosen]), wanted=primary)
        if made.decision.moves and not dry_run:
            control.carry_out(chosen, made.decision, getpass.getuser())
    except McmlError as error:
        fail(error)
    _show(control, [made], json_=json_, done=not dry_run)


def evacuate(
    location: Annotated[str, typer.Argument(help="The location that is to do no work: aws/eu-west-2.")],
    end: Annotated[bool, typer.Option("--end", help="Let it be chosen again; moves nothing by itself.")] = False,
    why: Why = "",
    dry_run: DryRun = False,
    json_: Json = False,
) -> None:
    """Move all work away from a location, and keep it away until `mcml evacuate --end`.

    Each workload that acts there moves as `mcml failover` would move it; what cannot move stays and is told, and the exit
    code is 1. It is kept in the register of every workload that is placed there now: one that is placed there later is
    not concerned.
    """
    from mcml_assets.failover.plans import plan  # noqa: PLC0415 - opens object stores

    try:
        control, workloads = _control()
        key = control.topology.location(location).key
        placed = [
            (chosen, placement.jurisdiction)
            for chosen in workloads
            for placement in chosen.placements
            if key in [there.key for there in placement.locations]
        ]
        if end:
            ended = sum(control.register.give_back(*where, key, also_whole=True) for where in placed)
            out.print(f"{key} may act again for {ended} of the {len(placed)} it is a location of.")
            return
        whole = Evacuation(key, True, getpass.getuser(), why, _now())
        # All of them before anything moves: what moves first must not meet a location that is about to be left.
        entries = [control.register.entry(*where) if dry_run else control.register.evacuate(*where, whole) for where in placed]
        probes = control.probes(workloads)
        plans: list[Plan] = []
        for (chosen, jurisdiction), entry in zip(placed, entries, strict=True):
            if entry.acting.location == key:
                made = plan(control, chosen, jurisdiction, Cause.ORDER, probes, also_evacuated=[key])
                if made.decision.moves and not dry_run:
                    control.carry_out(chosen, made.decision, getpass.getuser())
                plans.append(made)
    except McmlError as error:
        fail(error)
    _show(control, plans, json_=json_, done=not dry_run, nothing=f"Nothing acts in {key}.")


def whatif(
    down: Annotated[list[str], typer.Option("--down", help="A cloud or location that is supposed to be dark; repeatable.")],
    json_: Json = False,
) -> None:
    """What the sensors would do if clouds or locations were down now; touches nothing.

    Exits with 0, also where nothing may move."""
    from mcml_assets.failover.plans import what_if  # noqa: PLC0415 - opens object stores

    try:
        control, workloads = _control()
        plans = what_if(control, workloads, down)
    except McmlError as error:
        fail(error)
    _print(control, plans, json_=json_)


for command in (failover, failback, evacuate, whatif):
    command.__doc__ = f"{command.__doc__}\n\n{PLAN_SHAPE}"


def plan_json(made: "Plan", seconds: float | None) -> dict[str, Any]:
    """The plan in the shape that the commands' help describes."""
    decision = made.decision
    return {
        "workload": decision.workload,
        "jurisdiction": decision.jurisdiction,
        "decision": "moves" if decision.moves else "stays",
        "cause": decision.cause.value,
        "from": decision.before.location,
        "to": decision.after.location if decision.after else None,
        "epoch": (decision.after or decision.before).epoch,
        "requested": [{"partition": run.partition, "assets": list(run.nouns)} for run in decision.runs],
        "copied_bytes": made.copied_bytes,
        "cost": float(made.cost) if made.cost is not None else None,
        "currency": made.currency,
        "seconds": seconds if decision.moves else None,
        "residency": f"stays in {decision.jurisdiction}",
        "left_behind_snapshot": decision.loss.snapshot if decision.loss else None,
        "lag_seconds": decision.loss.seconds if decision.loss else 0.0 if decision.moves else None,
        "reasons": list(decision.reasons),
        "rejected": [{"location": one.location, "reason": one.reason} for one in decision.rejected],
        "answered_by": list(made.answered_by),
        "way_out": made.way_out,
        "uncertain": made.uncertain,
    }


def _control() -> tuple["Control", list[Workload]]:
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.failover.control import platform_control  # noqa: PLC0415 - the same

    settings = enter_emulators(Settings())
    workloads, topology = read_platform(settings)
    return platform_control(settings, topology), workloads


def _show(control: "Control", plans: Sequence["Plan"], *, json_: bool, done: bool, nothing: str = "") -> None:
    _print(control, plans, json_=json_, nothing=nothing)
    if done and not json_ and any(made.decision.moves for made in plans):
        out.print("The register is changed. While Dagster runs, the failover sensor requests the takeover within a tick.")
    if not all(made.decision.moves for made in plans):
        raise typer.Exit(Exit.UNHEALTHY)


def _print(control: "Control", plans: Sequence["Plan"], *, json_: bool, nothing: str = "") -> None:
    from mcml_assets.instance.run_history import takeover_seconds  # noqa: PLC0415 - Dagster, 1 s, for the predicted time only

    seconds = takeover_seconds(control.settings.dagster_home) if any(made.decision.moves for made in plans) else None
    if json_:
        print_json([plan_json(made, seconds) for made in plans])
        return
    if not plans:
        out.print(nothing)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "in", "from", "to", "epoch", "requested", "copied", "cost", "time", "lost"):
        table.add_column(heading, no_wrap=heading != "requested")
    for made in plans:
        table.add_row(*_row(made, seconds))
    out.print(table)
    for made in plans:
        mark = "[green]→[/green]" if made.decision.moves else "[yellow]·[/yellow]"
        out.print(f"{mark} {escape(made.decision.summary)}", highlight=False)
        if made.uncertain is not None:
            here = made.decision.before
            out.print(
                f"  who acts is not known: {made.uncertain}; {here.location}, epoch {here.epoch}, is the route's word",
                highlight=False,
            )
        if made.way_out is not None:
            answered = (
                f"callers are answered by {', '.join(made.answered_by)}" if made.answered_by else "nobody answers callers"
            )
            out.print(f"  {answered}; {made.way_out}", highlight=False)


def _row(made: "Plan", seconds: float | None) -> list[str]:
    decision = made.decision
    if decision.after is None:
        return [decision.workload, decision.jurisdiction, decision.before.location, "stays", str(decision.before.epoch)] + [
            "-"
        ] * 5
    return [
        decision.workload,
        decision.jurisdiction,
        decision.before.location,
        decision.after.location,
        str(decision.after.epoch),
        "; ".join(f"{' + '.join(run.nouns)} [{run.partition}]" for run in decision.runs).replace("[", "\\["),
        f"{made.copied_bytes:,} B" if made.copied_bytes is not None else "unknown",
        f"{made.cost:.4f} {made.currency or ''}".strip() if made.cost is not None else "unknown",
        f"{seconds:.0f} s" if seconds is not None else "unknown",
        f"{decision.loss.snapshot[:8]}, {decision.loss.seconds:.0f} s" if decision.loss else "nothing",
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
