"""A process that dies at one chosen operation on any of its stores, whichever of its threads gets there."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import TypeVar

from mcml_assets.clouds.interfaces import ObjectMeta, ObjectStore
from mcml_assets_tests.clouds.faults import Crash

Answer = TypeVar("Answer")


class Process:
    """Lets `operations` pass in all its stores together; the next one is the last thing it does.

    With `applied` that one still takes effect and only its answer is lost. `done` counts what it did.
    """

    def __init__(self, operations: int | None = None, *, applied: bool = False) -> None:
        self._left, self._applied = operations, applied
        self._lock = Lock()
        self.done = 0

    def act(self, apply: Callable[[], Answer]) -> Answer:
        """One operation on a store."""
        with self._lock:
            self.done += 1
            number = self.done
        if self._left is None or number <= self._left:
            return apply()
        if number == self._left + 1 and self._applied:
            apply()
        raise Crash(f"died at operation {number}")


class DyingStore:
    """A store as that process sees it; every byte goes to the store inside."""

    def __init__(self, store: ObjectStore, process: Process) -> None:
        self._inner, self._process = store, process

    @property
    def location(self) -> str:
        return self._inner.location

    def get(self, key: str) -> bytes:
        return self._process.act(lambda: self._inner.get(key))

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        return self._process.act(lambda: self._inner.get_with_meta(key))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return self._process.act(lambda: self._inner.get_range(key, start, end))

    def stream(self, key: str, chunk_size: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        return self._process.act(lambda: self._inner.stream(key, chunk_size))

    def head(self, key: str) -> ObjectMeta:
        return self._process.act(lambda: self._inner.head(key))

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        return self._process.act(lambda: self._inner.list(prefix))

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        return self._process.act(lambda: self._inner.put(key, data))

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        return self._process.act(lambda: self._inner.put_if_absent(key, data))

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        return self._process.act(lambda: self._inner.put_if_match(key, data, etag))

    def delete(self, key: str) -> None:
        self._process.act(lambda: self._inner.delete(key))
