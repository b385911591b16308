"""`mcml hold`: keep a snapshot whatever its age, see what is kept so, and let it go.

Commands read arguments, call down and print. What a hold is, and how it is kept safe, is `snapshots/holds.py`'s business.
"""

import getpass
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, McmlError, ObjectNotFound
from mcml_assets.domain.snapshot import SNAPSHOT_NOUNS
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import workload_named

if TYPE_CHECKING:
    from mcml_assets.snapshots.holds import Hold
    from mcml_assets.snapshots.store import SnapshotStore

hold_app = typer.Typer(help="Legal holds: a snapshot on hold is removed by no collection.", no_args_is_help=True)

WorkloadName = Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")]
Noun = Annotated[str, typer.Argument(help=f"The asset: {', '.join(SNAPSHOT_NOUNS)}.")]
SnapshotId = Annotated[str, typer.Argument(help="The snapshot's id, or at least the first 12 of its digits.")]
Where = Annotated[str | None, typer.Option("--location", "-l", help="One location; all that hold it if absent.")]


@hold_app.command("add")
def add(
    workload: WorkloadName,
    noun: Noun,
    snapshot: SnapshotId,
    reason: Annotated[str, typer.Option(help="Why it must stay; on record.")],
    location: Where = None,
    who: Annotated[str | None, typer.Option(help="Who orders it; you if absent.")] = None,
    json_: Json = False,
) -> None:
    """Hold a snapshot in every location that has it: `mcml hold add shop raw_data 1f3a… --reason "case 17"`.

    Where a location does not answer, the others hold all the same, and it is told: repeat the command when it is back.
    JSON: a list of {workload, asset, location, snapshot_id, reason, who, placed_at}.
    """
    from mcml_assets.snapshots.holds import place_hold  # noqa: PLC0415 - opens object stores

    def place(store: "SnapshotStore") -> "list[Hold]":
        found = _stored_id(store, snapshot)
        return [place_hold(store, found, reason, who or getpass.getuser())] if found is not None else []

    _everywhere([(workload, noun)], location, place, json_, f"no location has a snapshot {snapshot} of {workload}/{noun}")


@hold_app.command("list")
def list_(json_: Json = False) -> None:
    """Every hold in every location. JSON: a list of what `add` prints."""
    from mcml_assets.snapshots.holds import holds  # noqa: PLC0415 - opens object stores

    try:
        workloads, _ = read_platform(_settings())
    except McmlError as error:
        fail(error)
    assets = [(workload.name, noun) for workload in workloads for noun in SNAPSHOT_NOUNS]
    _everywhere(assets, None, holds, json_)


@hold_app.command("release")
def release(workload: WorkloadName, noun: Noun, snapshot: SnapshotId, location: Where = None, json_: Json = False) -> None:
    """Let a snapshot go by its retention again, in every location. JSON: the holds that were, as `add` prints them."""
    from mcml_assets.snapshots.holds import release_hold  # noqa: PLC0415 - opens object stores

    def let_go(store: "SnapshotStore") -> "list[Hold]":
        return [release_hold(store, found) for found in beginning_with(snapshot, store.held_snapshots())]

    nothing = f"no location has a hold on snapshot {snapshot} of {workload}/{noun}"
    _everywhere([(workload, noun)], location, let_go, json_, nothing)


def _everywhere(
    assets: Sequence[tuple[str, str]],
    location: str | None,
    act: "Callable[[SnapshotStore], Iterable[Hold]]",
    json_: bool,
    nothing: str = "",
) -> None:
    """Act in every location of these assets, print the holds it was about, and fail at the end if a location failed.

    `nothing` is what to say when no location had any; without it, that is fine.
    """
    rows: list[dict[str, Any]] = []
    problem: McmlError | None = None
    try:
        for workload, noun in assets:
            for store in _stores(workload, noun, location):
                try:
                    found = [
                        {"workload": workload, "asset": noun, "location": store.location, **asdict(hold)} for hold in act(store)
                    ]
                except LocationUnavailable as error:
                    problem = error  # one location that is down hides no other
                else:
                    rows += found
    except McmlError as error:
        problem = error
    if rows or not (problem or nothing):
        _show(rows, json_)
    if problem is not None:
        fail(problem)
    if not rows and nothing:
        fail(ObjectNotFound(nothing))


def _stores(name: str, noun: str, location: str | None) -> "Iterator[SnapshotStore]":
    """The snapshots of this asset in every location where it may have some, or in that one."""
    from mcml_assets.clouds.registry import open_store  # noqa: PLC0415 - only commands that open stores
    from mcml_assets.snapshots.store import SnapshotStore  # noqa: PLC0415 - the same

    settings = _settings()
    workload = workload_named(name, read_platform(settings)[0])
    check_noun(noun)
    for placed in [workload.placed(location)] if location else workload.locations:
        yield SnapshotStore(open_store(placed.location, settings), name, noun)


def _settings() -> Settings:
    """The settings, with which also emulated buckets can be entered. Raises `ConfigurationError` when those do not run."""
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - only commands that open stores

    return enter_emulators(Settings())


def check_noun(noun: str) -> None:
    """Raise `ConfigurationError`, naming the nearest, for what is no asset that has snapshots."""
    if noun not in SNAPSHOT_NOUNS:
        raise ConfigurationError(f"{noun!r} is no asset that has snapshots{did_you_mean(noun, SNAPSHOT_NOUNS)}")


def _stored_id(store: "SnapshotStore", beginning: str) -> str | None:
    """The stored snapshot whose id begins so. Raises `ConfigurationError` where it could be several."""
    found = beginning_with(beginning, store.stored_snapshots())
    return found[0] if found else None


def beginning_with(beginning: str, snapshot_ids: Sequence[str]) -> list[str]:
    """The ids that begin so, at most one. Raises `ConfigurationError` for a beginning that could mean several."""
    found = [snapshot_id for snapshot_id in snapshot_ids if snapshot_id.startswith(beginning)]
    if len(beginning) < 12 or len(found) > 1:
        raise ConfigurationError(f"{beginning!r} is too short to name one snapshot; give at least 12 digits of its id")
    return found


def _show(rows: list[dict[str, Any]], json_: bool) -> None:
    if json_:
        print_json(rows)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "asset", "location", "snapshot", "since", "who", "reason"):
        table.add_column(heading, no_wrap=heading != "reason")
    for row in rows:
        table.add_row(
            row["workload"], row["asset"], row["location"], row["snapshot_id"][:12], row["placed_at"], escape(row["who"]),
            escape(row["reason"]),
        )  # fmt: skip
    out.print(table)
