"""Object stores that fail on purpose, around a real one: a process that dies, a rival that is faster, a damaged read.

Fake nothing else: every byte that is written or read goes to the store inside.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from mcml_assets.clouds.interfaces import ObjectMeta, ObjectStore

Written = TypeVar("Written")


class Crash(Exception):
    """The process that uses the store is dead from here on; no error of the platform, so nothing may handle it."""


class WrappedStore:
    """An `ObjectStore` that hands everything on; what a fault changes is overridden."""

    def __init__(self, store: ObjectStore) -> None:
        self.inner = store

    @property
    def location(self) -> str:
        return self.inner.location

    def get(self, key: str) -> bytes:
        return self.inner.get(key)

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        return self.inner.get_with_meta(key)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return self.inner.get_range(key, start, end)

    def stream(self, key: str, chunk_size: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        return self.inner.stream(key, chunk_size)

    def head(self, key: str) -> ObjectMeta:
        return self.inner.head(key)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        return self.inner.list(prefix)

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        return self.write(key, lambda: self.inner.put(key, data))

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        return self.write(key, lambda: self.inner.put_if_absent(key, data))

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        return self.write(key, lambda: self.inner.put_if_match(key, data, etag))

    def delete(self, key: str) -> None:
        self.write(key, lambda: self.inner.delete(key))

    def write(self, key: str, apply: Callable[[], Written]) -> Written:
        """Every write passes here."""
        return apply()


class CrashingStore(WrappedStore):
    """Lets `after_writes` writes pass; the next one is the last thing the process does.

    With `applied` that write still takes effect and only its answer is lost.
    """

    def __init__(self, store: ObjectStore, after_writes: int, *, applied: bool = False) -> None:
        super().__init__(store)
        self.left = after_writes
        self.applied = applied

    def write(self, key: str, apply: Callable[[], Written]) -> Written:
        self.left -= 1
        if self.left >= 0:
            return apply()
        if self.left == -1 and self.applied:
            apply()
        raise Crash(f"died writing {key!r}")


class CountingStore(WrappedStore):
    """Remembers the keys whose writes succeeded, in order."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.written: list[str] = []

    def write(self, key: str, apply: Callable[[], Written]) -> Written:
        answer = apply()
        self.written.append(key)
        return answer


class RivalStore(WrappedStore):
    """Lets `rival` act just before the first write of a key that ends in `suffix`: the worst moment."""

    def __init__(self, store: ObjectStore, suffix: str, rival: Callable[[], object]) -> None:
        super().__init__(store)
        self.suffix = suffix
        self.rival: Callable[[], object] | None = rival

    def write(self, key: str, apply: Callable[[], Written]) -> Written:
        if self.rival is not None and key.endswith(self.suffix):
            rival, self.rival = self.rival, None
            rival()
        return apply()


class DamagingStore(WrappedStore):
    """Flips one bit in each of the first `times` streams, as a bad line or disk does in silence."""

    def __init__(self, store: ObjectStore, times: int) -> None:
        super().__init__(store)
        self.times = times

    def stream(self, key: str, chunk_size: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        chunks = self.inner.stream(key, chunk_size)
        if self.times > 0:
            self.times -= 1
            return (flipped(chunk) for chunk in chunks)
        return chunks


def flipped(data: bytes) -> bytes:
    """The same bytes with one bit changed in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
