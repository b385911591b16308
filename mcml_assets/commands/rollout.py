"""`mcml rollout`: how a new version takes over, location by location; and stopping it, or taking it up again.

Commands read arguments, call down and print. What drives a rollout is the data plane, in `serving/rollout/`.
"""

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.workload import workload_named

if TYPE_CHECKING:
    from mcml_assets.domain.rollout import Rollout
    from mcml_assets.serving.rollout.record import Verb

rollout_app = typer.Typer(
    help="Rollouts: a new model version beside the former one, a share of the requests at a time.", no_args_is_help=True
)

WorkloadName = Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")]
Where = Annotated[str | None, typer.Option("--location", "-l", help="One location; all of the workload's if absent.")]
Reason = Annotated[str, typer.Option(help="Why; on record.")]
Who = Annotated[str | None, typer.Option(help="Who wants it; you if absent.")]


@rollout_app.command("status")
def status(
    workload: Annotated[str | None, typer.Argument(help="A workload; all if absent.")] = None,
    events: Annotated[bool, typer.Option("--events", help="Also what happened, and when.")] = False,
    json_: Json = False,
) -> None:
    """The last rollout in each location, in the order of its locations; exits with 1 while one is rolled back or aborted.

    JSON: a list of {workload, location, from_version, version, phase, share, steps, since, waits_for, reason, events: [{at,
    phase, text}]}.
    """
    from mcml_assets.domain.rollout import Phase  # noqa: PLC0415 - only this command

    rollouts = [one for one in _rollouts() if workload in (None, one.workload)]
    rollouts.sort(key=lambda one: (one.workload, one.version, one.plan.order, one.plan.order.index(one.location)))
    if json_:
        print_json([_document(rollout) for rollout in rollouts])
    else:
        _show(rollouts, events=events)
    if any(rollout.phase in (Phase.ROLLED_BACK, Phase.ABORTED) for rollout in rollouts):
        raise typer.Exit(Exit.UNHEALTHY)


@rollout_app.command("start")
def start(workload: WorkloadName, reason: Reason, location: Where = None, who: Who = None, json_: Json = False) -> None:
    """Begin again, from the first step, where a rollout was rolled back or aborted. JSON: as `abort` prints it."""
    _order("start", workload, location, who, reason, json_)


@rollout_app.command("resume")
def resume(workload: WorkloadName, reason: Reason, location: Where = None, who: Who = None, json_: Json = False) -> None:
    """Take up what was stopped at the step where it stood; starts the data plane, which drives it, where none runs.

    A rollout whose data plane was killed goes on by itself as soon as one runs. JSON: as `abort` prints it.
    """
    from mcml_assets.serving.data_plane import ensure_data_plane  # noqa: PLC0415 - starts processes

    _order("resume", workload, location, who, reason, json_)
    try:
        ensure_data_plane(Settings())
    except McmlError as error:
        fail(error)


@rollout_app.command("abort")
def abort(workload: WorkloadName, reason: Reason, location: Where = None, who: Who = None, json_: Json = False) -> None:
    """Stop a rollout: the former version answers all requests within a second, the new one ends.

    JSON: the rollouts that the order is about, as `status` prints them, as they were before it.
    """
    _order("abort", workload, location, who, reason, json_)


def _order(verb: "Verb", name: str, location: str | None, who: str | None, reason: str, json_: bool) -> None:
    from mcml_assets.domain.rollout import Phase  # noqa: PLC0415 - only orders
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - the same
    from mcml_assets.serving.manifest import endpoint_name  # noqa: PLC0415 - the same
    from mcml_assets.serving.rollout.record import Order, give_order  # noqa: PLC0415 - the same

    workloads, _ = read_platform(Settings())
    try:
        workload = workload_named(name, workloads)
        keys = [workload.placed(location).key] if location else [placed.key for placed in workload.locations]
    except McmlError as error:
        fail(error)
    stopped = (Phase.ROLLED_BACK, Phase.ABORTED)
    found = [one for one in _rollouts() if one.workload == name and one.location in keys]
    concerned = [one for one in found if (not one.ended if verb == "abort" else one.phase in stopped)]
    if not concerned:
        what = "under way" if verb == "abort" else "rolled back or aborted"
        # Resuming what goes on is no mistake: whoever drives it may have been killed.
        if verb != "resume" or all(one.ended for one in found):
            fail(ConfigurationError(f"no rollout of {name} is {what}{f' in {location}' if location else ''}"))
    folder = DataPlaneFolder.of(Settings())
    for rollout in concerned:
        give_order(folder, endpoint_name(name, rollout.location), Order(verb, who or getpass.getuser(), reason))
    if json_:
        print_json([_document(rollout) for rollout in concerned])
    else:
        for rollout in concerned:
            out.print(f"{verb}: {name} in {rollout.location}, which was {rollout.phase}", highlight=False)


def _rollouts() -> "list[Rollout]":
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - only these commands
    from mcml_assets.serving.rollout.record import read_records  # noqa: PLC0415 - the same

    try:
        return list(read_records(DataPlaneFolder.of(Settings())))
    except McmlError as error:
        fail(error)


def _document(rollout: "Rollout") -> dict[str, Any]:
    return {
        "workload": rollout.workload,
        "location": rollout.location,
        "from_version": rollout.former_version,
        "version": rollout.version,
        "phase": rollout.phase.value,
        "share": rollout.share,
        "steps": list(rollout.plan.steps.percents),
        "since": _clock(rollout.since),
        "waits_for": rollout.waits_for,
        "reason": rollout.reason,
        "events": [{"at": _clock(event.at), "phase": event.phase.value, "text": event.text} for event in rollout.events],
    }


def _show(rollouts: "list[Rollout]", *, events: bool) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "location", "version", "phase", "share", "since", ""):
        table.add_column(heading, no_wrap=heading != "")
    for one in rollouts:
        versions, said = f"{one.former_version} → {one.version}", one.reason or one.waits_for or ""
        table.add_row(one.workload, one.location, versions, one.phase, f"{one.share} %", _clock(one.since), escape(said))
    out.print(table)
    for one in rollouts if events else ():
        for event in one.events:
            out.print(f"{_clock(event.at)}  {one.workload} {one.location}: {escape(event.text)}", highlight=False)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
