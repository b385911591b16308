"""A store that fails on purpose fails as a cloud does, only where and while it is told to, and is itself again after."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.clouds.faulty import STALE_BYTES, FaultyStore
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    McmlError,
    ObjectNotFound,
    PreconditionFailed,
    TransientError,
)
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets_tests.clouds.faults import WrappedStore

HERE = "aws/eu-west-2"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTENT = bytes(range(256)) * 40


class Rig:
    """A faulty store in memory with its faults, its clock, and the seconds it slept."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.now = NOW
        self.slept: list[float] = []
        self.inner = MemoryStore(HERE)
        self.store = FaultyStore(self.inner, lambda: self.faults, lambda: self.now, self.slept.append)

    def set(self, kind: FaultKind, target: str = HERE, **changes: Any) -> Fault:
        fault = Fault(target, kind, self.now, self.now + timedelta(minutes=10), **changes)
        self.faults.append(fault)
        return fault


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.inner.put("a", CONTENT)
    return rig


def requests(store: FaultyStore) -> dict[str, Any]:
    """Every request of the Protocol, to be called."""
    etag = store.inner.head("a").etag
    return {
        "get": lambda: store.get("a"),
        "get_with_meta": lambda: store.get_with_meta("a"),
        "get_range": lambda: store.get_range("a", 0, 1),
        "stream": lambda: store.stream("a"),
        "head": lambda: store.head("a"),
        "list": lambda: list(store.list("")),
        "put": lambda: store.put("new", b"1"),
        "put_if_absent": lambda: store.put_if_absent("newer", b"1"),
        "put_if_match": lambda: store.put_if_match("a", b"1", etag),
        "delete": lambda: store.delete("a"),
    }


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        (FaultKind.OUTAGE, LocationUnavailable, "no answer: connection refused"),
        (FaultKind.CREDENTIALS_REVOKED, CredentialsRejected, "403 InvalidAccessKeyId"),
        (FaultKind.THROTTLING, TransientError, "503 SlowDown"),
        (FaultKind.CLOCK_SKEW, ConfigurationError, "403 RequestTimeTooSkewed"),
    ],
)
def test_refusals_are_those_of_a_cloud(rig: Rig, kind: FaultKind, error: type[McmlError], said: str):
    """Every request is refused with the very error of a real cloud, and nothing is written; the traceback names the fault."""
    fault = rig.set(kind)
    for request in requests(rig.store).values():
        with pytest.raises(error, match=rf"{HERE}.*{said}") as caught:
            request()
        assert type(caught.value) is error
        assert fault.id in " ".join(caught.value.__notes__)
    assert [(meta.key, rig.inner.get(meta.key)) for meta in rig.inner.list("")] == [("a", CONTENT)]


def test_only_the_target_fails(rig: Rig):
    """A fault of another location or cloud, of the future, or for another key, changes nothing here."""
    rig.set(FaultKind.OUTAGE, target="gcp")
    rig.set(FaultKind.OUTAGE, target="aws/eu-west-1")
    rig.set(FaultKind.OUTAGE, parameters={"key": "b*"})
    rig.faults.append(Fault(HERE, FaultKind.OUTAGE, NOW + timedelta(hours=1), NOW + timedelta(hours=2)))
    for request in requests(rig.store).values():
        request()


def test_a_partition_parts_two_sides_and_nobody_else(rig: Rig):
    """Who works for the other side does not reach the bucket, either way round; the third and the control plane do."""
    rig.set(FaultKind.PARTITION, target="aws", parameters={"other": "gcp/europe-west2"})
    rig.set(FaultKind.PARTITION, target="azure", parameters={"other": HERE})
    parted = {}
    for asker in ("gcp/europe-west2", "azure/uksouth", "gcp/us-east4", "aws/us-east-1", HERE, None):
        store = FaultyStore(rig.inner, lambda: rig.faults, lambda: rig.now, asker=asker)
        try:
            store.get("a")
        except LocationUnavailable as error:
            parted[asker] = str(error)
    assert set(parted) == {"gcp/europe-west2", "azure/uksouth"}
    assert "no route from gcp/europe-west2" in parted["gcp/europe-west2"]


def test_an_expired_fault_is_over_without_anybody_clearing_it(rig: Rig):
    """From the second on in which a fault expires, requests pass again."""
    rig.set(FaultKind.OUTAGE)
    with pytest.raises(LocationUnavailable):
        rig.store.get("a")
    rig.now += timedelta(minutes=10)
    assert rig.store.get("a") == CONTENT


