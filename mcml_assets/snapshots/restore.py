"""Going back to an earlier snapshot that is still stored: read whole first, then the pointer moves, as in a commit.

What became current since stays stored and can be gone back to in turn, until retention lets it go. Who may order it, and
under which epoch, is decided above; bytes that were overwritten or deleted are `VersionedStore`'s business.
"""

from collections.abc import Callable

from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.snapshots.pointer import PointerVersion
from mcml_assets.snapshots.store import SnapshotStore


def restore(
    store: SnapshotStore, snapshot_id: str, epoch: int, former: PointerVersion | None, *, dry_run: bool = False
) -> tuple[Manifest, bool]:
    """Make a stored snapshot the current one again, under `epoch`, unless the pointer moved since `former` was read.

    Returns its manifest, and whether the pointer was written; with `dry_run` all is done but what writes. Every byte of
    the snapshot is read first. Raises `ObjectNotFound` for a snapshot that is not stored here, `CorruptSnapshot` naming
    files that are damaged or missing, `StaleEpoch` when a newer epoch fences this writer, and `PreconditionFailed` when
    another one was faster.
    """
    manifest = store.manifest(snapshot_id)
    if dry_run:
        _check_whole(store, manifest, lambda: None)
        return manifest, False
    # As a writer that needs all its blobs, so that no collection takes one between reading it and moving the pointer.
    with store.activity.writing(manifest.needs) as intent:
        manifest = store.manifest(snapshot_id)
        _check_whole(store, manifest, intent.keep)
        intent.confirm()
        return manifest, store.pointer.move(snapshot_id, epoch, former)


def _check_whole(store: SnapshotStore, manifest: Manifest, keep: Callable[[], object]) -> None:
    if wrong := store.verify(manifest, keep):
        raise CorruptSnapshot(
            f"{store.location}: snapshot {manifest.snapshot_id[:12]} is not whole and cannot be restored: "
            f"{'; '.join(map(str, wrong[:5]))}; choose another one, or bring back what the bucket's versions still have"
        )
