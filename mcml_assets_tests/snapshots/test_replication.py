"""A copy is verified as it passes, or the target keeps what it had."""

from pathlib import Path

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable, PreconditionFailed, StaleEpoch
from mcml_assets.snapshots.replication import ReplicationLimits, replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.clouds.faults import CountingStore, Crash, CrashingStore, DamagingStore, RivalStore, flipped
from mcml_assets_tests.snapshots.committing import commit, current_contents, digest_of, snapshots

FORMER = {"a": b"one", "kept": b"kept"}
NEXT = {"a": b"changed", "b/c": b"two", "kept": b"kept", "kept too": b"kept"}
PRIMARY, STANDBY = "aws/eu-west-2", "azure/uksouth"


@pytest.fixture
def source(tmp_path: Path) -> SnapshotStore:
    """A primary that landed two snapshots."""
    landing = snapshots(MemoryStore(PRIMARY))
    commit(landing, FORMER, tmp_path)
    commit(landing, NEXT, tmp_path, epoch=3, parents={"source": "0" * 64})
    return landing


@pytest.fixture(params=["memory", "local"])
def standby(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "memory":
        return MemoryStore(STANDBY)
    (tmp_path / "standby").mkdir()
    return LocalStore(STANDBY, tmp_path / "standby")


def raw_data(store: ObjectStore) -> SnapshotStore:
    return snapshots(store, "raw_data")


def manifests(source: SnapshotStore):
    """The former and the current manifest of a source."""
    pointer = source.current_pointer()
    assert pointer is not None
    assert pointer.previous is not None
    return source.manifest(pointer.previous), source.manifest(pointer.snapshot_id)


def test_only_what_is_missing_is_copied(source: SnapshotStore, standby: ObjectStore):
    """A copy moves the files that the target lacks, each once, and counts what it moved and what was there."""
    former, current = manifests(source)
    first = replicate(source, raw_data(standby), former, epoch=1)
    assert (first.files, first.bytes, first.skipped_files, first.skipped_bytes) == (2, 7, 0, 0)
    counting = CountingStore(standby)
    second = replicate(source, raw_data(counting), current, epoch=1)
    assert (second.files, second.bytes, second.skipped_files, second.skipped_bytes) == (2, 10, 2, 8)
    assert second.seconds > 0
    written = [key.split("/")[1] for key in counting.written]
    assert written == ["intents", "blobs", "blobs", "intents", "raw_data", "raw_data", "intents"]
    assert counting.written[-2] == "retail/raw_data/current.json"
    assert current_contents(raw_data(standby)) == NEXT


def test_a_copy_of_the_current_snapshot_writes_nothing(source: SnapshotStore, standby: ObjectStore):
    """Copying again what the target holds already takes one request, and writes nothing at all."""
    _, current = manifests(source)
    replicate(source, raw_data(standby), current, epoch=3)
    counting = CountingStore(standby)
    again = replicate(source, raw_data(counting), current, epoch=3)
    assert counting.written == []
    assert (again.files, again.skipped_files, again.requests) == (0, 4, 1)


def test_the_manifest_keeps_its_provenance(source: SnapshotStore, standby: ObjectStore):
    """The target stores the very bytes of the source's manifest; the pointer carries the copier's epoch."""
    _, current = manifests(source)
    replicate(source, raw_data(standby), current, epoch=7)
    stored = standby.get(f"retail/raw_data/manifests/{current.snapshot_id}.json")
    assert stored == current.to_json()
    pointer = raw_data(standby).current_pointer()
    assert pointer is not None
    assert (pointer.snapshot_id, pointer.epoch) == (current.snapshot_id, 7)


def test_a_flipped_bit_at_the_source_is_refused(source: SnapshotStore, standby: ObjectStore):
    """Damage at the source is found as the bytes pass: nothing of it is stored, and the former snapshot stays."""
    former, current = manifests(source)
    replicate(source, raw_data(standby), former, epoch=1)
    key = source.blobs.key(current.file("a"))
    for damaged in (flipped(b"changed"), b"chang", b"changed!"):
        source._store.put(key, damaged)
        with pytest.raises(CorruptSnapshot, match=rf"{PRIMARY}: 'a' is damaged; expected blake3 .* 7 bytes, found"):
            replicate(source, raw_data(standby), current, epoch=1)
        assert not raw_data(standby).blobs.holds(current.file("a"))
        assert current_contents(raw_data(standby)) == FORMER


def test_a_file_that_the_source_lost_is_refused(source: SnapshotStore, standby: ObjectStore):
    """A file that is missing at the source is named, and the target keeps its former snapshot."""
    former, current = manifests(source)
    replicate(source, raw_data(standby), former, epoch=1)
    source._store.delete(source.blobs.key(current.file("a")))
    with pytest.raises(CorruptSnapshot, match=rf"{PRIMARY}: 'a' is missing"):
        replicate(source, raw_data(standby), current, epoch=1)
    assert current_contents(raw_data(standby)) == FORMER


@pytest.mark.parametrize(("times", "arrives"), [(1, True), (2, False)])
def test_damage_on_the_way_is_retried_once(source: SnapshotStore, standby: ObjectStore, times: int, arrives: bool):
    """A file that was damaged in flight is read again once; damaged twice, it is taken for damaged at the source."""
    _, current = manifests(source)
    bad_line = snapshots(DamagingStore(source._store, times))
    if arrives:
        replicate(bad_line, raw_data(standby), current, epoch=1)
        assert current_contents(raw_data(standby)) == NEXT
    else:
        with pytest.raises(CorruptSnapshot, match="is damaged"):
            replicate(bad_line, raw_data(standby), current, epoch=1, limits=ReplicationLimits(concurrency=1))
        assert raw_data(standby).current() is None
        for meta in standby.list("retail"):
            assert meta.key.endswith(digest_of(standby.get(meta.key)))


@pytest.mark.parametrize("applied", [False, True], ids=["write lost", "answer lost"])
def test_a_crash_at_any_write_is_resumed(source: SnapshotStore, applied: bool):
    """Wherever a copy dies, the target's former snapshot stays whole; run again, it copies only the rest."""
    former, current = manifests(source)
    writes = 7
    for survived in range(writes):
        standby = MemoryStore(STANDBY)
        replicate(source, raw_data(standby), former, epoch=1)
        with pytest.raises(Crash):
            replicate(source, raw_data(CrashingStore(standby, survived, applied=applied)), current, epoch=1)
        done = survived + applied
        assert current_contents(raw_data(standby)) == (NEXT if done >= writes - 1 else FORMER)
        report = replicate(source, raw_data(standby), current, epoch=1)
        assert report.files == min(2, max(0, 3 - done))
        assert current_contents(raw_data(standby)) == NEXT


def test_an_older_epoch_copies_nothing(source: SnapshotStore, standby: ObjectStore):
    """A copier that was fenced is refused before it moves a byte."""
    former, current = manifests(source)
    replicate(source, raw_data(standby), former, epoch=5)
    before = list(standby.list(""))
    with pytest.raises(StaleEpoch):
        replicate(source, raw_data(standby), current, epoch=4)
    assert list(standby.list("")) == before


def test_a_rival_copier_is_not_overwritten(source: SnapshotStore, standby: ObjectStore, tmp_path: Path):
    """When another writer moves the target's pointer during the copy, that one stays; the same snapshot is agreed."""
    former, current = manifests(source)
    raced = RivalStore(standby, "current.json", lambda: replicate(source, raw_data(standby), former, epoch=1))
    with pytest.raises(PreconditionFailed):
        replicate(source, raw_data(raced), current, epoch=1)
    assert current_contents(raw_data(standby)) == FORMER
    raced = RivalStore(standby, "current.json", lambda: replicate(source, raw_data(standby), current, epoch=1))
    replicate(source, raw_data(raced), current, epoch=1)
    assert current_contents(raw_data(standby)) == NEXT


def test_an_outage_names_its_side(source: SnapshotStore, tmp_path: Path):
    """When a side does not answer, the error names that side's location, so that the right one is failed over."""
    _, current = manifests(source)
    missing = tmp_path / "missing"
    with pytest.raises(LocationUnavailable) as caught:
        replicate(source, raw_data(LocalStore(STANDBY, missing)), current, epoch=1)
    assert caught.value.location == STANDBY
    with pytest.raises(LocationUnavailable) as caught:
        replicate(snapshots(LocalStore(PRIMARY, missing)), raw_data(MemoryStore(STANDBY)), current, epoch=1)
    assert caught.value.location == PRIMARY


def test_a_large_file_passes_in_pieces(tmp_path: Path):
    """A file larger than a chunk is copied between two stores of the same kind, in both kinds, unchanged."""
    large = bytes(range(256)) * 100_000
    for kind in ("memory", "local"):
        stores: list[ObjectStore] = []
        for location in (PRIMARY, STANDBY):
            bucket = tmp_path / kind / location.replace("/", "-")
            bucket.mkdir(parents=True)
            stores.append(MemoryStore(location) if kind == "memory" else LocalStore(location, bucket))
        landing = snapshots(stores[0])
        manifest = commit(landing, {"large": large}, tmp_path).manifest
        report = replicate(landing, raw_data(stores[1]), manifest, epoch=1)
        assert (report.files, report.bytes) == (1, len(large))
        assert current_contents(raw_data(stores[1])) == {"large": large}
