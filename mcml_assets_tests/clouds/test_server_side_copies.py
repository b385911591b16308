"""A provider copies between two of its buckets by itself where the topology lets it, and no such copy is believed unproved."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from mcml_assets.clouds.capabilities import MIB, Capability, capabilities
from mcml_assets.clouds.faulty import FaultyCloudStore
from mcml_assets.clouds.interfaces import CloudStore, ObjectStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.egress import EgressPrice
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.faults import APPLIES, FROM_ANYWHERE, Fault, FaultKind
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.topology import STORE_KINDS, Location
from mcml_assets.emulation.servers import Emulators
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.clouds.emulated_buckets import make_bucket
from mcml_assets_tests.clouds.faults import flipped
from mcml_assets_tests.clouds.test_conformance import AWKWARD_KEYS
from mcml_assets_tests.clouds.test_uploads import content
from mcml_assets_tests.snapshots.committing import WORKLOAD, commit, current_contents, snapshots

pytestmark = pytest.mark.live

HERE, THERE = "aws/eu-west-2", "aws/eu-west-1"
COPYING = [kind for kind in STORE_KINDS if Capability.COPY_BETWEEN_BUCKETS in capabilities(kind)]
FORMER = {"a": b"one", "kept": b"kept"}
NEXT = {"a": b"changed", "b/c": b"two", "empty": b"", "kept": b"kept"}
NOW = datetime.now(UTC)


@dataclass
class Pair:
    """Two buckets of one cloud, and the location of the first one, which may read the second."""

    here: CloudStore
    there: ObjectStore
    location: Location

    def without_leave(self) -> CloudStore:
        """The first bucket, as a location whose credentials may read a bucket that is not there, or is not theirs."""
        origin = replace(self.location.copies_from[THERE], bucket="mcml-somebody-elses")
        return opened(replace(self.location, copies_from={THERE: origin}))


def opened(location: Location) -> CloudStore:
    store = open_store(location, Settings(topology=Path("production.yaml")))  # without a plan of faults around it
    assert isinstance(store, CloudStore)
    return store


@pytest.fixture(params=COPYING)
def pair(request: pytest.FixtureRequest, emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> Pair:
    origin = replace(make_bucket(request.param, emulators, monkeypatch.setenv), region="eu-west-1")
    location = make_bucket(request.param, emulators, monkeypatch.setenv)
    location = replace(location, copies_from={THERE: origin})
    return Pair(opened(location), opened(origin), location)


class Unread:
    """A source of which nothing may be read but pointer and manifest, as bytes that pass here would be."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.streamed: list[str] = []

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def stream(self, key: str, chunk_size: int = 8 * MIB) -> Iterator[bytes]:
        self.streamed.append(key)
        return self.store.stream(key, chunk_size)


def landing(store: ObjectStore, price: EgressPrice | None = None) -> SnapshotStore:
    return SnapshotStore(store, WORKLOAD, "landing", price)


def raw_data(store: ObjectStore) -> SnapshotStore:
    return snapshots(store, "raw_data")


def landed(pair: Pair, folder: Path) -> Manifest:
    """The manifest of a second snapshot in the bucket that is copied from; the first is copied already, by streams."""
    former = commit(landing(pair.there), FORMER, folder).manifest
    replicate(landing(pair.there), raw_data(opened(replace(pair.location, copies_from={}))), former, epoch=1)
    return commit(landing(pair.there), NEXT, folder).manifest


def faulty(store: CloudStore, kind: FaultKind, target: str = HERE) -> FaultyCloudStore:
    fault = Fault(target, kind, NOW, NOW + timedelta(hours=1), {"operation": "copy_from"})
    return FaultyCloudStore(store, lambda: (fault,), lambda: NOW, lambda seconds: None)


def test_the_copy_is_the_object(pair: Pair):
    """Objects of any size and under any key are the same after the provider copied them, also over another one."""
    for key, data in {**dict.fromkeys(AWKWARD_KEYS, b"1"), "empty": b"", "larger": content(9 * MIB)}.items():
        pair.there.put(key, data)
        pair.here.put(key, b"former")
        pair.here.copy_from(THERE, key, len(data))
        assert pair.here.get(key) == data, key


