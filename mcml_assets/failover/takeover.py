"""What a location that became the acting one stands on: its own copies, adopted as the originals.

`raw_data` is the copy of `landing`, and `model` that of `training_run`. The location that acted before had the originals,
and cannot be asked; so the new one goes on from what it holds, under its own epoch, and from then on older writers are
refused there. Who acts is decided elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable, McmlError
from mcml_assets.domain.failover import Health
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.probing import Prober
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore

OpenSnapshots = Callable[[Workload, str, str], SnapshotStore]
"""Opens the snapshots of one asset: workload, location key, noun."""
COPIES: Mapping[str, str] = {"landing": "raw_data", "training_run": "model"}
"""Which asset is the copy of which original."""


def originals(workload: Workload, location: str, noun: str, open_snapshots: OpenSnapshots) -> SnapshotStore:
    """Where to read what the acting location `location` has of `noun`, whether it took over already or not."""
    return standing(open_snapshots(workload, location, noun), open_snapshots(workload, location, COPIES[noun]))


def become_original(
    workload: Workload, acting: Acting, noun: str, open_snapshots: OpenSnapshots, prober: Prober
) -> Manifest | None:
    """`take_over` of `noun` at the acting location, with the last word of every other location that answers at once.

    Where nothing is to be taken over this costs one request.
    """
    original = open_snapshots(workload, acting.location, noun)
    pointer = original.current_pointer()
    if pointer is not None and pointer.epoch >= acting.epoch:
        return None
    others = [placed.key for placed in workload.placement_of(acting.location).locations if placed.key != acting.location]
    answering = [location for location, probe in prober.probe(others).items() if probe.health is Health.UP]
    former = [open_snapshots(workload, location, noun) for location in answering]
    return take_over(original, open_snapshots(workload, acting.location, COPIES[noun]), acting.epoch, former)


def standing(original: SnapshotStore, copy: SnapshotStore) -> SnapshotStore:
    """Which of a location's two stores says what its jurisdiction has: that whose pointer has the newer epoch.

    On a tie it is the original, which the location writes itself while it acts. A copy is newer only when another
    location acted since: until the takeover, and for everybody who reads meanwhile.
    """
    own, copied = original.current_pointer(), copy.current_pointer()
    return copy if copied is not None and (own is None or copied.epoch > own.epoch) else original


def take_over(
    original: SnapshotStore, copy: SnapshotStore, epoch: int, former: Sequence[SnapshotStore] = ()
) -> Manifest | None:
    """Make the newest that the location may go on from the current snapshot of `original`, under `epoch`.

    Returns its manifest, or None when there is nothing to take over, because the location goes on as it was or nobody
    has anything yet. `former` are the originals of locations that answer; one that was written under the epoch before is
    the last word of whoever acted then, and is copied from there. A crash anywhere is mended by the next call.

    Raises as `replicate` does.
    """
    own = original.current_pointer()
    if own is not None and own.epoch >= epoch:
        return None
    held = standing(original, copy)
    manifest = held.current()
    for source, newer in _last_words(former, epoch, manifest):
        try:
            replicate(source, original, newer, epoch=epoch, others=(copy,))
            return newer
        except (LocationUnavailable, CorruptSnapshot):
            continue  # then it is as if that location had not answered
    if manifest is not None:
        replicate(held, original, manifest, epoch=epoch)
    return manifest


def _last_words(former: Sequence[SnapshotStore], epoch: int, held: Manifest | None) -> Iterator[tuple[SnapshotStore, Manifest]]:
    """What locations that answer wrote under the epoch before, unless it is held here already."""
    for store in former:
        try:
            pointer = store.current_pointer()
            if pointer is None or pointer.epoch != epoch - 1 or (held and pointer.snapshot_id == held.snapshot_id):
                continue
            yield store, store.manifest(pointer.snapshot_id)
        except McmlError:
            continue
