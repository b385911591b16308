"""Bytes in pieces: how large objects are moved without holding them in memory. Which store they go to is no matter."""

from collections.abc import Iterator
from pathlib import Path

CHUNK_SIZE = 8 * 1024 * 1024
DRAINED_CHUNK = 1024 * 1024


def file_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a local file in chunks of `CHUNK_SIZE`. Raises `OSError` as `open` does."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_SIZE):
            yield chunk


def beginning(chunks: Iterator[bytes], limit: int) -> tuple[bytearray, Iterator[bytes] | None]:
    """The first chunks, together more than `limit` bytes, and the rest; None instead of the rest when that was all."""
    # In one piece from the start: a crowd of chunks, kept and freed by one thread after another, leaves each of them with
    # memory that no other can use.
    begun = bytearray()
    for chunk in chunks:
        begun += chunk
        if len(begun) > limit:
            return begun, chunks
    return begun, None


def drained(content: bytearray) -> Iterator[bytes]:
    """The bytes in chunks, each let go of as it is taken."""
    while content:
        chunk = bytes(content[:DRAINED_CHUNK])
        del content[:DRAINED_CHUNK]
        yield chunk


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
