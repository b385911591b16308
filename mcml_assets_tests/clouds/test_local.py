"""What the local cloud adds: many processes on one folder, their deaths, and outages made with `rm`, `mv` and `chmod`."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from shutil import rmtree
from time import sleep, time

import pytest

from mcml_assets.clouds.local.folder import ABANDONED_AFTER_SECONDS
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, PreconditionFailed
from mcml_assets_tests.clouds.conftest import local_store

PROCESSES = get_context("spawn")
OPERATIONS = {
    "get": lambda store: store.get("a/b"),
    "get a missing key": lambda store: store.get("a/none"),
    "get_range": lambda store: store.get_range("a/b", 0, 1),
    "stream": lambda store: list(store.stream("a/b")),
    "head": lambda store: store.head("a/b"),
    "list": lambda store: list(store.list("a")),
    "put": lambda store: store.put("a/b", b"2"),
    "put a stream": lambda store: store.put("a/b", iter([b"2"])),
    "put_if_absent": lambda store: store.put_if_absent("a/c", b"2"),
    "put_if_match": lambda store: store.put_if_match("a/b", b"2", "version"),
    "delete": lambda store: store.delete("a/b"),
}


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def add_one_to_counter(bucket: Path, times: int, start: Barrier) -> None:
    """Count in one object by read and conditional update; runs in a process of its own."""
    store = LocalStore("aws/eu-west-2", bucket)
    start.wait(60)
    for _ in range(times):
        while True:
            content, meta = store.get_with_meta("counter")
            try:
                store.put_if_match("counter", str(int(content) + 1).encode(), meta.etag)
                break
            except PreconditionFailed:
                continue


def write_forever(bucket: Path, writing: Event) -> None:
    """Stream an object that never ends; runs in a process that gets killed."""

    def source() -> Iterator[bytes]:
        yield b"half of it"
        writing.set()
        sleep(60)

    LocalStore("aws/eu-west-2", bucket).put("a/b", source())


def hold_every_lock(bucket: Path, holding: Event) -> None:
    """Take all the locks there are and keep them; runs in a process that gets killed."""
    import fcntl

    locks = [os.open(path, os.O_RDWR) for path in (bucket / ".mcml/locks").iterdir()]
    for lock in locks:
        fcntl.flock(lock, fcntl.LOCK_EX)
    holding.set()
    sleep(60)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


@pytest.fixture
def store(tmp_path: Path, bucket: Path) -> LocalStore:
    store = local_store(tmp_path)
    store.put("a/b", b"1")
    return store


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_missing_bucket_is_an_outage_and_stays_missing(store: LocalStore, bucket: Path, operation):
    """Whatever is asked of a bucket that is gone, the location is unavailable, and nothing makes the bucket anew."""
    rmtree(bucket)
    with pytest.raises(LocationUnavailable, match=r"aws/eu-west-2 is unavailable: bucket bucket"):
        operation(store)
    assert not bucket.exists()


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600], ids=["closed", "unreadable", "not to be entered"])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_closed_bucket_is_an_outage(store: LocalStore, bucket: Path, operation, mode: int):
    """A bucket whose folder was closed with chmod is unavailable, to root as well, and works again once opened."""
    bucket.chmod(mode)
    try:
        with pytest.raises(LocationUnavailable, match="aws/eu-west-2"):
            operation(store)
    finally:
        bucket.chmod(0o755)
    assert store.get("a/b") == b"1"


def test_a_read_only_bucket_can_be_read(store: LocalStore, bucket: Path):
    """A bucket without write permission still serves reads and refuses writes as an outage."""
    bucket.chmod(0o555)
    try:
        assert store.get("a/b") == b"1"
        assert [meta.key for meta in store.list("")] == ["a/b"]
        with pytest.raises(LocationUnavailable):
            store.put("a/b", b"2")
    finally:
        bucket.chmod(0o755)


def test_a_bucket_that_vanishes_during_a_write_stays_gone(store: LocalStore, bucket: Path):
    """When the bucket is removed while an object streams in, the write fails as an outage and builds no new bucket."""

    def source() -> Iterator[bytes]:
        yield b"first"
        rmtree(bucket)
        yield b"second"

    with pytest.raises(LocationUnavailable, match="aws/eu-west-2"):
        store.put("a/b", source())
    assert not bucket.exists()


def test_an_opened_store_sees_a_bucket_return(store: LocalStore, bucket: Path):
    """A store that was opened before or during an outage works on when the folder is back."""
    bucket.rename(bucket.with_name("away"))
    during = LocalStore("aws/eu-west-2", bucket)
    for opened in (store, during):
        with pytest.raises(LocationUnavailable):
            opened.get("a/b")
    bucket.with_name("away").rename(bucket)
    assert store.get("a/b") == during.get("a/b") == b"1"


def test_processes_lose_no_update(store: LocalStore, bucket: Path):
    """Processes that update one object by read and conditional write lose no update: each version is replaced once."""
    processes, times = 4, 40
    store.put("counter", b"0")
    start = PROCESSES.Barrier(processes)
    counting = [PROCESSES.Process(target=add_one_to_counter, args=(bucket, times, start)) for _ in range(processes)]
    for process in counting:
        process.start()
    for process in counting:
        process.join(60)
    assert [process.exitcode for process in counting] == [0] * processes
    assert store.get("counter") == str(processes * times).encode()


def test_a_writer_that_is_killed_leaves_the_old_object(store: LocalStore, bucket: Path):
    """After kill -9 in the middle of a put the old object is whole, nothing else is listed, and writing goes on.

    What the dead writer left on the disk is removed by a later write.
    """
    writing = PROCESSES.Event()
    writer = PROCESSES.Process(target=write_forever, args=(bucket, writing))
    writer.start()
    assert writing.wait(60)
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join(60)
    assert store.get("a/b") == b"1"
    assert [meta.key for meta in store.list("")] == ["a/b"]
    (left,) = (bucket / ".mcml/staging").iterdir()
    store.put("a/b", b"2")
    assert left.exists()
    past = time() - ABANDONED_AFTER_SECONDS - 1
    os.utime(left, (past, past))
    store.put("a/b", b"3")
    assert not left.exists()
    assert store.get("a/b") == b"3"


def test_a_lock_ends_with_its_holder(store: LocalStore, bucket: Path):
    """A process that dies with locks held blocks nobody."""
    holding = PROCESSES.Event()
    holder = PROCESSES.Process(target=hold_every_lock, args=(bucket, holding))
    holder.start()
    assert holding.wait(60)
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join(60)
    store.put("a/b", b"2")
    assert store.get("a/b") == b"2"


def test_nothing_of_the_machinery_is_listed(store: LocalStore, bucket: Path):
    """Locks and staged files are no objects: they are not listed, and no key reaches them."""
    store.put(".mcml/locks/00", b"mine")
    (bucket / ".DS_Store").write_bytes(b"")
    assert [meta.key for meta in store.list("")] == [".mcml/locks/00", "a/b"]
    assert [meta.key for meta in store.list(".mcml")] == [".mcml/locks/00"]
    assert files(bucket / ".mcml/staging") == []


def test_a_key_below_an_object_is_refused(store: LocalStore):
    """A key that is the folder of another, or below another, is refused with both roles told apart from an outage."""
    for key in ("a", "a/b/c", "k" * 300):
        with pytest.raises(ConfigurationError, match="cannot be stored"):
            store.put(key, b"2")
    assert [meta.key for meta in store.list("")] == ["a/b"]


def test_versions_grow_although_the_clock_does_not(store: LocalStore, bucket: Path, monkeypatch: pytest.MonkeyPatch):
    """Each write of an object is later than the one it replaces, also when the clock is set back or stands still."""
    etags, times = [], []
    for number in range(50):
        if number == 3:
            monkeypatch.setattr("mcml_assets.clouds.local.folder.time", lambda: 1_000_000_000.0)
        etags.append(store.put("clock", b"same").etag)
        times.append((bucket / "clock").stat().st_mtime_ns // 1000)
    assert len(set(etags)) == len(etags)
    assert all(earlier < later for earlier, later in pairwise(times))
    assert times[-1] - times[2] == 47
