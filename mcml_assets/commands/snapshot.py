"""`mcml snapshot`: which snapshots a location still has, and making an earlier one the current one again.

Commands read arguments, call down and print. What restoring may do is `restore.py`'s business, how long snapshots stay
`snapshots/retention.py`'s; keeping one for longer is `mcml hold`.
"""

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.hold import Noun, WorkloadName, beginning_with, check_noun
from mcml_assets.commands.terminal import Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import CorruptSnapshot, McmlError, ObjectNotFound
from mcml_assets.domain.workload import workload_named

if TYPE_CHECKING:
    from mcml_assets.snapshots.store import SnapshotStore

snapshot_app = typer.Typer(help="The snapshots that a location has, and going back to one.", no_args_is_help=True)

Location = Annotated[str, typer.Argument(help="The location: aws/eu-west-2.")]


@snapshot_app.command("list")
def list_(workload: WorkloadName, noun: Noun, location: Location, json_: Json = False) -> None:
    """Every snapshot of an asset that a location still has, the newest first: `mcml snapshot list shop landing aws/eu-west-2`.

    JSON: a list of {snapshot_id, current, held, created_at, producer, rows, watermark, files, bytes, problem}; what an
    unreadable manifest would tell is null.
    """
    from mcml_assets.clouds.registry import open_store  # noqa: PLC0415 - opens object stores
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - the same
    from mcml_assets.snapshots.store import SnapshotStore  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
        chosen = workload_named(workload, read_platform(settings)[0])
        check_noun(noun)
        rows = _rows(SnapshotStore(open_store(chosen.placed(location).location, settings), workload, noun))
    except McmlError as error:
        fail(error)
    if json_:
        print_json(rows)
    else:
        out.print(_table(rows))
        for row in rows:
            if row["problem"]:
                out.print(f"[red]✗[/red] {escape(row['problem'])}", highlight=False)


@snapshot_app.command("restore")
def restore(
    workload: WorkloadName,
    noun: Noun,
    location: Location,
    to: Annotated[str, typer.Option("--to", help="The snapshot's id, or at least the first 12 of its digits.")],
    why: Annotated[str, typer.Option(help="What for; on record.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the snapshot and say what would be; change nothing.")
    ] = False,
    json_: Json = False,
) -> None:
    """Make an earlier snapshot that is still stored the current one again, and tell Dagster, so that the rest follows.

    Undo at the origin, in the acting location: `landing` for data, `training_run` for a model. A copy elsewhere (raw_data,
    model) is brought forward again by the next replication or repair. The next landing takes from the source anew what
    was undone: mend the source or the contract first. Refused for a snapshot that is not whole, and under an epoch that is
    over. JSON: {workload, asset, location, from, to, epoch, moved, recorded}.
    """
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.resources.stores import CloudStores  # noqa: PLC0415 - Dagster, which only this command needs
    from mcml_assets.restore import Order  # noqa: PLC0415 - the same
    from mcml_assets.restore import restore as carry_out  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
        chosen = workload_named(workload, read_platform(settings)[0])
        check_noun(noun)
        chosen.placed(location)
        stores = CloudStores.from_settings(settings)
        found = beginning_with(to, stores.snapshots(chosen, location, noun).stored_snapshots())
        if not found:
            raise ObjectNotFound(
                f"{location} has no snapshot {to} of {workload}/{noun}; `mcml snapshot list` shows what it has"
            )
        order = Order(chosen, noun, location, found[0], getpass.getuser(), why)
        restored = carry_out(stores, order, settings.dagster_home, dry_run=dry_run)
    except McmlError as error:
        fail(error)
    if json_:
        print_json(
            {
                "workload": workload, "asset": noun, "location": location, "from": restored.former, "to": found[0],
                "epoch": restored.epoch, "moved": restored.moved, "recorded": restored.recorded,
            }
        )  # fmt: skip
        return
    change = f"{noun} of {workload} in {location}: {restored.former[:12]} -> {found[0][:12]}, under epoch {restored.epoch}"
    if restored.former == found[0]:
        out.print(f"Nothing to do: {found[0][:12]} is current already.")
    elif dry_run:
        out.print(f"Would go back: {change}. Every byte of it was read, and it is whole.", highlight=False)
    else:
        out.print(f"Went back: {change}.", highlight=False)
        if not restored.recorded:
            out.print(
                f"[yellow]not recorded:[/yellow] there is no Dagster instance in {settings.dagster_home}", highlight=False
            )


def _rows(store: "SnapshotStore") -> list[dict[str, Any]]:
    pointer, held = store.current_pointer(), store.held_snapshots()
    rows = [_row(store, snapshot_id) for snapshot_id in store.stored_snapshots()]
    for row in rows:
        row["current"] = pointer is not None and row["snapshot_id"] == pointer.snapshot_id
        row["held"] = row["snapshot_id"] in held
    return sorted(rows, key=lambda row: row["created_at"] or "", reverse=True)


def _row(store: "SnapshotStore", snapshot_id: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("snapshot_id", "current", "held", "created_at", "producer", "rows"))
    row |= dict.fromkeys(("watermark", "files", "bytes", "problem"))
    row["snapshot_id"] = snapshot_id
    try:
        manifest = store.manifest(snapshot_id)
    except CorruptSnapshot as error:
        return row | {"problem": str(error)}
    told = {"created_at": manifest.created_at, "producer": manifest.producer, "rows": manifest.row_count}
    return row | told | {"watermark": manifest.watermark, "files": len(manifest.files), "bytes": manifest.size}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("snapshot", "", "created", "by", "rows", "up to", "files", "bytes"):
        table.add_column(heading, justify="right" if heading in ("rows", "files", "bytes") else "left", no_wrap=True)
    for row in rows:
        marks = ", ".join(mark for mark in ("current", "held") if row[mark])
        if row["problem"]:
            table.add_row(row["snapshot_id"][:12], marks, "[red]unreadable[/red]")
            continue
        table.add_row(
            row["snapshot_id"][:12], marks, row["created_at"][:19], row["producer"], f"{row['rows']:,}",
            (row["watermark"] or "-")[:10], f"{row['files']:,}", f"{row['bytes']:,}",
        )  # fmt: skip
    return table
