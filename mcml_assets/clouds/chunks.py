"""Bytes in pieces: how large objects are moved without holding them in memory. Which store they go to is no matter."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

CHUNK_SIZE = 8 * 1024 * 1024


def file_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a local file in chunks of `CHUNK_SIZE`. Raises `OSError` as `open` does."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            yield chunk


def beginning(chunks: Iterator[bytes], limit: int) -> tuple[deque[bytes], Iterator[bytes] | None]:
    """The first chunks, together more than `limit` bytes, and the rest; None instead of the rest when that was all."""
    begun: deque[bytes] = deque()
    size = 0
    for chunk in chunks:
        begun.append(chunk)
        size += len(chunk)
        if size > limit:
            return begun, chunks
    return begun, None


def joined(chunks: deque[bytes]) -> bytearray:
    """All chunks in one piece; each is let go of as it is copied, so that memory never holds them twice."""
    whole = bytearray()
    for chunk in drained(chunks):
        whole += chunk
    return whole


def drained(chunks: deque[bytes]) -> Iterator[bytes]:
    """The chunks, each let go of as it is taken."""
    while chunks:
        yield chunks.popleft()


class Source:
    """Chunks on their way into a store.

    `size` counts the bytes that passed; `error` keeps what ended them early, so that a writer can tell the failure of
    where it reads from its own.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self.size += len(chunk)
                yield chunk
        except Exception as error:
            self.error = error
            raise
