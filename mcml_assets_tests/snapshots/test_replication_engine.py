"""The engine under load and under fire: crashes at any operation, helpers for damaged files, bounds, and its account."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from threading import Lock

import pytest

from mcml_assets.clouds.interfaces import ObjectMeta, ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.digest import DEFAULT_DIGEST
from mcml_assets.domain.egress import EgressPrice
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable
from mcml_assets.domain.snapshot import SnapshotFile
from mcml_assets.snapshots.replication import ReplicationLimits, replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets.snapshots.workers import MIB, MemoryBudget, run_all
from mcml_assets_tests.clouds.faults import CountingStore, Crash, WrappedStore, flipped
from mcml_assets_tests.snapshots.committing import WORKLOAD, commit, current_contents, snapshots
from mcml_assets_tests.snapshots.dying import DyingStore, Process
from mcml_assets_tests.snapshots.test_retention import age_leases

PRIMARY, STANDBY, THIRD = "aws/eu-west-2", "azure/uksouth", "gcp/europe-west2"
MANY = {f"{number:03d}": f"content {number}".encode() for number in range(40)}


def raw_data(store: ObjectStore) -> SnapshotStore:
    return snapshots(store, "raw_data")


@pytest.mark.parametrize("applied", [False, True], ids=["lost", "answer lost"])
def test_a_crash_at_any_operation_is_resumed(tmp_path: Path, applied: bool):
    """Wherever a concurrent copy dies, reading or writing, at either side, the former snapshot stays, and the rest follows.

    The next call copies no file that arrived, and leaves nothing that a collection would not remove.
    """
    files = {key: MANY[key] for key in list(MANY)[:9]}
    first, source = MemoryStore(PRIMARY), MemoryStore(PRIMARY)
    former = commit(snapshots(first), {"000": MANY["000"]}, tmp_path).manifest
    manifest = commit(snapshots(source), files, tmp_path).manifest

    def copy(process: Process, standby: ObjectStore):
        return replicate(
            snapshots(DyingStore(source, process)), raw_data(DyingStore(standby, process)), manifest, epoch=1,
            limits=ReplicationLimits(concurrency=4),
        )  # fmt: skip

    def prepared() -> MemoryStore:
        standby = MemoryStore(STANDBY)
        replicate(snapshots(first), raw_data(standby), former, epoch=1)
        return standby

    whole = Process()
    copy(whole, prepared())
    assert whole.done > 30
    for operations in range(whole.done):
        standby = prepared()
        with pytest.raises(Crash):
            copy(Process(operations, applied=applied), standby)
        assert current_contents(raw_data(standby)) in ({"000": MANY["000"]}, files)
        arrived = len(list(standby.list("retail/blobs")))
        report = copy(Process(), standby)
        assert report.files == len(files) - arrived
        assert current_contents(raw_data(standby)) == files
        age_leases(standby)


def test_a_file_damaged_at_the_source_comes_from_another_location(tmp_path: Path):
    """A file that the source holds damaged or lost arrives from the next location that has it whole; all are named if none."""
    buckets = [MemoryStore(PRIMARY), MemoryStore(THIRD), MemoryStore("aws/eu-west-1")]
    manifest, *_ = [commit(snapshots(each), {"a": b"first", "b": b"second"}, tmp_path).manifest for each in buckets]
    source, *others = (snapshots(bucket) for bucket in buckets)
    buckets[0].put(source.blobs.key(manifest.file("a")), flipped(b"first"))
    buckets[1].delete(source.blobs.key(manifest.file("a")))
    standby = MemoryStore(STANDBY)
    report = replicate(source, raw_data(standby), manifest, epoch=1, others=others)
    assert current_contents(raw_data(standby)) == {"a": b"first", "b": b"second"}
    assert (report.files, report.retried) == (2, 3)
    buckets[2].put(source.blobs.key(manifest.file("a")), b"short")
    with pytest.raises(CorruptSnapshot, match=rf"'a' is damaged.*missing.*tried {PRIMARY}, {THIRD}, aws/eu-west-1"):
        replicate(source, raw_data(MemoryStore("azure/ukwest")), manifest, epoch=1, others=others)


def test_a_helper_that_is_down_is_passed_over(tmp_path: Path):
    """An outage of a location that is only asked for help is no error of the copy; one of the source is."""
    source, sound = MemoryStore(PRIMARY), MemoryStore("aws/eu-west-1")
    manifest, _ = (commit(snapshots(bucket), {"a": b"first"}, tmp_path).manifest for bucket in (source, sound))
    source.put(snapshots(source).blobs.key(manifest.file("a")), b"xxxxx")
    down = snapshots(LocalStore(THIRD, tmp_path / "missing"))
    standby = MemoryStore(STANDBY)
    replicate(snapshots(source), raw_data(standby), manifest, epoch=1, others=[down, snapshots(sound)])
    assert current_contents(raw_data(standby)) == {"a": b"first"}
    with pytest.raises(LocationUnavailable) as caught:
        replicate(down, raw_data(MemoryStore(STANDBY)), manifest, epoch=1, others=[snapshots(sound)])
    assert caught.value.location == THIRD


class WatchfulStore(WrappedStore):
    """Counts the requests for single blobs, and how many of the chunks it handed out are still on their way."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.heads = self.streams = self.now = self.most = 0
        self._lock = Lock()

    def head(self, key: str) -> ObjectMeta:
        self.heads += 1
        return super().head(key)

    def stream(self, key: str, chunk_size: int = 8 * MIB) -> Iterator[bytes]:
        with self._lock:
            self.streams += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield from super().stream(key, chunk_size)
        finally:
            with self._lock:
                self.now -= 1


