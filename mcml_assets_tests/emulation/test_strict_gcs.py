"""What Google documents of Cloud Storage, asked of the strict server with Google's own client."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from threading import Barrier
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed, RequestRangeNotSatisfiable
from google.cloud.storage import Blob, Bucket, Client

from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.emulation.started import gcs_client

pytestmark = pytest.mark.live
AWKWARD = ["a/plain", "with space", "plus+per%cent#hash?&=;", "%2F%20", "ümläut/日本/é", "trailing/", "a//b", "-" * 1024]


@pytest.fixture(scope="module")
def client(emulators: Emulators) -> Client:
    return gcs_client(emulators, emulators.owner_key_file)


@pytest.fixture
def bucket(client: Client) -> Bucket:
    """An empty bucket with versioning."""
    made = client.bucket(f"test-{token_hex(6)}")
    made.versioning_enabled = True
    made.create()
    return made


def put(bucket: Bucket, name: str, content: bytes, **conditions: Any) -> Blob:
    blob = bucket.blob(name)
    blob.upload_from_string(content, **conditions)
    return blob


def put_resumable(bucket: Bucket, name: str, content: bytes, **conditions: Any) -> Blob:
    blob = bucket.blob(name, chunk_size=256 * 1024)
    blob.upload_from_file(io.BytesIO(content), **conditions)
    return blob


def content(bucket: Bucket, name: str) -> bytes:
    return bucket.blob(name).download_as_bytes()


@pytest.mark.parametrize("write", [put, put_resumable])
def test_one_of_many_creators_wins(bucket: Bucket, write):
    """Of eight writers that create one key at the same time exactly one succeeds, and its bytes are what is stored."""
    barrier = Barrier(8)

    def create(number: int) -> int | None:
        barrier.wait()
        try:
            write(bucket, "pointer", bytes([number]) * 600_000, if_generation_match=0)
        except PreconditionFailed:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(8)) if number is not None]
    assert len(winners) == 1
    assert content(bucket, "pointer") == bytes(winners) * 600_000


@pytest.mark.parametrize("write", [put, put_resumable])
def test_a_stale_generation_is_refused(bucket: Bucket, write):
    """An update of a generation that was replaced, or of a deleted object, is 412, and changes nothing."""
    first = put(bucket, "p", b"1")
    assert first.generation
    second = write(bucket, "p", b"2", if_generation_match=first.generation)
    for stale in (first.generation, 0, second.generation + 1):
        with pytest.raises(PreconditionFailed):
            write(bucket, "p", b"3", if_generation_match=stale)
    assert content(bucket, "p") == b"2"
    bucket.blob("p").delete()
    with pytest.raises(PreconditionFailed):
        write(bucket, "p", b"3", if_generation_match=second.generation)
    assert write(bucket, "p", b"4", if_generation_match=0).generation > second.generation > first.generation


def test_a_resumable_upload_is_judged_when_it_ends(bucket: Bucket):
    """A key that is taken while a resumable upload is under way is not overwritten by its end."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 512 * 1024:
                put(bucket, "r", b"rival")
            return super().read(size)

    blob = bucket.blob("r", chunk_size=256 * 1024)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_file(Slow(bytes(1024 * 1024)), if_generation_match=0)
    assert content(bucket, "r") == b"rival"


def test_reads_and_deletes_obey_conditions(bucket: Bucket):
    """Reads give 412 for another generation and 304 for the one the caller has; deletes 412; a missing object is 404."""
    blob = put(bucket, "o", b"1")
    generation = blob.generation or 0
    assert bucket.blob("o").download_as_bytes(if_generation_match=generation) == b"1"
    failing: list[dict[str, Any]] = [
        {"if_generation_match": generation + 1}, {"if_generation_match": 0}, {"if_metageneration_match": 2},
    ]  # fmt: skip
    for conditions in failing:
        for act in (bucket.blob("o").download_as_bytes, bucket.blob("o").reload, bucket.blob("o").delete):
            with pytest.raises(PreconditionFailed):
                act(**conditions)
    response = bucket.client._http.get(f"{blob.self_link}?ifGenerationNotMatch={generation}")
    assert (response.status_code, response.content) == (304, b"")
    for act in (bucket.blob("none").download_as_bytes, bucket.blob("none").reload, bucket.blob("none").delete):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(NotFound):
        bucket.blob("none").delete(if_generation_match=generation)
    bucket.blob("o").delete(if_generation_match=generation)
    assert not bucket.blob("o").exists()