def test_without_faults_a_request_asks_once(rig: Rig):
    """While nothing is set, a request costs one look at the plan, and reaches the store inside as it is."""
    asked = 0

    def faults() -> tuple[Fault, ...]:
        nonlocal asked
        asked += 1
        return ()

    store = FaultyStore(rig.inner, faults)
    for number, request in enumerate(requests(store).values(), start=1):
        request()
        assert asked == number
    assert store.location == HERE


def test_latency_and_jitter_are_waited_for(rig: Rig):
    """Each answer comes later by the latency and at most the jitter, which differs from request to request."""
    rig.set(FaultKind.LATENCY, parameters={"ms": 100, "jitter_ms": 50})
    for _ in range(20):
        rig.store.head("a")
    assert len(rig.slept) == 20
    assert all(0.1 <= seconds < 0.15 for seconds in rig.slept)
    assert len(set(rig.slept)) > 10


def test_bytes_take_the_time_that_the_bandwidth_says(rig: Rig, tmp_path: Path):
    """Whatever way bytes are read or written, they take their number by the bandwidth in seconds."""
    rig.set(FaultKind.BANDWIDTH, parameters={"bytes_per_second": 1000})
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    etag = rig.inner.head("a").etag
    transfers = [
        lambda: rig.store.get("a"),
        lambda: rig.store.get_with_meta("a"),
        lambda: list(rig.store.stream("a", chunk_size=1000)),
        lambda: rig.store.put("b", CONTENT),
        lambda: rig.store.put("b", file),
        lambda: rig.store.put("b", iter([CONTENT[:100], CONTENT[100:]])),
        lambda: rig.store.put_if_absent("c", CONTENT),
        lambda: rig.store.put_if_match("a", CONTENT, etag),
    ]
    for transfer in transfers:
        rig.slept.clear()
        transfer()
        assert sum(rig.slept) == pytest.approx(len(CONTENT) / 1000)
    assert rig.inner.get("b") == CONTENT


@given(st.binary(min_size=1, max_size=4000), st.integers(0, 2**32), st.integers(1, 500))
def test_one_bit_is_flipped_in_silence(content: bytes, seed: int, chunk_size: int):
    """A read under `flipped_bit` gives the content with exactly one other bit, and leaves what is stored as it is."""
    rig = Rig()
    rig.inner.put("a", content)
    rig.set(FaultKind.FLIPPED_BIT, seed=seed)
    streamed = b"".join(rig.store.stream("a", chunk_size))
    for read in (rig.store.get("a"), rig.store.get_with_meta("a")[0], rig.store.get_range("a", 0, len(content)), streamed):
        assert len(read) == len(content)
        assert sum((one ^ other).bit_count() for one, other in zip(read, content, strict=True)) == 1
    assert rig.inner.get("a") == content


@given(st.binary(min_size=1, max_size=4000), st.floats(0, 0.999), st.integers(1, 500))
def test_a_read_is_cut_in_silence(content: bytes, keep: float, chunk_size: int):
    """A read under `truncated_read` gives a beginning of the content, never all of it, and no error."""
    rig = Rig()
    rig.inner.put("a", content)
    rig.set(FaultKind.TRUNCATED_READ, parameters={"keep": keep})
    for read in (rig.store.get("a"), b"".join(rig.store.stream("a", chunk_size))):
        assert content.startswith(read)
        assert len(read) < len(content)


@pytest.mark.parametrize("operation", ["put", "put_if_absent", "put_if_match", "delete"])
def test_a_write_happens_whose_answer_is_lost(rig: Rig, operation: str):
    """The writer gets an error that allows a retry, and the write is there."""
    rig.set(FaultKind.LOST_ACKNOWLEDGEMENT)
    with pytest.raises(TransientError, match="before the answer came"):
        requests(rig.store)[operation]()
    rig.faults.clear()
    expected = {"put": ["a", "new"], "put_if_absent": ["a", "newer"], "put_if_match": ["a"], "delete": []}[operation]
    assert [meta.key for meta in rig.store.list("")] == expected
    assert operation != "put_if_match" or rig.store.get("a") == b"1"


def test_a_write_that_is_refused_does_not_happen(rig: Rig):
    """A conditional put that loses says so, also where its acknowledgement would have been lost."""
    rig.set(FaultKind.LOST_ACKNOWLEDGEMENT)
    with pytest.raises(PreconditionFailed):
        rig.store.put_if_absent("a", b"1")
    assert rig.inner.get("a") == CONTENT


