"""Copying a snapshot from one location to another, compared with its manifest as the bytes pass.

Which location copies from which, and when, is decided above; what a committed snapshot looks like is in `store.py`.
"""

from dataclasses import dataclass
from time import monotonic

from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.snapshots.store import SnapshotStore

ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a replication moved, and what the target had already: files, bytes, and the seconds it took."""

    files: int
    bytes: int
    skipped_files: int
    skipped_bytes: int
    seconds: float


def replicate(source: SnapshotStore, target: SnapshotStore, manifest: Manifest, *, epoch: int) -> CopyReport:
    """Make `manifest` the target's current snapshot, copying only the files that the target lacks.

    Files pass one chunk at a time. Each is compared with its digest before the target shows it; the manifest follows
    with its original provenance, and the pointer last, so a crash anywhere leaves the target's former snapshot current
    and the next call copies the rest. The call is a no-op for a snapshot that is current already.

    Raises `CorruptSnapshot` when the source's bytes differ from the manifest twice in a row or are missing,
    `StaleEpoch` when the target knows a newer epoch, `PreconditionFailed` when another writer was faster, and
    `LocationUnavailable` naming whichever side does not answer.
    """
    started = monotonic()
    former = target.pointer.read_as(epoch)
    copied: list[int] = []
    skipped: list[int] = []
    for file in manifest.files:
        if target.blobs.holds(file):
            skipped.append(file.size)
        else:
            _copy(source, target, file)
            copied.append(file.size)
    target.write_manifest(manifest)
    target.pointer.move(manifest.snapshot_id, epoch, former)
    return CopyReport(len(copied), sum(copied), len(skipped), sum(skipped), monotonic() - started)


def _copy(source: SnapshotStore, target: SnapshotStore, file: SnapshotFile) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            target.blobs.write(file, source.blobs.stored(file), source.location)
            return
        except CorruptSnapshot:
            # Bytes may have been damaged on the way, which another reading tells from damage at the source.
            if attempt == ATTEMPTS:
                raise