def test_metadata_has_a_generation_of_its_own(bucket: Bucket):
    """Changing metadata counts the metageneration up and leaves the generation; a stale metageneration is 412."""
    blob = put(bucket, "m", b"1")
    generation = blob.generation
    blob.metadata = {"a": "1", "b": "2"}
    blob.patch(if_metageneration_match=1)
    assert (blob.generation, blob.metageneration, blob.metadata) == (generation, 2, {"a": "1", "b": "2"})
    blob.metadata = {"b": None, "c": "3"}
    with pytest.raises(PreconditionFailed):
        blob.patch(if_metageneration_match=1)
    blob.patch()
    blob.reload()
    assert (blob.metageneration, blob.metadata) == (3, {"a": "1", "c": "3"})


def test_old_generations_stay_readable(bucket: Bucket):
    """With versioning a replaced or deleted object is read, copied back and deleted by its generation."""
    generations = [put(bucket, "v", text).generation for text in (b"one", b"two", b"three")]
    bucket.blob("v").delete()
    assert not bucket.blob("v").exists()
    for generation, text in zip(generations, (b"one", b"two", b"three"), strict=True):
        assert bucket.blob("v", generation=generation).download_as_bytes() == text
    listed = list(bucket.list_blobs(versions=True))
    assert [blob.generation for blob in listed] == generations
    assert all(blob.time_deleted is not None for blob in listed)
    restored = bucket.copy_blob(bucket.blob("v"), bucket, "v", source_generation=generations[0], if_generation_match=0)
    assert content(bucket, "v") == b"one"
    assert (restored.generation or 0) > (generations[-1] or 0)
    bucket.blob("v", generation=generations[1]).delete()
    with pytest.raises(NotFound):
        bucket.blob("v", generation=generations[1]).download_as_bytes()
    with pytest.raises(Conflict):
        bucket.delete()


def test_without_versioning_nothing_old_stays(bucket: Bucket):
    """Without versioning a replaced generation is gone, and an empty bucket can be deleted."""
    bucket.versioning_enabled = False
    bucket.patch()
    first = put(bucket, "v", b"one").generation
    put(bucket, "v", b"two")
    with pytest.raises(NotFound):
        bucket.blob("v", generation=first).reload()
    bucket.blob("v").delete()
    assert list(bucket.list_blobs(versions=True)) == []
    bucket.delete()
    with pytest.raises(NotFound):
        bucket.blob("v").upload_from_string(b"1")


def test_copies_obey_both_sides_conditions(bucket: Bucket):
    """Copy and rewrite compare the source's generation and the target's, and copy content and metadata."""
    source = put(bucket, "from", b"bytes")
    generation = source.generation or 0
    taken = put(bucket, "taken", b"other")
    target = bucket.blob("to")
    assert target.rewrite(source, if_generation_match=0, if_source_generation_match=generation) == (None, 5, 5)
    assert content(bucket, "to") == b"bytes"
    with pytest.raises(PreconditionFailed):
        bucket.blob("other").rewrite(source, if_source_generation_match=generation + 1)
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(source, bucket, "taken", if_generation_match=0)
    assert content(bucket, "taken") == b"other"
    bucket.copy_blob(source, bucket, "taken", if_generation_match=taken.generation)
    source.delete()
    assert content(bucket, "taken") == b"bytes"


def test_composed_objects_are_their_parts(bucket: Bucket):
    """Compose joins objects in order under the target's condition; the result has no MD5."""
    parts = [put(bucket, f"part-{number}", bytes([number]) * 3) for number in range(3)]
    whole = bucket.blob("whole")
    whole.compose(parts, if_generation_match=0)
    assert content(bucket, "whole") == b"\0\0\0\1\1\1\2\2\2"
    assert whole.md5_hash is None
    with pytest.raises(PreconditionFailed):
        whole.compose(parts, if_generation_match=0)


