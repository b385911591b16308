"""A store that counts what is asked of it, so that a copy can say how many requests it took."""

from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from threading import Lock
from typing import cast

from mcml_assets.clouds.interfaces import CopyingStore, ObjectMeta, ObjectStore

PAGE = 1000


class CountedStore:
    """An `ObjectStore` that hands everything on and counts it.

    An operation counts as one request, a listing as one per page of 1,000 keys. The parts of a large upload are the
    client's own affair and are not told apart.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.inner = store
        self._lock = Lock()
        self._requests = 0

    @property
    def requests(self) -> int:
        """Requests so far, of all threads."""
        return self._requests

    @property
    def location(self) -> str:
        """The key of the location this bucket belongs to, for messages."""
        return self.inner.location

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        return self._counted().get(key)

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        """See `ObjectStore.get_with_meta`."""
        return self._counted().get_with_meta(key)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """See `ObjectStore.get_range`."""
        return self._counted().get_range(key, start, end)

    def stream(self, key: str, chunk_size: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        """See `ObjectStore.stream`."""
        return self._counted().stream(key, chunk_size)

    def head(self, key: str) -> ObjectMeta:
        """See `ObjectStore.head`."""
        return self._counted().head(key)

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """See `ObjectStore.put`."""
        return self._counted().put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """See `ObjectStore.put_if_absent`."""
        return self._counted().put_if_absent(key, data)

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """See `ObjectStore.put_if_match`."""
        return self._counted().put_if_match(key, data, etag)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """See `ObjectStore.list`."""
        for number, meta in zip(count(), self.inner.list(prefix)):
            if number % PAGE == 0:
                self._counted()
            yield meta

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._counted().delete(key)

    @property
    def copies_from(self) -> Collection[str]:
        """See `CopyingStore.copies_from`; nothing where the store copies nothing by itself."""
        return self.inner.copies_from if isinstance(self.inner, CopyingStore) else ()

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        """See `CopyingStore.copy_from`; only for what `copies_from` names."""
        return cast("CopyingStore", self._counted()).copy_from(location, key, size)

    def _counted(self) -> ObjectStore:
        with self._lock:
            self._requests += 1
        return self.inner
