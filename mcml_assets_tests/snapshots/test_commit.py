"""A commit is whole or not there, at whichever write its process dies; and an old epoch or a slow rival moves nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.digest import DEFAULT_DIGEST
from mcml_assets.domain.errors import CorruptSnapshot, McmlError, ObjectNotFound, PreconditionFailed, StaleEpoch
from mcml_assets.domain.snapshot import SnapshotFile
from mcml_assets.snapshots.store import Mismatch
from mcml_assets_tests.clouds.faults import CountingStore, Crash, CrashingStore, RivalStore, WrappedStore, flipped
from mcml_assets_tests.snapshots.committing import blob, commit, current_contents, digest_of, snapshots

FORMER = {"a": b"one", "b/c": b"two", "kept": b"kept"}
NEXT = {"a": b"changed", "b/c": b"two", "new": b"new", "kept": b"kept"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("aws/eu-west-2")


def test_a_commit_is_read_back(store: MemoryStore, tmp_path: Path):
    """What was committed is current, with its facts, its files and its provenance, and the pointer knows the former."""
    target = snapshots(store)
    assert (target.current_pointer(), target.current()) == (None, None)
    first = commit(target, FORMER, tmp_path)
    assert (first.written_files, first.reused_files, first.written_bytes, first.moved_pointer) == (3, 0, 10, True)
    second = commit(target, NEXT, tmp_path, parents={"source": "0" * 64}, annotations={"late_rows": 3}, epoch=2)
    assert (second.written_files, second.reused_files, second.written_bytes) == (2, 2, 10)
    assert target.current() == second.manifest == target.manifest(second.manifest.snapshot_id)
    assert current_contents(target) == NEXT
    assert target.manifest(first.manifest.snapshot_id) == first.manifest
    pointer = target.current_pointer()
    assert pointer is not None
    assert (pointer.snapshot_id, pointer.epoch) == (second.manifest.snapshot_id, 2)
    assert pointer.previous == first.manifest.snapshot_id
    assert (second.manifest.parents, second.manifest.annotations) == ({"source": "0" * 64}, {"late_rows": 3})
    assert (second.manifest.epoch, second.manifest.producer) == (2, "aws/eu-west-2")


def test_blobs_are_first_and_the_pointer_is_last(store: MemoryStore, tmp_path: Path):
    """A commit writes the missing blobs, then the manifest, then the pointer, each once, all under an intent."""
    counting = CountingStore(store)
    commit(snapshots(counting), FORMER, tmp_path)
    counting.written.clear()
    committed = commit(snapshots(counting), NEXT, tmp_path)
    intent, *blobs, confirmed, manifest, pointer, removed = counting.written
    assert intent.startswith("retail/intents/")
    assert intent == confirmed == removed
    assert list(store.list("retail/intents")) == []
    assert sorted(blobs) == sorted([blob(b"changed"), blob(b"new")])
    assert manifest == f"retail/landing/manifests/{committed.manifest.snapshot_id}.json"
    assert pointer == "retail/landing/current.json"


def test_the_same_snapshot_again_changes_nothing(store: MemoryStore, tmp_path: Path):
    """Committing what is current already writes nothing, and keeps pointer and provenance."""
    target = snapshots(store)
    first = commit(target, FORMER, tmp_path)
    before = list(store.list(""))
    again = commit(target, FORMER, tmp_path, code_version="2", created_at="2027-01-01T00:00:00+00:00")
    assert (again.moved_pointer, again.written_files, again.reused_files) == (False, 0, 3)
    assert again.manifest == first.manifest
    assert list(store.list("")) == before


def test_a_file_of_a_former_snapshot_is_reused_without_its_bytes(store: MemoryStore, tmp_path: Path):
    """A stored file is taken over by its digest, under any path, with its facts; other assets' files as well."""
    former = commit(snapshots(store), FORMER, tmp_path).manifest
    reused = former.file("kept")
    committed = commit(snapshots(store, "raw_data"), {"part-1": reused, "part-2": b"more"}, tmp_path)
    assert (committed.written_files, committed.reused_files) == (1, 1)
    assert current_contents(snapshots(store, "raw_data")) == {"part-1": b"kept", "part-2": b"more"}
    assert current_contents(snapshots(store)) == FORMER