@pytest.mark.parametrize("operation", ["put", "put_if_absent", "put_if_match", "delete"])
def test_an_acknowledged_write_never_happens(rig: Rig, operation: str, tmp_path: Path):
    """The writer is told a size and a version as ever, and what is stored is what was; conditions are judged all the same."""
    rig.set(FaultKind.LOST_WRITE)
    requests(rig.store)[operation]()
    file = tmp_path / "file"
    file.write_bytes(b"123")
    for data in (b"123", file, iter([b"1", b"23"])):
        assert rig.store.put("new", data).size == 3
    with pytest.raises(PreconditionFailed):
        rig.store.put_if_absent("a", b"1")
    with pytest.raises(PreconditionFailed):
        rig.store.put_if_match("a", b"1", "another")
    assert [(meta.key, rig.inner.get(meta.key)) for meta in rig.inner.list("")] == [("a", CONTENT)]


def test_a_stale_reader_sees_what_it_saw(rig: Rig):
    """While reads are stale, an object reads as it was first seen, and a missing one as missing; writes see the truth."""
    rig.set(FaultKind.STALE_READ)
    first = rig.store.head("a")
    with pytest.raises(ObjectNotFound):
        rig.store.get("later")
    for key in ("a", "later", "own"):
        (rig.store if key == "own" else rig.inner).put(key, b"new")
    assert rig.store.get("a") == CONTENT
    assert rig.store.get_with_meta("a") == (CONTENT, first)
    assert rig.store.get_range("a", 1, 3) == CONTENT[1:3]
    assert b"".join(rig.store.stream("a")) == CONTENT
    for key in ("later", "own"):
        with pytest.raises(ObjectNotFound, match=rf"{HERE} has no object '{key}'"):
            rig.store.head(key)
    with pytest.raises(PreconditionFailed):
        rig.store.put_if_match("a", b"newer", first.etag)
    rig.faults.clear()
    assert [rig.store.get(key) for key in ("a", "later", "own")] == [b"new"] * 3


def test_large_objects_are_not_kept_for_stale_readers(rig: Rig):
    """What is larger than any pointer is read as it is: a stale reader must not fill the memory with blobs."""
    rig.inner.put("large", bytes(STALE_BYTES + 1))
    rig.set(FaultKind.STALE_READ)
    assert rig.store.head("large").size == STALE_BYTES + 1
    rig.store.put("large", b"new")
    assert rig.store.get("large") == b"new"


def test_a_transfer_ends_when_the_outage_begins(rig: Rig):
    """An outage that begins between two chunks ends the transfer there, in both directions, and nothing is written."""

    def source() -> Iterator[bytes]:
        yield CONTENT
        rig.set(FaultKind.OUTAGE)
        yield CONTENT

    with pytest.raises(LocationUnavailable):
        rig.store.put("b", source())
    rig.faults.clear()
    assert [meta.key for meta in rig.store.list("")] == ["a"]
    chunks = rig.store.stream("a", chunk_size=100)
    next(chunks)
    rig.set(FaultKind.OUTAGE)
    with pytest.raises(LocationUnavailable):
        list(chunks)


class DatedStore(WrappedStore):
    """A store that tells when objects were stored, as real ones do."""

    def head(self, key: str) -> ObjectMeta:
        return replace(self.inner.head(key), modified=NOW)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        return (replace(meta, modified=NOW) for meta in self.inner.list(prefix))

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        data, meta = self.inner.get_with_meta(key)
        return data, replace(meta, modified=NOW)


def test_a_clock_that_is_a_little_wrong_shifts_times(rig: Rig):
    """Within the 15 minutes that clouds allow, requests pass, and every time that is told is off by the skew."""
    rig.set(FaultKind.CLOCK_SKEW, parameters={"seconds": -600})
    store = FaultyStore(DatedStore(rig.inner), lambda: rig.faults, lambda: NOW)
    told = [store.head("a"), store.get_with_meta("a")[1], *store.list("")]
    assert [meta.modified for meta in told] == [NOW - timedelta(minutes=10)] * 3


def test_the_same_requests_meet_the_same_faults():
    """Two stores with the same seed fail at the same requests, another seed fails at others."""

    def failures(seed: int) -> list[bool]:
        rig = Rig()
        rig.inner.put("a", CONTENT)
        rig.set(FaultKind.OUTAGE, probability=0.4, seed=seed)
        found = []
        for _ in range(60):
            try:
                rig.store.head("a")
            except LocationUnavailable:
                found.append(True)
            else:
                found.append(False)
        return found

    assert failures(1) == failures(1) != failures(2)
