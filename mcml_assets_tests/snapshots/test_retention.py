"""A collection removes what nothing needs, and nothing that a snapshot, a hold, an endpoint or a writer needs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, PreconditionFailed, TransientError
from mcml_assets.domain.retention import Retention
from mcml_assets.snapshots import intents
from mcml_assets.snapshots.intents import WorkloadActivity
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.retention import Collected, collect
from mcml_assets_tests.clouds.faults import Crash, CrashingStore, RivalStore
from mcml_assets_tests.snapshots.committing import WORKLOAD, blob, commit, current_contents, digest_of, snapshots

SHORT = Retention(keep_last=1, keep_days=0)
NONE = timedelta(0)
LATER = datetime.now(UTC) + timedelta(days=400)


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "memory":
        return MemoryStore("aws/eu-west-2")
    (tmp_path / "bucket").mkdir()
    return LocalStore("aws/eu-west-2", tmp_path / "bucket")


def sweep(store: ObjectStore, retention: Retention = SHORT, **changed: object) -> Collected:
    """Collect as if nothing were ever read slowly: the protocol alone has to protect what is needed."""
    return collect(store, WORKLOAD, retention, **({"grace": NONE} | changed))  # type: ignore[arg-type]


def blob_keys(store: ObjectStore) -> set[str]:
    return {meta.key.rpartition("/")[2] for meta in store.list("retail/blobs")}


def digests(*contents: bytes) -> set[str]:
    return {digest_of(content) for content in contents}


def test_what_is_superseded_goes_and_what_is_shared_stays(store: ObjectStore, tmp_path: Path):
    """Of four snapshots the current one and the one before stay, with every file that they, or other assets, hold."""
    landing, raw = snapshots(store), snapshots(store, "raw_data")
    for content in (b"1", b"2", b"3", b"4"):
        commit(landing, {"a": content, "shared": b"shared"}, tmp_path)
    commit(raw, {"a": b"1"}, tmp_path)
    report = sweep(store)
    assert blob_keys(store) == digests(b"1", b"3", b"4", b"shared")
    assert (report.removed_snapshots, report.removed_blobs, report.removed_bytes) == (2, 1, 1)
    assert (report.kept_snapshots, report.kept_blobs, report.kept_bytes) == (3, 4, 9)
    assert current_contents(landing) == {"a": b"4", "shared": b"shared"}
    again = sweep(store)
    assert (again.removed_snapshots, again.removed_blobs) == (0, 0)
    assert list(store.list("retail/intents")) == []


def test_retention_keeps_the_newest_and_the_young(store: ObjectStore, tmp_path: Path):
    """A snapshot stays while it is among the newest or young enough, each rule by itself."""
    landing = snapshots(store)
    for number in range(6):
        commit(landing, {"a": bytes([number])}, tmp_path)
    assert sweep(store, Retention(keep_last=1, keep_days=3)).removed_snapshots == 0
    assert sweep(store, Retention(keep_last=4, keep_days=3), now=LATER).removed_snapshots == 2
    assert sweep(store, Retention(keep_last=1, keep_days=3), now=LATER).kept_snapshots == 2


def test_a_snapshot_stays_for_its_readers(store: ObjectStore, tmp_path: Path):
    """What was superseded within the grace period stays, however many snapshots followed, and goes after it."""
    landing = snapshots(store)
    for number in range(5):
        commit(landing, {"a": bytes([number])}, tmp_path)
    assert sweep(store, grace=timedelta(hours=1)).removed_snapshots == 0
    assert sweep(store, grace=timedelta(hours=1), now=LATER).removed_snapshots == 3


def test_what_an_endpoint_serves_stays(store: ObjectStore, tmp_path: Path):
    """The packages that endpoints serve or keep for rollback stay, whatever their age."""
    model = snapshots(store, "model")
    served = commit(model, {"a": b"served"}, tmp_path).manifest
    for number in range(4):
        commit(model, {"a": bytes([number])}, tmp_path)
    sweep(store, needed=[served.snapshot_id], now=LATER)
    assert model.verify(model.manifest(served.snapshot_id)) == ()
    sweep(store, now=LATER)
    with pytest.raises(ObjectNotFound):
        model.manifest(served.snapshot_id)


def test_the_origin_of_a_current_snapshot_stays(store: ObjectStore, tmp_path: Path):
    """Raw data that the current features were computed from stays while raw data goes on, for training reads both."""
    raw, features = snapshots(store, "raw_data"), snapshots(store, "feature_snapshot")
    origin = commit(raw, {"a": b"origin"}, tmp_path).manifest
    commit(features, {"f": b"f"}, tmp_path, parents={"raw_data": origin.snapshot_id})
    for number in range(4):
        commit(raw, {"a": bytes([number])}, tmp_path)
    sweep(store, now=LATER)
    assert raw.verify(raw.manifest(origin.snapshot_id)) == ()


def test_orphans_go_after_the_grace_period(store: ObjectStore, tmp_path: Path):
    """What a crashed commit left stays for the grace period and goes after it; the current snapshot is untouched."""
    landing = snapshots(store)
    commit(landing, {"a": b"1"}, tmp_path)
    with pytest.raises(Crash):
        commit(snapshots(CrashingStore(store, 3)), {"a": b"1", "b": b"orphan", "c": b"too"}, tmp_path)
    age_leases(store)
    assert sweep(store, grace=timedelta(hours=1)).removed_blobs == 0
    assert sweep(store, grace=timedelta(hours=1), now=LATER).removed_blobs == 2
    assert blob_keys(store) == digests(b"1")
    assert list(store.list("retail/intents")) == []


def age_leases(store: ObjectStore) -> None:
    """Let a year pass for every lease that a dead process left."""
    for meta in [*store.list("retail/intents"), *store.list("retail")]:
        if "/intents/" in meta.key or meta.key.endswith("/collection.json"):
            lease = json.loads(store.get(meta.key)) | {"expires_at": "2025-01-01T00:00:00+00:00"}
            store.put(meta.key, json.dumps(lease).encode())


@pytest.mark.parametrize("suffix", [digest_of(b"new"), "manifests", "current.json"])
def test_a_collection_in_the_middle_of_a_commit(store: ObjectStore, tmp_path: Path, suffix: str):
    """Whenever it runs, old blobs that a commit found, and will name, stay."""
    commit(snapshots(store, "other"), {"a": b"found"}, tmp_path)
    for content in (b"x", b"y", b"z"):
        commit(snapshots(store, "other"), {"a": content}, tmp_path)

    class Watching(RivalStore):
        def write(self, key: str, apply: Callable[[], object]):  # type: ignore[override]
            if self.suffix in key and self.rival is not None:
                rival, self.rival = self.rival, None
                rival()
            return apply()

    watched = Watching(store, suffix, lambda: sweep(store))
    assert digests(b"found") <= blob_keys(store)
    commit(snapshots(watched), {"a": b"found", "b": b"new"}, tmp_path)
    assert watched.rival is None
    assert current_contents(snapshots(store)) == {"a": b"found", "b": b"new"}


def test_going_back_to_a_snapshot_that_would_have_gone(store: ObjectStore, tmp_path: Path):
    """A copy of a superseded snapshot that is stored still keeps manifest and files from a collection meanwhile."""
    source = snapshots(MemoryStore("gcp/europe-west2"))
    old = commit(source, {"a": b"old"}, tmp_path).manifest
    target = snapshots(store, "raw_data")
    replicate(source, target, old, epoch=1)
    for content in (b"1", b"2", b"3"):
        replicate(source, target, commit(source, {"a": content}, tmp_path).manifest, epoch=1)
    raced = RivalStore(store, "current.json", lambda: sweep(store))
    replicate(source, snapshots(raced, "raw_data"), old, epoch=1)
    assert raced.rival is None
    assert current_contents(target) == {"a": b"old"}


def test_a_writer_waits_for_a_collection(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A commit that begins while a collection is under way looks for its blobs when that has ended."""
    commit(snapshots(store, "other"), {"a": b"found"}, tmp_path)
    for content in (b"x", b"y"):
        commit(snapshots(store, "other"), {"a": content}, tmp_path)
    monkeypatch.setattr(intents, "POLL_SECONDS", 0.01)
    marker = WorkloadActivity(store, WORKLOAD).collecting()
    marker.__enter__()
    polls: list[float] = []

    def passing(seconds: float) -> None:
        polls.append(seconds)
        if len(polls) == 3:
            # The collection, which did not see this writer's intent, removes what it was about to find.
            store.delete(blob(b"found"))
            marker.__exit__(None, None, None)

    monkeypatch.setattr(intents, "sleep", passing)
    report = commit(snapshots(store), {"a": b"found"}, tmp_path)
    assert len(polls) == 3
    assert report.written_files == 1
    assert current_contents(snapshots(store)) == {"a": b"found"}


