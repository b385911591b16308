"""What every object store promises, whichever cloud it is in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import ConfigurationError, ObjectNotFound, PreconditionFailed

AWKWARD_KEYS = [
    "a/plain",
    "a/with space",
    "a/plus+per%cent#hash",
    "a/hash#1",
    "a/%2F%20",
    "a/ümläut/日本/é",
    "a/e\u0301 is two characters",
    "a/?query&x=1;y~z!$'()*,:@",
    '.hidden/[b]{c}|^`<>"x',
]


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [meta.key for meta in store.list(prefix)]


def test_a_written_object_is_read_back_at_once(store: ObjectStore):
    """Every read after an acknowledged write gives the new content, its size and its version."""
    for content in (b"one", b"second", b""):
        meta = store.put("w/object", content)
        assert store.get("w/object") == content
        assert store.get_with_meta("w/object") == (content, meta)
        assert store.head("w/object") == meta
        assert list(store.list("w")) == [meta]
        assert (meta.key, meta.size) == ("w/object", len(content))
        assert meta.etag


def test_a_missing_key_says_which_and_where(store: ObjectStore):
    """Reading a key that is not there raises `ObjectNotFound` with the location and the key, also below an object."""
    store.put("a/b", b"1")
    for key in ("a/none", "a", "a/b/c", "none/" + "n" * 300):
        for read in (store.get, store.get_with_meta, store.head, store.stream, lambda k: store.get_range(k, 0, 1)):
            with pytest.raises(ObjectNotFound, match=r"aws/eu-west-2.*"):
                read(key)


def test_ranges_are_slices(store: ObjectStore):
    """A range gives what slicing the content would, also where it is empty or reaches past the end."""
    store.put("r", b"0123456789")
    for start, end in ((0, 10), (0, 1), (3, 7), (9, 10), (5, 100), (0, 0), (7, 3), (10, 11), (50, 60)):
        assert store.get_range("r", start, end) == b"0123456789"[start:end]
    store.put("empty", b"")
    assert store.get_range("empty", 0, 5) == b""


def test_streams_give_all_bytes_in_order(store: ObjectStore, tmp_path: Path):
    """An object put from bytes, a file or an iterator is the same object, and its stream is in bounded chunks."""
    content = bytes(range(256)) * 80_000
    file = tmp_path / "content"
    file.write_bytes(content)
    pieces = (content[start : start + 3_000_000] for start in range(0, len(content), 3_000_000))
    for data in (content, file, pieces):
        meta = store.put("s/object", data)
        assert meta == store.head("s/object")
        assert meta.size == len(content)
        chunks = list(store.stream("s/object", chunk_size=4_000_000))
        assert b"".join(chunks) == content
        assert len(chunks) > 1


def test_an_empty_object_is_an_object(store: ObjectStore):
    """An object without bytes exists, is listed with size 0, and streams nothing."""
    for data in (b"", iter(()), iter([b"", b""])):
        assert store.put("e/empty", data).size == 0
        assert store.get("e/empty") == b""
        assert list(store.stream("e/empty")) == []
        assert [meta.size for meta in store.list("e")] == [0]


def test_an_object_can_be_copied_while_it_is_read(store: ObjectStore):
    """The stream of one object may be the source of another one in the same store."""
    content = bytes(1000) * 30_000
    store.put("c/from", content)
    store.put("c/to", store.stream("c/from", chunk_size=1_000_000))
    assert store.get("c/to") == content


def test_a_failing_source_writes_nothing(store: ObjectStore):
    """When the source of a put raises midway, the caller gets that very error and readers still see the old object."""
    error = FileNotFoundError("the source went away")

    def source() -> Iterator[bytes]:
        yield b"x" * 12_000_000
        raise error

    store.put("f/old", b"old")
    for key in ("f/old", "f/new"):
        with pytest.raises(FileNotFoundError) as caught:
            store.put(key, source())
        assert caught.value is error
    assert store.get("f/old") == b"old"
    assert keys(store, "") == ["f/old"]


def test_readers_see_the_old_or_the_new_object(store: ObjectStore):
    """While an object is replaced by streams, no reader ever gets a part or a mixture."""
    versions = {bytes([number]) * 300_000 for number in range(8)}
    store.put("atomic", min(versions))

    def write(content: bytes) -> None:
        for _ in range(5):
            store.put("atomic", (content[start : start + 100_000] for start in range(0, len(content), 100_000)))

    with ThreadPoolExecutor(4) as writers:
        running = [writers.submit(write, content) for content in versions]
        seen = {store.get("atomic")}
        while not all(future.done() for future in running):
            seen.add(store.get("atomic"))
            seen.add(b"".join(store.stream("atomic", chunk_size=50_000)))
        for future in running:
            future.result()
    assert seen <= versions


def test_awkward_keys_round_trip(store: ObjectStore):
    """Keys with spaces, `+ % #`, escapes and any script are stored, listed, read and deleted as they were given."""
    for number, key in enumerate(AWKWARD_KEYS):
        store.put(key, str(number).encode())
    assert keys(store, "") == sorted(AWKWARD_KEYS)
    for number, key in enumerate(AWKWARD_KEYS):
        content, meta = store.get_with_meta(key)
        assert (content, meta.key) == (str(number).encode(), key)
        store.delete(key)
    assert keys(store, "") == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "a/../b", "./a", "a/b.", "a/\\b", "a/\x00", "a\nb"])
def test_keys_that_could_mean_another_object_are_refused(store: ObjectStore, key: str):
    """A key that is not in its plainest form is refused instead of being taken for another one."""
    for act in (store.get, store.delete, lambda k: store.put(k, b"1"), lambda k: store.put_if_absent(k, b"1")):
        with pytest.raises(ConfigurationError, match="cannot be a key"):
            act(key)


def test_a_prefix_is_a_folder(store: ObjectStore):
    """Listing `a` gives what is below the folder `a`, in the order of the keys, and not `ab/x`."""
    for key in ("a/z", "a/b/c", "a/B", "ab/x", "b", "a-1/x", "a.b"):
        store.put(key, b"")
    assert keys(store, "a") == keys(store, "a/") == ["a/B", "a/b/c", "a/z"]
    assert keys(store, "a/b") == ["a/b/c"]
    assert keys(store, "none") == keys(store, "b") == []
    assert keys(store, "") == ["a-1/x", "a.b", "a/B", "a/b/c", "a/z", "ab/x", "b"]


def test_long_listings_are_complete(store: ObjectStore):
    """A listing of more than a page of any service (1,000 keys) gives every key once, in order."""
    expected = [f"many/{number:02}/{inner:03}" for number in range(11) for inner in range(100)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, b"1"), expected))
    assert keys(store, "many") == expected


def test_deleting_is_final_and_repeatable(store: ObjectStore):
    """A deleted object is gone at once, and deleting what is not there is no error and leaves other objects alone."""
    store.put("d/a/b", b"1")
    for key in ("d/none", "d/a", "d/a/b/c", "x/y/z"):
        store.delete(key)
    assert keys(store, "") == ["d/a/b"]
    store.delete("d/a/b")
    store.delete("d/a/b")
    with pytest.raises(ObjectNotFound):
        store.head("d/a/b")


def test_every_write_has_a_new_version(store: ObjectStore):
    """A version names one write: rewriting the same bytes at once makes every earlier version stale, also A-B-A."""
    etags = [store.put("v", content).etag for content in (b"a", b"b") * 100]
    assert len(set(etags)) == len(etags)
    for stale in etags[:-1]:
        with pytest.raises(PreconditionFailed):
            store.put_if_match("v", b"c", stale)
    store.put_if_match("v", b"c", etags[-1])


def test_only_a_free_key_is_created(store: ObjectStore):
    """A conditional create writes a free key, leaves a taken one as it is, and succeeds again after a delete."""
    meta = store.put_if_absent("p/pointer", b"first")
    assert store.head("p/pointer") == meta
    with pytest.raises(PreconditionFailed, match=r"aws/eu-west-2.*p/pointer"):
        store.put_if_absent("p/pointer", b"second")
    assert store.get("p/pointer") == b"first"
    store.delete("p/pointer")
    store.put_if_absent("p/pointer", b"third")
    assert store.get("p/pointer") == b"third"


def test_only_the_version_that_was_read_is_replaced(store: ObjectStore):
    """A conditional update succeeds once per version, and never makes a key that is not there."""
    first = store.put("p/pointer", b"1")
    second = store.put_if_match("p/pointer", b"2", first.etag)
    assert store.head("p/pointer") == second
    with pytest.raises(PreconditionFailed):
        store.put_if_match("p/pointer", b"3", first.etag)
    assert store.get("p/pointer") == b"2"
    store.delete("p/pointer")
    for key in ("p/pointer", "p/other"):
        with pytest.raises(PreconditionFailed):
            store.put_if_match(key, b"3", second.etag)
    assert keys(store, "p") == []


def test_of_many_threads_exactly_one_wins(store: ObjectStore):
    """When threads race to create, and then to update, one pointer, one wins each time and its bytes stay."""
    racers = 8
    start = Barrier(racers)

    def race(content: bytes, etag: str | None) -> bytes | None:
        start.wait()
        try:
            store.put_if_absent("race", content) if etag is None else store.put_if_match("race", content, etag)
        except PreconditionFailed:
            return None
        return content

    with ThreadPoolExecutor(racers) as pool:
        etag = None
        for lap in range(15):
            # As a pointer with its time, no content is ever written twice: S3 takes equal contents for one version.
            contents = [b"%d of lap %d" % (number, lap) for number in range(racers)]
            winners = [content for content in pool.map(race, contents, [etag] * racers) if content is not None]
            assert winners == [store.get("race")]
            etag = store.head("race").etag