def test_reusing_what_is_not_stored_is_refused(store: MemoryStore, tmp_path: Path):
    """A file to be reused whose blob is missing is refused with its path, as is a short one when all is verified."""
    target = snapshots(store)
    former = commit(target, FORMER, tmp_path).manifest
    missing = SnapshotFile("x", 3, "0" * 64, DEFAULT_DIGEST)
    with pytest.raises(CorruptSnapshot, match=r"aws/eu-west-2: 'part-1' .*no whole blob 0000"):
        commit(target, {"part-1": missing}, tmp_path)
    store.put(blob(b"kept"), b"ke")
    with pytest.raises(CorruptSnapshot, match="'part-1'"):
        commit(target, {"part-1": former.file("kept")}, tmp_path, verify=True)
    assert target.current() == former


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", ""])
def test_paths_out_of_the_snapshot_are_not_committed(store: MemoryStore, tmp_path: Path, path: str):
    """A path that leads out of the snapshot is refused before anything is written."""
    with pytest.raises(CorruptSnapshot, match="outside its snapshot"):
        commit(snapshots(store), {path: b"1"}, tmp_path)
    assert list(store.list("")) == []


def test_a_local_file_that_changes_meanwhile_is_not_stored(store: MemoryStore, tmp_path: Path):
    """When a file changes between being described and being stored, nothing is stored under the former digest."""
    source = tmp_path / "changing"
    source.write_bytes(b"before")

    class ChangingStore(WrappedStore):
        def head(self, key: str):
            source.write_bytes(b"after!")
            return super().head(key)

    with pytest.raises(CorruptSnapshot, match=r"changed while it was read: 'a'"):
        snapshots(ChangingStore(store)).commit(
            {"a": source}, tables_schema={}, row_count=0, watermark=None, parents={}, code_version="1", epoch=1,
            producer="aws/eu-west-2", created_at="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
    assert list(store.list("")) == []


@pytest.mark.parametrize("applied", [False, True], ids=["write lost", "answer lost"])
def test_a_crash_after_any_write_leaves_a_readable_store(tmp_path: Path, applied: bool):
    """Wherever a commit dies, the former snapshot is current and complete, or the new one is; run again, it finishes.

    Running it again writes exactly what was missing.
    """
    counting = CountingStore(MemoryStore("aws/eu-west-2"))
    commit(snapshots(counting), FORMER, tmp_path)
    first_commit = len(counting.written)
    commit(snapshots(counting), NEXT, tmp_path)
    writes = len(counting.written) - first_commit
    assert writes == 7
    for survived in range(writes):
        store = MemoryStore("aws/eu-west-2")
        commit(snapshots(store), FORMER, tmp_path)
        with pytest.raises(Crash):
            commit(snapshots(CrashingStore(store, survived, applied=applied)), NEXT, tmp_path)
        done = survived + applied
        assert current_contents(snapshots(store)) == (NEXT if done >= writes - 1 else FORMER)
        resumed = CountingStore(store)
        finished = commit(snapshots(resumed), NEXT, tmp_path)
        assert finished.written_files == len([key for key in resumed.written if "/blobs/" in key]) == min(2, max(0, 3 - done))
        assert finished.moved_pointer == (done < writes - 1)
        assert current_contents(snapshots(store)) == NEXT


tiny_files = st.dictionaries(st.sampled_from("abc"), st.sampled_from([b"", b"1", b"2", b"3"]), max_size=3)
steps = st.lists(st.tuples(tiny_files, st.integers(0, 6), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_any_history_of_crashes_keeps_a_whole_snapshot(history):
    """After any sequence of commits, some of which die at some write, the current snapshot is one of the two last."""
    store = MemoryStore("aws/eu-west-2")
    with TemporaryDirectory() as folder:
        former: dict[str, bytes] | None = None
        for files, survived, applied in history:
            try:
                commit(snapshots(CrashingStore(store, survived, applied=applied)), files, Path(folder))
            except Crash:
                assert current_contents(snapshots(store)) in (former, files)
                commit(snapshots(store), files, Path(folder))
            assert current_contents(snapshots(store)) == files
            former = files
        for meta in store.list("retail/landing/manifests"):
            manifest = snapshots(store).manifest(meta.key.rpartition("/")[2].removesuffix(".json"))
            assert snapshots(store).verify(manifest) == ()


def test_an_older_epoch_is_fenced(store: MemoryStore, tmp_path: Path):
    """A writer with an older epoch than the pointer's is refused before it writes a byte, even the same snapshot."""
    target = snapshots(store)
    commit(target, FORMER, tmp_path, epoch=5)
    before = list(store.list(""))
    for files in (NEXT, FORMER):
        with pytest.raises(StaleEpoch, match=r"aws/eu-west-2.*is at epoch 5; a writer of epoch 4"):
            commit(target, files, tmp_path, epoch=4)
    assert list(store.list("")) == before


def test_a_newer_epoch_fences_with_the_same_snapshot(store: MemoryStore, tmp_path: Path):
    """Committing the current snapshot under a newer epoch raises the pointer's epoch, so the old writer is refused."""
    target = snapshots(store)
    former = commit(target, FORMER, tmp_path, epoch=1).manifest
    current = commit(target, NEXT, tmp_path, epoch=1).manifest
    assert commit(target, NEXT, tmp_path, epoch=2).moved_pointer
    pointer = target.current_pointer()
    assert pointer is not None
    assert (pointer.epoch, pointer.snapshot_id, pointer.previous) == (2, current.snapshot_id, former.snapshot_id)
    with pytest.raises(StaleEpoch):
        commit(target, FORMER, tmp_path, epoch=1)


@pytest.mark.parametrize("former", [None, FORMER], ids=["first snapshot", "later snapshot"])
@pytest.mark.parametrize(
    ("rival_files", "rival_epoch", "expected"),
    [
        ({"a": b"rival"}, 1, PreconditionFailed),
        ({"a": b"rival"}, 2, StaleEpoch),
        (NEXT, 2, StaleEpoch),
        (NEXT, 1, None),
    ],
    ids=["another snapshot", "a newer epoch", "same snapshot, newer epoch", "same snapshot"],
)
def test_a_rival_at_the_worst_moment(
    store: MemoryStore,
    tmp_path: Path,
    former: dict[str, bytes] | None,
    rival_files: dict[str, bytes],
    rival_epoch: int,
    expected: type[McmlError] | None,
):
    """When another writer moves the pointer just before this one, it stays theirs; only the same snapshot is agreed."""
    target = snapshots(store)
    if former is not None:
        commit(target, former, tmp_path)
    raced = RivalStore(store, "current.json", lambda: commit(target, rival_files, tmp_path, epoch=rival_epoch))
    if expected is None:
        assert not commit(snapshots(raced), NEXT, tmp_path).moved_pointer
    else:
        with pytest.raises(expected):
            commit(snapshots(raced), NEXT, tmp_path)
    pointer = target.current_pointer()
    assert pointer is not None
    assert pointer.epoch == rival_epoch
    assert current_contents(target) == rival_files


def test_many_writers_leave_one_whole_snapshot(tmp_path: Path):
    """When writers commit different snapshots at once, each is told that it lost or was current, and the last is whole."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    writers = 6
    start = Barrier(writers)

    def write(number: int) -> bool:
        folder = tmp_path / str(number)
        folder.mkdir()
        start.wait()
        try:
            commit(snapshots(LocalStore("aws/eu-west-2", bucket)), wanted[number], folder)
        except PreconditionFailed:
            return False
        return True

    wanted = [{"shared": b"shared", "own": bytes([number])} for number in range(writers)]
    with ThreadPoolExecutor(writers) as pool:
        was_current = list(pool.map(write, range(writers)))
    current = current_contents(snapshots(LocalStore("aws/eu-west-2", bucket)))
    assert current in [files for files, won in zip(wanted, was_current, strict=True) if won]


def test_fetching_verifies_and_repairs(store: MemoryStore, tmp_path: Path):
    """A download is complete and verified; files that are right are kept, damaged ones are replaced."""
    source = snapshots(store)
    manifest = commit(source, NEXT, tmp_path).manifest
    folder = tmp_path / "fetched"
    fetched = source.fetch(manifest, folder)
    assert {path: file.read_bytes() for path, file in fetched.items()} == NEXT
    assert fetched["b/c"] == folder / "b/c"
    kept = fetched["kept"].stat()
    fetched["a"].write_bytes(b"chanGed")
    fetched["new"].unlink()
    source.fetch(manifest, folder)
    assert {path: file.read_bytes() for path, file in fetched.items()} == NEXT
    assert fetched["kept"].stat() == kept
    assert sum(path.is_file() for path in folder.rglob("*")) == len(NEXT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda store: store.put(blob(b"changed"), flipped(b"changed")),
        lambda store: store.put(blob(b"changed"), b"chan"),
        lambda store: store.put(blob(b"changed"), b"changed, and longer"),
        lambda store: store.delete(blob(b"changed")),
    ],
    ids=["bit flipped", "short", "long", "missing"],
)
def test_damaged_files_are_never_handed_out(store: MemoryStore, tmp_path: Path, damage: Callable[[MemoryStore], object]):
    """A damaged or missing file is named with its location and both digests, and no part of it is left in the folder."""
    source = snapshots(store)
    manifest = commit(source, NEXT, tmp_path).manifest
    damage(store)
    expected = manifest.file("a").digest
    with pytest.raises(CorruptSnapshot, match=rf"aws/eu-west-2: 'a' is .*; expected blake3 {expected}, 7 bytes, found "):
        source.fetch(manifest, tmp_path / "fetched")
    assert not [path for path in (tmp_path / "fetched").rglob("*") if path.name in ("a",) or path.suffix == ".part"]
    (mismatch,) = source.verify(manifest)
    assert (mismatch.location, mismatch.path, mismatch.expected) == ("aws/eu-west-2", "a", expected)
    assert mismatch.found != expected


def test_verify_names_every_bad_file(store: MemoryStore, tmp_path: Path):
    """Verification reads all files and reports each that is missing or different, also where two share their bytes."""
    source = snapshots(store)
    manifest = commit(source, {**NEXT, "kept too": b"kept"}, tmp_path).manifest
    store.delete(blob(b"kept"))
    store.put(blob(b"new"), b"nEw")
    digests = {file.path: file.digest for file in manifest.files}
    assert set(source.verify(manifest)) == {
        Mismatch("aws/eu-west-2", "kept", digests["kept"], None),
        Mismatch("aws/eu-west-2", "kept too", digests["kept"], None),
        Mismatch("aws/eu-west-2", "new", digests["new"], digest_of(b"nEw")),
    }


def test_committing_again_heals_what_was_lost(store: MemoryStore, tmp_path: Path):
    """A verified commit of the current snapshot restores missing, short and damaged blobs, any commit the manifest."""
    target = snapshots(store)
    manifest = commit(target, FORMER, tmp_path).manifest
    store.delete(blob(b"one"))
    store.put(blob(b"two"), b"t")
    store.put(blob(b"kept"), flipped(b"kept"))
    store.put(f"retail/landing/manifests/{manifest.snapshot_id}.json", b"{")
    commit(target, FORMER, tmp_path)
    assert target.current() == manifest
    again = commit(target, FORMER, tmp_path, verify=True)
    assert (again.written_files, again.reused_files, again.moved_pointer) == (3, 0, False)
    assert current_contents(target) == FORMER


def test_unreadable_manifests_and_pointers_say_where(store: MemoryStore, tmp_path: Path):
    """A damaged, swapped, newer or missing manifest and a damaged pointer are told with location, key and remedy."""
    target = snapshots(store)
    one = commit(target, FORMER, tmp_path).manifest
    two = commit(target, NEXT, tmp_path).manifest
    key = f"retail/landing/manifests/{two.snapshot_id}.json"
    store.put(key, two.to_json()[:-20])
    remedy = "bring back its former version"
    with pytest.raises(CorruptSnapshot, match=rf"aws/eu-west-2: {key}: manifest is not readable JSON.*; {remedy}"):
        target.current()
    outside = replace(two, files=(SnapshotFile("../../etc/passwd", 1, "0" * 64, DEFAULT_DIGEST),))
    store.put(key, outside.to_json())
    with pytest.raises(CorruptSnapshot, match=rf"aws/eu-west-2: {key}: .*'../../etc/passwd' is a path outside.*; {remedy}"):
        target.current()
    store.put(key, replace(two, format=2).to_json())
    with pytest.raises(CorruptSnapshot, match=rf"aws/eu-west-2: {key}: .*newer version of mcml_assets wrote it: upgrade"):
        target.current()
    store.put(key, one.to_json())
    with pytest.raises(CorruptSnapshot, match=rf"{key} holds snapshot {one.snapshot_id}; {remedy}"):
        target.current()
    store.delete(key)
    with pytest.raises(CorruptSnapshot, match=rf"points to {two.snapshot_id}, whose manifest is missing; {remedy}"):
        target.current()
    with pytest.raises(ObjectNotFound):
        target.manifest(two.snapshot_id)
    store.put("retail/landing/current.json", b"{}")
    for act in (target.current_pointer, target.current, lambda: commit(target, NEXT, tmp_path)):
        with pytest.raises(CorruptSnapshot, match=r"aws/eu-west-2: retail/landing/current\.json: pointer has format"):
            act()
