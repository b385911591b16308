"""Fences: after a change of acting location, the pointers of every location that answers refuse writers of older epochs.

A location that does not answer is not fenced, and may not hold up the others. What protects it meanwhile is that every
writer of the platform asks the register before it moves a pointer (`CurrentPointer`); a fence is for the writer that asked
in time and was then held up.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from mcml_assets.domain.errors import McmlError, PreconditionFailed
from mcml_assets.domain.snapshot import SNAPSHOT_NOUNS
from mcml_assets.domain.workload import Workload
from mcml_assets.snapshots.store import SnapshotStore

log = logging.getLogger(__name__)

FENCE_SECONDS = 3.0
"""How long a change of acting location waits for its fences; what comes later still counts."""
TRIES = 3


def fence(open_snapshots: Mapping[str, Callable[[], Iterable[SnapshotStore]]], epoch: int) -> Mapping[str, str]:
    """Put up a fence at every location, in all its pointers; returns why a location has none (yet), by its key.

    `open_snapshots` gives for each location the assets whose pointers are fenced.
    """
    inbox: SimpleQueue[tuple[str, str | None]] = SimpleQueue()

    def work(location: str, opened: Callable[[], Iterable[SnapshotStore]]) -> None:
        try:
            for snapshots in opened():
                _fence_one(snapshots, epoch)
        except McmlError as error:
            inbox.put((location, str(error)))
        else:
            inbox.put((location, None))

    for location, opened in open_snapshots.items():
        # A daemon, as a location that hangs must not hold up the end of this process either.
        Thread(target=work, args=(location, opened), name=f"fence-{location}", daemon=True).start()
    missing = dict.fromkeys(open_snapshots, "no answer in time")
    deadline = monotonic() + FENCE_SECONDS
    for _ in open_snapshots:
        try:
            location, problem = inbox.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            break
        if problem is None:
            del missing[location]
        else:
            missing[location] = problem
    for location, problem in missing.items():
        log.warning("%s has no fence of epoch %d: %s", location, epoch, problem)
    return missing


def fence_locations(
    workload: Workload, locations: Iterable[str], open_snapshots: Callable[[Workload, str, str], SnapshotStore], epoch: int
) -> Mapping[str, str]:
    """`fence` for all that a workload has at these locations; `open_snapshots` takes a workload, a location and a noun."""

    def opened(location: str) -> Iterable[SnapshotStore]:
        return (open_snapshots(workload, location, noun) for noun in SNAPSHOT_NOUNS)

    return fence({location: partial(opened, location) for location in locations}, epoch)


def _fence_one(snapshots: SnapshotStore, epoch: int) -> None:
    for _ in range(TRIES - 1):
        try:
            snapshots.pointer.fence(epoch)
            return
        except PreconditionFailed:
            continue  # a writer was faster, perhaps one to be fenced
    snapshots.pointer.fence(epoch)
