"""What every object store promises about large objects and old versions, whichever cloud it is in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from mcml_assets.clouds.capabilities import MIB, Capability, capabilities
from mcml_assets.clouds.interfaces import CloudStore, ObjectStore, VersionedStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import LocationUnavailable, ObjectNotFound
from mcml_assets.domain.retention import Retention
from mcml_assets.domain.topology import STORE_KINDS
from mcml_assets.emulation.servers import Emulators
from mcml_assets.snapshots.retention import collect
from mcml_assets_tests.clouds.answering import Service, answering
from mcml_assets_tests.clouds.emulated_buckets import anonymous_location, make_bucket, s3_client, without_bucket
from mcml_assets_tests.ports import free_port_range

VERSIONED = [pytest.param(kind, marks=pytest.mark.live) for kind in STORE_KINDS if Capability.VERSIONING in capabilities(kind)]
PATTERN = bytes(range(251))
SINGLE_PUT_BYTES = 8 * MIB


def content(size: int, first: int = 0) -> bytes:
    """Bytes whose period divides no part, so that parts in a wrong order are seen."""
    return (bytes([first]) + PATTERN * (size // len(PATTERN) + 1))[:size]


def pieces(data: bytes, size: int = 3_000_000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.fixture(autouse=True)
def low_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes in one request is small here, so that large objects are too, and the suite is quick."""
    monkeypatch.setattr("mcml_assets.clouds.remote_store.SINGLE_PUT_BYTES", SINGLE_PUT_BYTES)


@pytest.mark.parametrize("beyond", [-1, 0, 1, 25 * MIB])
def test_an_object_is_the_same_below_and_above_the_threshold(store: ObjectStore, tmp_path: Path, beyond: int):
    """Bytes, a file and an iterator give the same object in one request and in parts, with its size and its version."""
    data = content(SINGLE_PUT_BYTES + beyond)
    file = tmp_path / "content"
    file.write_bytes(data)
    for written in (data, file, pieces(data)):
        meta = store.put("large/object", written)
        assert (meta, meta.size) == (store.head("large/object"), len(data))
        assert store.get("large/object") == data
        edge = (SINGLE_PUT_BYTES - 2, SINGLE_PUT_BYTES + 2)
        assert store.get_range("large/object", *edge) == data[edge[0] : edge[1]]


def test_large_writers_of_one_key_do_not_mix(store: ObjectStore):
    """When large streams of one key end in any order, all succeed, and the object is one of them, whole."""
    versions = [content(20 * MIB, first) for first in (1, 2, 3)]
    start = Barrier(len(versions))

    def write(data: bytes) -> None:
        start.wait()
        store.put("contended", pieces(data))

    with ThreadPoolExecutor(len(versions)) as writers:
        written = [writers.submit(write, data) for data in versions]
    assert store.get("contended") in versions
    for future in written:
        future.result()


@pytest.mark.parametrize("store_name", VERSIONED, indirect=True)
def test_a_replaced_object_can_be_restored(store: ObjectStore):
    """In a versioned bucket, what was replaced or deleted is read by its version and written back."""
    assert isinstance(store, VersionedStore)
    first = store.put("v/object", b"first")
    second = store.put("v/object", b"second")
    store.delete("v/object")
    assert first.version is not None
    assert second.version is not None
    assert store.get_version("v/object", second.version) == b"second"
    store.put_if_absent("v/object", store.get_version("v/object", first.version))
    assert store.get("v/object") == b"first"
    with pytest.raises(ObjectNotFound):
        store.get_version("v/other", first.version)


@pytest.mark.live
def test_an_interrupted_upload_leaves_no_parts_behind(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """When the source of a large upload fails, the parts that were sent to S3, which nobody could see, are removed."""
    location = make_bucket("s3", emulators, monkeypatch.setenv)

    def source() -> Iterator[bytes]:
        yield from pieces(content(40 * MIB))
        raise FileNotFoundError("the source went away")

    with pytest.raises(FileNotFoundError):
        open_store(location, Settings()).put("interrupted", source())
    assert "Uploads" not in s3_client(emulators).list_multipart_uploads(Bucket=location.bucket)


@pytest.mark.live
def test_what_a_killed_upload_left_goes_with_the_next_collection(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """Parts that S3 keeps, shows to no reader and bills for ever are discarded, and another workload's are not touched."""
    location = make_bucket("s3", emulators, monkeypatch.setenv)
    store, client = open_store(location, Settings()), s3_client(emulators)
    for key in ("shop/blobs/left", "shop/blobs/too", "shopping/blobs/another's"):
        begun = client.create_multipart_upload(Bucket=location.bucket, Key=key)
        client.upload_part(Bucket=location.bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=content(MIB))
    # moto says of each upload that it began in 2010.
    assert collect(store, "shop", Retention(1, 0)).discarded_uploads == 2
    assert [one["Key"] for one in client.list_multipart_uploads(Bucket=location.bucket)["Uploads"]] == [
        "shopping/blobs/another's"
    ]
    missing = open_store(without_bucket(location), Settings())
    assert isinstance(missing, CloudStore)
    with pytest.raises(LocationUnavailable):
        missing.discard_uploads("shop", datetime.now(UTC))


class TwoUploads(Service):
    """S3, with one upload that began just now and one of yesterday."""

    def body(self) -> bytes:
        begun = {"young": datetime.now(UTC), "old": datetime.now(UTC) - timedelta(days=1)}
        uploads = "".join(
            f"<Upload><Key>shop/{key}</Key><UploadId>{key}</UploadId><Initiated>{time.isoformat()}</Initiated></Upload>"
            for key, time in begun.items()
        )
        return f"<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>".encode()


@pytest.mark.live
def test_an_upload_that_is_under_way_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    """What began lately may be somebody's at work: only what is older than was asked for is aborted."""
    with answering("s3", free_port_range(3)) as service:
        service.__class__ = TwoUploads
        store = open_store(anonymous_location("s3", service.url, monkeypatch.setenv), Settings())
        assert isinstance(store, CloudStore)
        assert store.discard_uploads("shop", datetime.now(UTC) - timedelta(hours=12)) == 1
        aborted = [path for method, path, _, _ in service.requests if method == "DELETE"]
        assert [path.partition("?")[0] for path in aborted] == ["/mcml-test/shop/old"]
