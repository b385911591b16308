"""Two digest algorithms side by side: what was stored under the former one stays good, and neither is taken for the other."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.digest import DIGEST_ALGORITHMS, DigestAlgorithm
from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.retention import Retention
from mcml_assets.domain.snapshot import Manifest, Pointer, SnapshotFile, canonical_json
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.retention import collect
from mcml_assets.snapshots.scrub import scrub
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.clouds.faults import flipped
from mcml_assets_tests.snapshots.committing import WORKLOAD, blob, commit, contents, current_contents, snapshots
from mcml_assets_tests.snapshots.test_retention import age_leases

# As the first version of the platform stored it, byte by byte.
STORED = (
    '{"annotations":{"contract":"1.0.0"},"code_version":"0.1.0","created_at":"2026-02-01T00:00:00+00:00",'
    '"digest_algorithm":"sha256","epoch":3,"files":['
    '{"digest":"a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e","path":"orders/1.parquet","size":5},'
    '{"digest":"16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4","path":"orders/2.parquet","size":6}],'
    '"format":1,"parents":{"source":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},'
    '"producer":"aws/eu-west-2","row_count":2,"schema":{"orders":{"id":"int64"}},'
    '"sealed_by":"be45e2821c0f056b47def94b4a54341ebfc12df2cd9b3f23c7e62785120259e4",'
    '"snapshot_id":"b6b4e34ada402b4ecac55b0cca4f9bcd7a79c093b37a42a7a73fe13aa37d5021","watermark":"2026-01-31T00:00:00+00:00"}'
)
ID = "b6b4e34ada402b4ecac55b0cca4f9bcd7a79c093b37a42a7a73fe13aa37d5021"
FILES = {"orders/1.parquet": b"first", "orders/2.parquet": b"second"}
FIRST = "retail/blobs/sha256/a7/a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
SECOND = "retail/blobs/sha256/16/16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4"


@pytest.fixture
def store() -> MemoryStore:
    """A bucket as the first version left it."""
    store = MemoryStore("aws/eu-west-2")
    store.put(FIRST, b"first")
    store.put(SECOND, b"second")
    store.put(f"retail/landing/manifests/{ID}.json", STORED.encode())
    store.put("retail/landing/current.json", Pointer(ID, 3, "2026-02-01T00:00:00+00:00").to_json())
    return store


def test_a_snapshot_of_the_former_algorithm_is_read_checked_and_copied(store: MemoryStore, tmp_path: Path):
    """It keeps its id, its keys and its bytes in every location, and damage to it is noticed as ever."""
    landing, standby = snapshots(store), MemoryStore("azure/uksouth")
    manifest = landing.manifest(ID)
    assert (manifest.snapshot_id, manifest.to_json().decode()) == (ID, STORED)
    assert contents(landing, manifest) == FILES
    assert {name: path.read_bytes() for name, path in landing.fetch(manifest, tmp_path).items()} == FILES
    raw_data = snapshots(standby, "raw_data")
    assert replicate(landing, raw_data, manifest, epoch=3).files == 2
    assert {meta.key for meta in standby.list("retail/blobs")} == {FIRST, SECOND}
    assert (raw_data.current(), current_contents(raw_data)) == (manifest, FILES)
    standby.put(SECOND, b"sEcond")
    (finding,) = scrub(standby, WORKLOAD, [manifest], [store], days=1).findings
    assert finding.digest == manifest.file("orders/2.parquet").digest
    assert finding.verdict.sound == ("aws/eu-west-2",)
    assert replicate(landing, raw_data, manifest, epoch=3, verify=True).files == 1
    assert current_contents(raw_data) == FILES


def test_a_commit_reuses_files_of_the_former_algorithm(store: MemoryStore, tmp_path: Path):
    """They are stored once more under the new one, once; and the former blobs go with the last snapshot that names them."""
    landing = snapshots(store)
    kept = {file.path: file for file in landing.manifest(ID).files}
    first = commit(landing, {**kept, "orders/3.parquet": b"third"}, tmp_path, epoch=3)
    assert (first.written_files, first.manifest.digest_algorithm) == (3, "blake3")
    assert current_contents(landing) == {**FILES, "orders/3.parquet": b"third"}
    assert {FIRST, SECOND, blob(b"first"), blob(b"second"), blob(b"third")} == {meta.key for meta in store.list("retail/blobs")}
    kept = {file.path: file for file in first.manifest.files}
    second = commit(landing, {**kept, "orders/4.parquet": b"fourth"}, tmp_path, epoch=3)
    assert (second.written_files, second.reused_files) == (1, 3)
    age_leases(store)
    collect(store, WORKLOAD, Retention(keep_last=2, keep_days=0), grace=timedelta(0))
    assert FIRST not in {meta.key for meta in store.list("retail/blobs")}
    assert contents(landing, first.manifest) == {**FILES, "orders/3.parquet": b"third"}


def test_a_damaged_file_of_the_former_algorithm_is_not_digested_anew(store: MemoryStore, tmp_path: Path):
    """What decayed would be sound for ever under a new digest: it is refused, and the former snapshot stays current."""
    landing = snapshots(store)
    kept = {file.path: file for file in landing.manifest(ID).files}
    store.put(FIRST, flipped(b"first"))
    with pytest.raises(CorruptSnapshot, match=r"'orders/1.parquet' is damaged; expected sha256 a7937b"):
        commit(landing, {**kept, "orders/3.parquet": b"third"}, tmp_path, epoch=3)
    assert landing.current() == landing.manifest(ID)


@pytest.mark.parametrize("algorithm", DIGEST_ALGORITHMS)
def test_every_algorithm_notices_damage(tmp_path: Path, algorithm: DigestAlgorithm):
    """With either, nothing damaged, short or long is accepted, small or streamed; what is whole has one id everywhere."""
    large = bytes(3 * 1024 * 1024) + b"end"
    source, target = MemoryStore("aws/eu-west-2"), MemoryStore("gcp/europe-west2")
    landing, raw_data = snapshots(source, digests=algorithm), snapshots(target, "raw_data")
    manifest = commit(landing, {"small": b"small", "large": large}, tmp_path).manifest
    assert manifest.digest_algorithm == algorithm
    for content in (b"small", large):
        key = blob(content, algorithm)
        for damaged in (flipped(content), content[:-1], content + b"x"):
            source.put(key, damaged)
            with pytest.raises(CorruptSnapshot, match=rf"is damaged; expected {algorithm} "):
                replicate(landing, raw_data, manifest, epoch=1)
            assert raw_data.current() is None
        source.put(key, content)
    replicate(landing, raw_data, manifest, epoch=1)
    assert current_contents(raw_data) == {"small": b"small", "large": large}
    again = commit(snapshots(target, "landing", algorithm), {"small": b"small", "large": large}, tmp_path)
    assert (again.manifest.snapshot_id, again.written_files) == (manifest.snapshot_id, 0)


def mislabelled(manifest: Manifest) -> Manifest:
    """The same digests under another algorithm's name, which nobody computed."""
    return replace(
        manifest, digest_algorithm="blake3", files=tuple(replace(file, algorithm="blake3") for file in manifest.files)
    )