def test_what_a_manifest_promises_is_not_asked_for(tmp_path: Path):
    """One more file in a large snapshot takes as many requests as one more in a small one."""
    taken: list[int] = []
    for count in (5, 40):
        source, standby = MemoryStore(PRIMARY), MemoryStore(STANDBY)
        files = {key: MANY[key] for key in list(MANY)[:count]}
        former = commit(snapshots(source), files, tmp_path).manifest
        replicate(snapshots(source), raw_data(standby), former, epoch=1)
        manifest = commit(snapshots(source), {**files, "new": b"new"}, tmp_path).manifest
        report = replicate(snapshots(source), raw_data(standby), manifest, epoch=1)
        assert (report.files, report.skipped_files) == (1, count)
        taken.append(report.requests)
    assert taken[0] == taken[1] <= 13


def test_assets_of_one_location_share_their_blobs(tmp_path: Path):
    """From landing to raw data in one bucket nothing is copied, and no blob is asked for."""
    bucket = WatchfulStore(MemoryStore(PRIMARY))
    manifest = commit(snapshots(bucket), MANY, tmp_path).manifest
    bucket.heads = 0
    report = replicate(snapshots(bucket), raw_data(bucket), manifest, epoch=1)
    assert (report.files, report.skipped_files, report.egress_bytes, report.egress_cost) == (0, 40, 0, Decimal(0))
    assert (bucket.heads, bucket.streams) == (0, 0)
    assert current_contents(raw_data(bucket)) == MANY


def test_many_missing_files_are_listed_not_asked_for(tmp_path: Path):
    """Whether a crowd of files is there already is found by listing, also where much else is stored."""
    source, standby = MemoryStore(PRIMARY), WatchfulStore(MemoryStore(STANDBY))
    manifest = commit(snapshots(source), MANY, tmp_path).manifest
    some = {key: MANY[key] for key in list(MANY)[::2]}
    commit(snapshots(standby), some, tmp_path)
    standby.heads = 0
    report = replicate(snapshots(source), raw_data(standby), manifest, epoch=1)
    assert (report.files, report.skipped_files, standby.heads) == (20, 20, 0)


def test_verifying_mends_what_the_target_holds(tmp_path: Path):
    """With `verify` a damaged, short or lost file of the current snapshot is copied anew, and no other; without, nothing."""
    source, standby = MemoryStore(PRIMARY), MemoryStore(STANDBY)
    manifest = commit(snapshots(source), MANY, tmp_path).manifest
    replicate(snapshots(source), raw_data(standby), manifest, epoch=1)
    blobs = raw_data(standby).blobs
    standby.put(blobs.key(manifest.file("001")), flipped(MANY["001"]))
    standby.put(blobs.key(manifest.file("002")), b"short")
    standby.delete(blobs.key(manifest.file("003")))
    assert replicate(snapshots(source), raw_data(standby), manifest, epoch=1).requests == 1
    report = replicate(snapshots(source), raw_data(standby), manifest, epoch=1, verify=True)
    assert report.files == 3
    assert current_contents(raw_data(standby)) == MANY


def test_concurrency_is_bounded_and_used(tmp_path: Path):
    """So many files are on their way at once as the limits allow, and no more, and each is read once."""
    source = WatchfulStore(MemoryStore(PRIMARY))
    manifest = commit(snapshots(source), MANY, tmp_path).manifest
    replicate(snapshots(source), raw_data(MemoryStore(STANDBY)), manifest, epoch=1, limits=ReplicationLimits(concurrency=3))
    assert 1 <= source.most <= 3
    assert source.streams == 40


def test_memory_is_shared_out():
    """Files wait until their share of the memory is free; one that is larger than all of it gets all of it."""
    budget, held, most, lock = MemoryBudget(10 * MIB), 0, 0, Lock()

    def transfer(file: SnapshotFile) -> None:
        nonlocal held, most
        with budget.reserved_for(file):
            with lock:
                held += min(2 * file.size, 10 * MIB)
                most = max(most, held)
            with lock:
                held -= min(2 * file.size, 10 * MIB)

    files = [SnapshotFile(str(number), (number % 7) * MIB, "0" * 64, DEFAULT_DIGEST) for number in range(200)]
    run_all(transfer, files, concurrency=16)
    assert (0 < most <= 10 * MIB, held) == (True, 0)


def test_the_first_error_ends_the_work():
    """After an error no further item is begun, and the error is raised as it was."""
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        run_all(work, range(10_000), concurrency=2)
    assert len(begun) < 10_000


def test_the_report_tells_cost_and_progress(tmp_path: Path):
    """Bytes that left their location are counted and priced, and progress ends at the whole."""
    price = EgressPrice(Decimal("0.09"), "USD")
    source = SnapshotStore(MemoryStore(PRIMARY), WORKLOAD, "landing", price)
    large = bytes(5 * MIB)
    manifest = commit(source, {"large": large, "small": b"1"}, tmp_path).manifest
    told: list[tuple[int, int]] = []
    standby = CountingStore(MemoryStore(STANDBY))
    report = replicate(source, raw_data(standby), manifest, epoch=1, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (manifest.size, manifest.size)
    assert report.egress_bytes == report.bytes == len(large) + 1
    assert report.egress_cost == Decimal("0.09") * (5 * MIB + 1) / 2**30
    assert report.currency == "USD"
    assert report.megabytes_per_second == pytest.approx(report.bytes / report.seconds / 1e6)
    unpriced = snapshots(MemoryStore(PRIMARY))
    manifest = commit(unpriced, {"small": b"2"}, tmp_path).manifest
    assert replicate(unpriced, raw_data(standby), manifest, epoch=1).egress_cost is None
