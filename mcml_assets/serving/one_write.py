"""An HTTP protocol for uvicorn that sends an answer's head and body in one write. Imports uvicorn: import it late.

uvicorn writes the head first and the body next. A server that is killed in between has begun an answer, which the edge
can neither finish nor ask elsewhere: on a busy machine, where the edge wakes up at the head, that lost one request at
nearly every kill.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite:
    """A transport that gathers what is written within one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._gathered: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send with the end of this turn."""
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def close(self) -> None:
        """Send what was gathered, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._gathered:
            data, self._gathered = b"".join(self._gathered), []
            self._transport.write(data)


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's protocol over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn itself declares it
        """A connection begins."""
        super().connection_made(cast("asyncio.Transport", OneWrite(transport, self.loop)))