@pytest.mark.parametrize("known", [True, False], ids=["the target holds the true one", "the target is empty"])
def test_a_digest_is_never_taken_for_one_of_another_algorithm(store: MemoryStore, known: bool):
    """Bytes that are stored under one algorithm's digest are not those that the same digits of another one would name."""
    landing, raw_data = snapshots(store), snapshots(MemoryStore("azure/uksouth"), "raw_data")
    true = landing.manifest(ID)
    if known:
        replicate(landing, raw_data, true, epoch=3)
    wrong = mislabelled(true)
    assert wrong.snapshot_id != true.snapshot_id
    assert {file.blob for file in wrong.files}.isdisjoint(file.blob for file in true.files)
    with pytest.raises(CorruptSnapshot, match=r"is missing; expected blake3 (a7937b|16367a)"):
        replicate(landing, raw_data, wrong, epoch=3)
    assert raw_data.current() == (true if known else None)


def test_one_manifest_has_one_algorithm(store: MemoryStore):
    """Files whose digests are of different algorithms cannot be put into one manifest."""
    true = snapshots(store).manifest(ID)
    with pytest.raises(ValueError, match="a manifest of sha256 digests cannot name files by their blake3"):
        replace(true, files=(*true.files, SnapshotFile("new", 1, "0" * 64, "blake3")))


@pytest.mark.parametrize("other", ["md5", "SHA256", 7, None, ["blake3"]])
def test_an_unknown_algorithm_is_told(store: MemoryStore, other: object):
    """A manifest of an algorithm that this version does not know says so, where it is, and what would be right."""
    found = json.loads(STORED) | {"digest_algorithm": other}
    del found["sealed_by"]
    store.put(f"retail/landing/manifests/{ID}.json", canonical_json(found))
    told = rf"aws/eu-west-2: .*{ID}\.json: .*digest algorithm .* is unknown; this version knows blake3 and sha256; if a newer"
    with pytest.raises(CorruptSnapshot, match=told):
        SnapshotStore(store, WORKLOAD, "landing").current()