def test_a_large_object_is_copied_in_parts(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    """Beyond what one request copies, parts are copied, and the object is whole; nothing tells a digest of it."""
    monkeypatch.setattr("mcml_assets.clouds.aws.copying.SINGLE_COPY_BYTES", 8 * MIB)
    monkeypatch.setattr("mcml_assets.clouds.aws.copying.part_size", lambda *_: 5 * MIB)
    monkeypatch.setattr("mcml_assets.clouds.aws.copying.PART_BYTES", 5 * MIB)
    monkeypatch.setattr("mcml_assets.clouds.azure.copying.BLOCK_BYTES", 5 * MIB)
    data = content(13 * MIB)
    pair.there.put("large", data)
    assert pair.here.copy_from(THERE, "large", len(data)) is None
    assert pair.here.get("large") == data


def test_a_missing_source_and_a_closed_one_are_refused(pair: Pair):
    """What is not there, or may not be read, is an error of the platform, and nothing is written."""
    with pytest.raises(ObjectNotFound):
        pair.here.copy_from(THERE, "none", 1)
    pair.there.put("a", b"1")
    with pytest.raises(McmlError):
        pair.without_leave().copy_from(THERE, "a", 1)
    assert list(pair.here.list("")) == []


def test_no_byte_passes_here(pair: Pair, tmp_path: Path):
    """A replication within a provider reads nothing of the source's files; what went so, and what it cost, is told."""
    manifest = landed(pair, tmp_path)
    source = Unread(pair.there)
    report = replicate(
        landing(source, EgressPrice(Decimal("0.02"), "USD")),  # type: ignore[arg-type]
        raw_data(pair.here), manifest, epoch=1,
    )  # fmt: skip
    assert source.streamed == []
    assert (report.files, report.bytes, report.server_side_bytes, report.retried) == (3, 10, 10, 0)
    assert (report.egress_bytes, report.egress_cost) == (10, Decimal("0.02") * 10 / 2**30)
    assert current_contents(raw_data(pair.here)) == NEXT


def test_without_leave_nothing_is_asked_of_the_provider(pair: Pair, tmp_path: Path):
    """Least privilege is the default: where the topology says nothing, every byte is streamed."""
    manifest = landed(pair, tmp_path)
    source = Unread(pair.there)
    alone = opened(replace(pair.location, copies_from={}))
    report = replicate(landing(source), raw_data(alone), manifest, epoch=1)  # type: ignore[arg-type]
    assert (len(source.streamed), report.server_side_bytes) == (3, 0)


def test_a_refused_copy_is_streamed(pair: Pair, tmp_path: Path):
    """Where the provider refuses, the bytes come by the other way, and the copy is the same."""
    manifest = landed(pair, tmp_path)
    report = replicate(landing(pair.there), raw_data(pair.without_leave()), manifest, epoch=1)
    assert (report.files, report.bytes, report.server_side_bytes, report.retried) == (3, 10, 0, 0)
    assert current_contents(raw_data(pair.here)) == NEXT


@pytest.mark.parametrize(
    "damage",
    [lambda data: flipped(data) if data else data, lambda data: data[:-1], lambda data: data + b"x"],
    ids=["bit", "cut", "more"],
)
def test_a_source_that_decayed_is_not_copied(pair: Pair, tmp_path: Path, damage: Callable[[bytes], bytes]):
    """What the provider copies faithfully can still be wrong: it is refused, and comes from a location that has it whole."""
    manifest = landed(pair, tmp_path)
    third = open_store(pair.location, Settings(home=tmp_path))
    sound = commit(SnapshotStore(third, "elsewhere", "landing"), NEXT, tmp_path)
    helper = SnapshotStore(third, "elsewhere", "landing")
    assert sound.manifest.snapshot_id == manifest.snapshot_id
    key = landing(pair.there).blobs.key(manifest.file("a"))
    pair.there.put(key, damage(b"changed"))
    report = replicate(landing(pair.there), raw_data(pair.here), manifest, epoch=1, others=[helper])
    assert current_contents(raw_data(pair.here)) == NEXT
    # Azure copies as many bytes as there should be, and those are right.
    of_the_beginning = (0, 10) if damage(b"") and pair.location.store.kind == "azure" else (3, 3)
    assert (report.retried, report.server_side_bytes) == of_the_beginning


@pytest.mark.parametrize("kind", [kind for kind in FROM_ANYWHERE if "copy_from" in APPLIES[kind]])
@pytest.mark.parametrize("target", [HERE, THERE], ids=["target", "source"])
def test_every_fault_of_a_copy_by_the_provider(pair: Pair, tmp_path: Path, kind: FaultKind, target: str):
    """Whatever strikes such a copy, at either side: it is streamed after all, and the next snapshot is whole and current."""
    manifest = landed(pair, tmp_path)
    report = replicate(landing(pair.there), raw_data(faulty(pair.here, kind, target)), manifest, epoch=1)
    assert current_contents(raw_data(pair.here)) == NEXT
    assert raw_data(pair.here).verify(raw_data(pair.here).manifest(str(_previous(pair)))) == ()
    struck = {FaultKind.LATENCY: 10, FaultKind.FLIPPED_BIT: 0}.get(kind, 0)
    assert report.server_side_bytes == struck
    # A copy that is not there, or reads as something else, is proved wrong, and each file is done again.
    assert report.retried == {FaultKind.FLIPPED_BIT: 2, FaultKind.LOST_WRITE: 3}.get(kind, 0)


def _previous(pair: Pair) -> str | None:
    pointer = raw_data(pair.here).current_pointer()
    assert pointer is not None
    return pointer.previous


def test_what_a_dead_process_had_copied_is_not_believed(pair: Pair, tmp_path: Path):
    """A process that dies between a wrong copy and its proof leaves a blob of the right size: the next run reads it."""
    manifest = landed(pair, tmp_path)
    key = raw_data(pair.here).blobs.key(manifest.file("a"))
    pair.here.put(key, flipped(b"changed"))
    report = replicate(landing(pair.there), raw_data(pair.here), manifest, epoch=1)
    assert report.files == 3
    assert current_contents(raw_data(pair.here)) == NEXT


class Told:
    """The first bucket, behind a provider that tells a digest of what it stored; it counts what is read back."""

    def __init__(self, store: CloudStore, told: str) -> None:
        self.store, self.told, self.streamed = store, told, 0

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        self.store.copy_from(location, key, size)
        return self.told

    def stream(self, key: str, chunk_size: int = 8 * MIB) -> Iterator[bytes]:
        self.streamed += 1
        return self.store.stream(key, chunk_size)


def test_a_digest_that_the_provider_computed_is_the_proof(pair: Pair, tmp_path: Path):
    """Where it is of the manifest's algorithm nothing is read back; a wrong one is believed as well, and the bytes streamed."""
    source = snapshots(pair.there, digests="sha256")
    for data, told, server_side in ((b"right", b"right", 5), (b"wrong", b"other", 0)):
        manifest = commit(source, {"a": data}, tmp_path).manifest
        bucket = Told(pair.here, sha256(told).hexdigest())
        report = replicate(landing(pair.there), raw_data(bucket), manifest, epoch=1)  # type: ignore[arg-type]
        assert (bucket.streamed, report.server_side_bytes) == (0, server_side)
        assert current_contents(raw_data(pair.here)) == {"a": data}


def test_a_digest_of_another_algorithm_proves_nothing(pair: Pair, tmp_path: Path):
    """The provider's SHA-256 says nothing about a manifest of BLAKE3 digests: the copy is read where it is."""
    manifest = commit(landing(pair.there), {"a": b"right"}, tmp_path).manifest
    bucket = Told(pair.here, sha256(b"right").hexdigest())
    report = replicate(landing(pair.there), raw_data(bucket), manifest, epoch=1)  # type: ignore[arg-type]
    assert (bucket.streamed, report.server_side_bytes) == (1, 5)


@pytest.mark.parametrize("pair", ["s3"], indirect=True)
def test_s3_tells_the_digest_of_what_it_stored(pair: Pair):
    """The answer to a copy has the SHA-256 of its bytes; it is relied on at AWS itself, and at no other address."""
    from mcml_assets.clouds.aws.client import s3_client
    from mcml_assets.clouds.aws.copying import stored_digest
    from mcml_assets.clouds.aws.credentials import credential_provider

    pair.there.put("a", b"content")
    client = s3_client(pair.location, credential_provider(pair.location)())
    source = {"Bucket": pair.location.copies_from[THERE].bucket, "Key": "a"}
    answer = client.copy_object(CopySource=source, Bucket=pair.location.bucket, Key="a", ChecksumAlgorithm="SHA256")
    assert stored_digest(answer) == sha256(b"content").hexdigest()
    assert stored_digest(client.copy_object(CopySource=source, Bucket=pair.location.bucket, Key="b")) is None
    assert pair.here.copy_from(THERE, "a", 7) is None


@pytest.mark.parametrize("store_name", COPYING)
def test_a_location_may_read_no_other(emulators: Emulators, store_name: str, monkeypatch: pytest.MonkeyPatch):
    """Credentials of one location open its own bucket only: a copy that the topology promises without leave is refused."""
    for name, value in emulators.environment.items():
        monkeypatch.setenv(name, value)
    own, other = [one for one in emulators.topology.locations.values() if one.store.kind == store_name][:2]
    open_store(other, Settings()).put("mine", b"1")
    with pytest.raises(McmlError):
        opened(replace(own, copies_from={other.key: other})).copy_from(other.key, "mine", 1)
