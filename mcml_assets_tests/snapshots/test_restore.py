"""An earlier snapshot that is still stored becomes the current one again, whole and under the epoch, or nothing changes."""

from pathlib import Path

import pytest

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, PreconditionFailed, StaleEpoch
from mcml_assets.snapshots.restore import restore
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.clouds.faults import CountingStore, RivalStore, flipped
from mcml_assets_tests.snapshots.committing import commit, current_contents, snapshots
from mcml_assets_tests.snapshots.test_retention import sweep

FIRST, SECOND = {"a": b"one", "kept": b"kept"}, {"a": b"two", "kept": b"kept"}


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore("aws/eu-west-2")


@pytest.fixture
def first(bucket: MemoryStore, tmp_path: Path) -> str:
    """The id of the former of two snapshots."""
    former = commit(snapshots(bucket), FIRST, tmp_path, epoch=2).manifest
    commit(snapshots(bucket), SECOND, tmp_path, epoch=2)
    return former.snapshot_id


def go_back(store: SnapshotStore, snapshot_id: str, epoch: int = 2, *, dry_run: bool = False) -> bool:
    return restore(store, snapshot_id, epoch, store.pointer.read(), dry_run=dry_run)[1]


def test_going_back_and_forth(bucket: MemoryStore, first: str):
    """What was current before is current again, nothing is lost by it, and the way back is open."""
    store = snapshots(bucket)
    second = store.current_pointer()
    assert second is not None
    assert go_back(store, first)
    pointer = store.current_pointer()
    assert pointer is not None
    assert (pointer.snapshot_id, pointer.previous, pointer.epoch) == (first, second.snapshot_id, 2)
    assert current_contents(store) == FIRST
    assert not go_back(store, first)
    assert go_back(store, second.snapshot_id)
    assert current_contents(store) == SECOND


def test_a_dry_run_reads_everything_and_writes_nothing(bucket: MemoryStore, first: str):
    """Whether it could be restored is told without a single write."""
    counting = CountingStore(bucket)
    assert not go_back(snapshots(counting), first, dry_run=True)
    assert counting.written == []
    bucket.put(snapshots(bucket).blobs.key(snapshots(bucket).manifest(first).file("a")), b"xxx")
    with pytest.raises(CorruptSnapshot):
        go_back(snapshots(counting), first, dry_run=True)


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_snapshot_that_is_not_whole_is_refused(bucket: MemoryStore, first: str, damage: str):
    """A damaged or missing file is named, with what can be done, and what is current stays so."""
    store = snapshots(bucket)
    key = store.blobs.key(store.manifest(first).file("a"))
    bucket.put(key, flipped(b"one")) if damage == "flipped" else bucket.delete(key)
    with pytest.raises(
        CorruptSnapshot, match=rf"aws/eu-west-2: snapshot {first[:12]} is not whole.*a in aws/eu-west-2.*choose"
    ):
        go_back(store, first)
    assert current_contents(store) == SECOND


def test_what_was_undone_can_be_taken_again_whole(bucket: MemoryStore, first: str, tmp_path: Path):
    """A snapshot whose file was lost is gone back from, and when it is committed anew the file is stored again."""
    store = snapshots(bucket)
    second = store.current()
    assert second is not None
    bucket.delete(store.blobs.key(second.file("a")))
    assert go_back(store, first)
    again = commit(store, SECOND, tmp_path, epoch=2)
    assert (again.written_files, again.reused_files) == (1, 1)
    assert current_contents(store) == SECOND


def test_what_is_not_stored_cannot_be_restored(bucket: MemoryStore, first: str):
    """A snapshot that retention removed, or that never was, is told as such."""
    with pytest.raises(ObjectNotFound):
        go_back(snapshots(bucket), "0" * 64)


def test_an_epoch_that_is_over_restores_nothing(bucket: MemoryStore, first: str, tmp_path: Path):
    """Who was fenced learns it, and the newer writer's snapshot stays."""
    store = snapshots(bucket)
    former = store.pointer.read()
    commit(store, {"a": b"of the new writer"}, tmp_path, epoch=3)
    with pytest.raises(StaleEpoch):
        restore(store, first, 2, former)
    assert current_contents(store) == {"a": b"of the new writer"}


def test_a_faster_writer_is_not_overwritten(bucket: MemoryStore, first: str, tmp_path: Path):
    """A commit between reading the snapshot and moving the pointer stays current."""
    raced = RivalStore(bucket, "current.json", lambda: commit(snapshots(bucket), {"a": b"three"}, tmp_path, epoch=2))
    with pytest.raises(PreconditionFailed):
        go_back(snapshots(raced), first)
    assert current_contents(snapshots(bucket)) == {"a": b"three"}


def test_a_collection_meanwhile_takes_nothing_of_it(bucket: MemoryStore, first: str, tmp_path: Path):
    """A superseded snapshot that is being restored keeps manifest and files from a collection."""
    for content in (b"three", b"four"):
        commit(snapshots(bucket), {"a": content}, tmp_path, epoch=2)
    raced = RivalStore(bucket, "current.json", lambda: sweep(bucket))
    assert go_back(snapshots(raced), first)
    assert raced.rival is None
    assert current_contents(snapshots(bucket)) == FIRST
