"""Durable, atomic changes to files below one folder, which is never created, under locks that span processes.

Everything goes through a descriptor of the folder: when it is removed between two steps, the next step fails instead
of building it anew. What the files mean is `store.py`'s business.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path
from time import time
from uuid import uuid4

RESERVED = ".mcml"
LOCKS = f"{RESERVED}/locks"
STAGING = f"{RESERVED}/staging"
ABANDONED_AFTER_SECONDS = 3600


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A descriptor of an existing folder. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_below(root: int, path: str) -> Iterator[int]:
    """A descriptor of the folder `path` below `root`, made where it is missing, durably."""
    try:
        # In one step where it is there already, as it is for all but the first write.
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
    except FileNotFoundError:
        descriptor = _made_below(root, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def staged(root: int, chunks: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """A new file with this content, on disk but in nobody's sight: its folder's descriptor and its name.

    It is gone afterwards unless it was renamed. What a process leaves that dies meanwhile, a later write removes.
    """
    name = uuid4().hex
    with opened_below(root, STAGING) as folder:
        _remove_abandoned(folder)
        try:
            # Unbuffered: chunks are large, and a buffer would copy them once more.
            with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder), "wb", buffering=0) as file:
                for chunk in chunks:
                    _write_whole(file, chunk)
                os.fsync(file.fileno())
            yield folder, name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)


@contextmanager
def locked(root: int, key: str) -> Iterator[None]:
    """Exclude every other thread and process that changes this key; the kernel lets go when the holder dies.

    256 locks are shared among all keys, which bounds the files; a holder never waits for a second one.
    """
    with opened_below(root, LOCKS) as folder:
        name = sha256(key.encode()).hexdigest()[:2]
        lock = os.open(name, os.O_RDWR | os.O_CREAT, 0o666, dir_fd=folder)
        try:
            # flock, not lockf: its owner is this descriptor, so that it excludes the threads of one process too.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def publish(staging: int, staged_name: str, folder: int, name: str) -> None:
    """Move a staged file into place, durably, with a modification time later than that of the file it replaces.

    To be called under the key's lock. A file system's own clock may stand still for 4 ms or be set back, and then two
    versions would look alike.
    """
    try:
        former = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        former = 0
    stamp = max(int(time() * 1e6), former // 1000 + 1) * 1000
    os.utime(staged_name, ns=(stamp, stamp), dir_fd=staging)
    os.rename(staged_name, name, src_dir_fd=staging, dst_dir_fd=folder)
    os.fsync(folder)


def remove(folder: int, name: str) -> None:
    """Delete a file, durably."""
    os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def _remove_abandoned(staging: int) -> None:
    """Delete staged files that nobody has written to for an hour: their writers died."""
    for name in os.listdir(staging):
        with suppress(FileNotFoundError):  # its writer was alive after all, and finished
            if time() - os.stat(name, dir_fd=staging).st_mtime > ABANDONED_AFTER_SECONDS:
                os.unlink(name, dir_fd=staging)


def _write_whole(file: FileIO, chunk: bytes) -> None:
    # One write takes at most 2 GiB, and may take less.
    written = file.write(chunk)
    while written < len(chunk):
        written += file.write(memoryview(chunk)[written:])


def _made_below(root: int, path: str) -> int:
    """A descriptor of a folder of which some part is missing."""
    descriptor = os.dup(root)
    try:
        for part in path.split("/"):
            child = _open_or_make(descriptor, part)
            os.close(descriptor)
            descriptor = child
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_or_make(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another writer made it just now
            os.mkdir(name, dir_fd=parent)
            os.fsync(parent)
        return os.open(name, flags, dir_fd=parent)