def test_a_dead_collection_holds_nobody_up_for_long(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The marker of a collection that died is ignored when it was not renewed for its lease, and taken over later."""
    commit(snapshots(store), {"a": b"1"}, tmp_path)
    with pytest.raises(Crash):
        sweep(CrashingStore(store, 0, applied=True))
    monkeypatch.setattr(intents, "COLLECTION_SECONDS", 0.3)
    commit(snapshots(store), {"a": b"2"}, tmp_path)
    with pytest.raises(TransientError, match="another collection is under way"):
        sweep(store)
    age_leases(store)
    sweep(store)
    assert current_contents(snapshots(store)) == {"a": b"2"}


def test_a_writer_taken_for_dead_starts_again(store: ObjectStore, tmp_path: Path):
    """A commit whose intent lapsed and was removed meanwhile stores no manifest; run again, it completes."""
    landing = snapshots(store)
    commit(landing, {"a": b"1"}, tmp_path)

    def sleep_too_long() -> None:
        age_leases(store)
        sweep(store)

    raced = RivalStore(store, digest_of(b"2"), sleep_too_long)
    with pytest.raises(PreconditionFailed):
        commit(snapshots(raced), {"a": b"2"}, tmp_path)
    assert current_contents(landing) == {"a": b"1"}
    commit(landing, {"a": b"2"}, tmp_path)
    assert current_contents(landing) == {"a": b"2"}


def test_nothing_is_removed_for_lack_of_information(store: ObjectStore, tmp_path: Path):
    """With an unreadable pointer, manifest or intent nothing at all is removed, and the error says what to look at."""
    landing = snapshots(store)
    for content in (b"1", b"2", b"3"):
        manifest = commit(landing, {"a": content}, tmp_path).manifest
    before = blob_keys(store)
    for key in (
        f"retail/landing/manifests/{manifest.snapshot_id}.json",
        "retail/landing/current.json",
        "retail/intents/broken.json",
    ):
        sound = store.get(key) if "broken" not in key else None
        store.put(key, b"{")
        with pytest.raises(CorruptSnapshot, match=key):
            sweep(store)
        store.delete(key) if sound is None else store.put(key, sound)
    assert blob_keys(store) == before
    assert sweep(store).removed_snapshots == 1
