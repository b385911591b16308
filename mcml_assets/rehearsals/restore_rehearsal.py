"""`restore_rehearsal`: what `mcml snapshot restore` would do, done everywhere on a schedule and without moving a pointer.

A copy that was never read back is a hope. Each location's earlier snapshot is read whole, as going back to it would; what
came of it is an observation of `raw_data`, which the scorecard counts. Going back itself is `restore.py`'s business.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import dagster as dg

from mcml_assets.configuration.settings import DEFS
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores

NOUN = "raw_data"
REHEARSED = "restore_rehearsal"
"""The entry of an observation's metadata that says `passed` or `failed`."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One location's: which snapshot was read, how many bytes, in how many seconds; `problem` None when it is whole."""

    snapshot: str | None
    bytes: int
    seconds: float
    problem: str | None


def rehearse_restore(workload: Workload, stores: CloudStores, location: str) -> Rehearsal | None:
    """Read the newest snapshot before the current one whole, or the current one where there is no other; None without any."""
    from mcml_assets.snapshots.restore import restore  # noqa: PLC0415 - only when the job runs

    began, snapshot = perf_counter(), None
    try:
        store = stores.snapshots(workload, location, NOUN)
        pointer = store.current_pointer()
        if pointer is None:
            return None
        manifests = [store.manifest(snapshot_id) for snapshot_id in store.stored_snapshots()]
        earlier = [one for one in manifests if one.snapshot_id != pointer.snapshot_id]
        chosen = max(earlier or manifests, key=lambda one: one.created_at)
        snapshot = chosen.snapshot_id
        restore(store, snapshot, pointer.epoch, store.pointer.read_as(pointer.epoch), dry_run=True)
    except McmlError as error:
        return Rehearsal(snapshot, 0, perf_counter() - began, f"{type(error).__name__}: {error}")
    return Rehearsal(snapshot, chosen.size, perf_counter() - began, None)


@dg.op(out={}, description="Reads an earlier snapshot of every location whole, as a restore would, and moves nothing.")
def rehearse_restores(context: dg.OpExecutionContext, stores: CloudStores) -> Iterator[dg.AssetObservation]:
    """Fails, after all locations had their turn, when one could not go back."""
    from mcml_assets.configuration.workload import load_workloads  # noqa: PLC0415 - only when the job runs

    problems: list[str] = []
    for workload in load_workloads(DEFS, stores.topology)[0]:
        for placed in workload.locations:
            found = rehearse_restore(workload, stores, placed.key)
            if found is None:
                continue
            if found.problem is not None:
                problems.append(f"{workload.name} in {placed.key}: {found.problem}")
            yield dg.AssetObservation(
                asset_key(workload, NOUN),
                partition=placed.key,
                description="What going back to an earlier snapshot needs was read here, and is "
                + ("whole." if found.problem is None else f"not whole: {found.problem}"),
                metadata={
                    REHEARSED: "passed" if found.problem is None else "failed",
                    "restorable_snapshot": (found.snapshot or "unknown")[:12],
                    "restore_bytes": found.bytes,
                    "restore_seconds": round(found.seconds, 3),
                },
            )
    if problems:
        raise dg.Failure("these locations could not go back:\n" + "\n".join(problems), allow_retries=False)


@dg.job(name=REHEARSED, description="Rehearses going back to an earlier snapshot, in every location.")
def restore_rehearsal() -> None:
    """One op over all locations: its cost is reading."""
    rehearse_restores()


weekly_restore_rehearsal = dg.ScheduleDefinition(
    name="restore_rehearsal_weekly",
    job=restore_rehearsal,
    cron_schedule="47 1 * * 6",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads an earlier snapshot of every location whole, so that a restore is known to work before it is needed.",
)
