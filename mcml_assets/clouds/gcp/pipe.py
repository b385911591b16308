"""Between a client that pushes and a store that is pulled from, and the other way round; nothing here knows a cloud.

Google's client writes a download into a file and reads an upload from one, while an `ObjectStore` gives and takes
iterators of bytes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Full, Queue
from threading import Event
from typing import BinaryIO, cast

# How many chunks wait for the reader: one travels while one is used.
WAITING = 2
POLL_SECONDS = 0.5


class Abandoned(Exception):
    """Raised in the writer when nobody reads any more."""


class Pushed:
    """A file to write into, whose other end is an iterator of chunks."""

    def __init__(self, chunk_size: int) -> None:
        self._queue: Queue[bytes | None] = Queue(WAITING)
        self._chunk_size = chunk_size
        self._buffer = bytearray()
        self._abandoned = Event()

    def write(self, data: bytes) -> int:
        self._buffer += data
        while len(self._buffer) >= self._chunk_size:
            self._send(bytes(self._buffer[: self._chunk_size]))
            del self._buffer[: self._chunk_size]
        return len(data)

    def finish(self) -> None:
        """Tell the reader that this was all, also when it was ended by an error."""
        if self._buffer:
            self._send(bytes(self._buffer))
        self._send(None)

    def chunks(self) -> Iterator[bytes]:
        while (chunk := self._queue.get()) is not None:
            yield chunk

    def abandon(self) -> None:
        """Nobody reads any more: the writer is stopped at its next write."""
        self._abandoned.set()

    def _send(self, chunk: bytes | None) -> None:
        while not self._abandoned.is_set():
            try:
                return self._queue.put(chunk, timeout=POLL_SECONDS)
            except Full:
                continue
        raise Abandoned


def pulled(push: Callable[[BinaryIO], object], chunk_size: int) -> Iterator[bytes]:
    """The bytes that `push` writes into the file it is given, in chunks of `chunk_size`, the last one shorter.

    `push` runs in a thread of its own, at most three chunks ahead; what it raises is raised here, after what it wrote.
    """
    file = Pushed(chunk_size)

    def run() -> None:
        try:
            push(cast("BinaryIO", file))
        finally:
            file.finish()

    with ThreadPoolExecutor(1, thread_name_prefix="download") as writer:
        running = writer.submit(run)
        try:
            yield from file.chunks()
            running.result()
        finally:
            file.abandon()


class Reader:
    """Chunks as a file to read from, forwards only.

    A read gives exactly what was asked for until the chunks end: Google's client takes anything shorter for the end.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = bytearray()
        self._position = 0

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, None)) is not None:
            self._rest += chunk
        taken = bytes(memoryview(self._rest)[:size])
        del self._rest[:size]
        self._position += len(taken)
        return taken

    def tell(self) -> int:
        return self._position