def test_pages_are_as_small_as_they_were_asked_for(bucket: Bucket):
    """`maxResults` is honoured with a token for the rest, for names and for prefixes; the order is that of UTF-8."""
    names = sorted([f"{folder}/{number:02}" for folder in "abc" for number in range(7)] + ["top", "ümlaut"])
    for name in names:
        put(bucket, name, b"1")
    pages = [[blob.name for blob in page] for page in bucket.list_blobs(page_size=5).pages]
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert [name for page in pages for name in page] == names
    assert [blob.name for blob in bucket.list_blobs(prefix="b/", page_size=3)] == [f"b/{number:02}" for number in range(7)]
    assert [blob.name for blob in bucket.list_blobs(start_offset="b/05", end_offset="c/01")] == ["b/05", "b/06", "c/00"]
    assert [blob.name for blob in bucket.list_blobs(max_results=4)] == names[:4]
    folders = bucket.list_blobs(delimiter="/", page_size=1)
    assert [blob.name for blob in folders] == ["top", "ümlaut"]
    assert folders.prefixes == {"a/", "b/", "c/"}


def test_names_come_back_as_they_were_given(bucket: Bucket):
    """Names with spaces, slashes, `+ % # ?` and any script are stored, listed, read and deleted."""
    for number, name in enumerate(AWKWARD):
        put(bucket, name, str(number).encode())
    assert [blob.name for blob in bucket.list_blobs()] == sorted(AWKWARD)
    for number, name in enumerate(AWKWARD):
        assert content(bucket, name) == str(number).encode()
        bucket.blob(name).delete()
    assert list(bucket.list_blobs()) == []


def test_bytes_come_back_as_they_were_given(bucket: Bucket):
    """Line ends, boundaries' look-alikes, nothing at all, and long content survive every kind of upload, and ranges."""
    for data in (b"", b"\r", b"\r\n", b"--===============\r\n\r\n--", os.urandom(3 * 256 * 1024), os.urandom(700_001)):
        for write in (put, put_resumable):
            blob = write(bucket, "bytes", data)
            assert (blob.size, content(bucket, "bytes")) == (len(data), data)
    assert bucket.blob("bytes").download_as_bytes(start=10, end=19) == data[10:20]
    assert bucket.blob("bytes").download_as_bytes(start=700_000) == data[-1:]
    with pytest.raises(RequestRangeNotSatisfiable):
        bucket.blob("bytes").download_as_bytes(start=700_001)


def test_bytes_that_were_damaged_on_the_way_are_refused(bucket: Bucket):
    """An upload whose checksum does not fit is a 400, and stores nothing."""
    blob = bucket.blob("damaged")
    blob.md5_hash = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(Exception, match="md5Hash"):
        blob.upload_from_string(b"content")
    assert not bucket.blob("damaged").exists()


def test_an_interrupted_upload_goes_on_where_it_was(bucket: Bucket):
    """The session of a resumable upload says how much arrived, takes the rest, and refuses a gap."""
    http, part = bucket.client._http, os.urandom(256 * 1024)
    url = bucket.blob("resumed").create_resumable_upload_session(size=2 * len(part))
    first = http.put(url, data=part, headers={"content-range": f"bytes 0-{len(part) - 1}/{2 * len(part)}"})
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{len(part) - 1}")
    asked = http.put(url, headers={"content-range": f"bytes */{2 * len(part)}"})
    assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{len(part) - 1}")
    gap = http.put(url, data=b"1", headers={"content-range": f"bytes {2 * len(part) - 1}-{2 * len(part) - 1}/{2 * len(part)}"})
    assert gap.status_code == 400
    assert not bucket.blob("resumed").exists()
    rest = http.put(url, data=part, headers={"content-range": f"bytes {len(part)}-{2 * len(part) - 1}/{2 * len(part)}"})
    assert (rest.status_code, rest.json()["size"]) == (200, str(2 * len(part)))
    assert content(bucket, "resumed") == part + part


def test_what_is_not_served_is_said(bucket: Bucket):
    """A method that this server does not have is a 501, never a wrong answer."""
    assert bucket.client._http.get(f"{bucket.self_link}/o/a/acl").status_code == 501
