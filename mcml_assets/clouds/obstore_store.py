"""What every bucket behind an obstore client shares: reads, writes, listing, and the translation of obstore's errors.

A cloud's own module says how its client is opened and where it differs; nothing here knows a cloud by name. Imports
obstore: import this module only where a store is opened.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from mcml_assets.clouds.chunks import CHUNK_SIZE, Source, file_chunks
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.keys import check_key
from mcml_assets.domain.errors import (
    ConfigurationError,
    LocationUnavailable,
    McmlError,
    ObjectNotFound,
    PreconditionFailed,
)

if TYPE_CHECKING:
    from obstore import GetResult, PutMode
    from obstore import ObjectMeta as ClientMeta
    from obstore.store import ObjectStore as Client


class ObstoreStore:
    """One bucket behind an obstore client; an `ObjectStore` as it is for clouds with conditional writes.

    `open_client` is called at the first use, so that opening a store never fails for a location that is down.
    """

    def __init__(self, location: str, open_client: Callable[[], "Client"]) -> None:
        self._location = location
        self._open_client = open_client

    @property
    def location(self) -> str:
        """The key of the location this bucket belongs to, for messages."""
        return self._location

    def get(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""
        return self.get_with_meta(key)[0]

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        """The whole object and the version that was read. Raises `ObjectNotFound`."""
        with self.translated(key):
            result = obstore.get(self.client, self.path(key))
            return bytes(result.bytes()), _meta(key, result.meta)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` (inclusive) to `end` (exclusive), cut at the object's end as a slice is.

        Raises `ObjectNotFound`.
        """
        # A range that holds no byte is an error in HTTP, each service's own; here it is a slice like any other.
        if start >= end:
            self.head(key)
            return b""
        try:
            with self.translated(key):
                return bytes(obstore.get_range(self.client, self.path(key), start=start, end=end))
        except (LocationUnavailable, ConfigurationError):
            if start < self.head(key).size:
                raise
            return b""

    def stream(self, key: str, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        """The object in chunks of about `chunk_size` bytes. Raises `ObjectNotFound`, at once."""
        with self.translated(key):
            result = obstore.get(self.client, self.path(key))
        if result.meta["size"] <= chunk_size:
            return self._whole(key, result)
        return self._chunks(key, result.stream(min_chunk_size=chunk_size), chunk_size)

    def head(self, key: str) -> ObjectMeta:
        """Size and version without the content. Raises `ObjectNotFound`."""
        with self.translated(key):
            return _meta(key, obstore.head(self.client, self.path(key)))

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object; readers see the old or the new content, never a part of it.

        An error that `data` raises while it is read reaches the caller unchanged, and nothing is written.
        """
        if isinstance(data, bytes):
            return self._put(key, data, "overwrite")
        source = Source(file_chunks(data) if isinstance(data, Path) else data)
        return self._put_stream(key, source, iter(source))

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """Write the object only if the key is free. Raises `PreconditionFailed`."""
        return self._put(key, data, "create")

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """Replace the object only if its version is still `etag`. Raises `PreconditionFailed`."""
        try:
            return self._put(key, data, {"e_tag": etag})
        except ObjectNotFound as error:
            raise PreconditionFailed(f"{self.location}: {key!r} was deleted since it was read") from error

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix`, in the order of their keys."""
        with self.translated(prefix):
            for batch in obstore.list(self.client, self.path(prefix.rstrip("/")) if prefix else None):
                for meta in batch:
                    key = self.key(meta["path"])
                    if key is not None:
                        yield _meta(key, meta)

    def delete(self, key: str) -> None:
        """Remove the object; a missing key is not an error."""
        try:
            with self.translated(key):
                obstore.delete(self.client, self.path(key))
        except ObjectNotFound:
            return

    @cached_property
    def client(self) -> "Client":
        """The obstore client, opened at first use."""
        return self._open_client()

    def path(self, key: str) -> str:
        """The client's name of a key.

        Raises `ConfigurationError` for a key that some cloud would refuse, or take for another one.
        """
        return check_key(key)

    def key(self, path: str) -> str | None:
        """The key that the client calls `path`, the inverse of `path`; None for what is no object but machinery."""
        return path

    def check_bucket(self) -> None:
        """Raise `LocationUnavailable` when the bucket itself is gone; asked when a key seems to be missing.

        Clients tell a missing bucket and a missing key alike, but only the first is an outage. Memory is never gone.
        """

    @contextmanager
    def translated(self, key: str) -> Iterator[None]:
        """Turn obstore's errors about `key` into the platform's."""
        try:
            yield
        except FileNotFoundError as error:
            self.check_bucket()
            raise ObjectNotFound(f"{self.location} has no object {key!r}") from error
        except (AlreadyExistsError, PreconditionError) as error:
            raise PreconditionFailed(f"{self.location}: {key!r} was written by somebody else meanwhile") from error
        except (BaseError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise LocationUnavailable(self.location, f"{key!r}: {reason}") from error

    def _put(self, key: str, data: bytes | bytearray, mode: "PutMode") -> ObjectMeta:
        with self.translated(key):
            result = obstore.put(self.client, self.path(key), data, mode=mode, use_multipart=False)
        return ObjectMeta(key, len(data), result["e_tag"] or "", result["version"])

    def _put_stream(
        self, key: str, source: Source, chunks: Iterator[bytes], part: int = CHUNK_SIZE, in_flight: int = 4
    ) -> ObjectMeta:
        """Write `chunks`, which come from `source`, in parts of `part` bytes, of which `in_flight` travel at once."""
        try:
            with self.translated(key), closing(read_ahead(chunks)) as ahead:
                result = obstore.put(self.client, self.path(key), ahead, chunk_size=part, max_concurrency=in_flight)
        except McmlError:
            if source.error is not None:
                raise source.error from None
            raise
        return ObjectMeta(key, source.size, result["e_tag"] or "", result["version"])

    def _whole(self, key: str, result: "GetResult") -> Iterator[bytes]:
        # One call of the client instead of one per chunk, and one to learn that there are no more.
        with self.translated(key):
            content = bytes(result.bytes())
        if content:
            yield content

    def _chunks(self, key: str, chunks: Iterable[Any], chunk_size: int) -> Iterator[bytes]:
        with self.translated(key):
            for chunk in chunks:
                # Memory answers in one piece however large.
                for start in range(0, len(chunk), chunk_size):
                    yield bytes(chunk[start : start + chunk_size])


def _meta(key: str, meta: "ClientMeta") -> ObjectMeta:
    return ObjectMeta(key, meta["size"], meta["e_tag"] or "", meta["version"], meta["last_modified"])


def read_ahead(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same chunks, pulled in a thread of their own and one ahead of the writer; close it when the writer gives up.

    obstore asks for chunks from inside its runtime, where another call of obstore panics; and the next chunk of a copy
    is another call of obstore.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        ahead = reader.submit(next, chunks, None)
        while (chunk := ahead.result()) is not None:
            ahead = reader.submit(next, chunks, None)
            yield chunk
