"""A constant load: requests begun at fixed times, whether earlier ones were answered or not, and what became of each.

A latency counts from when a request was due, so that a stall is felt by every request that it delayed.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was due (monotonic seconds), how long it took, its status (0 for none), and who answered."""

    due: float
    seconds: float
    status: int
    location: str


@dataclass(slots=True)
class Load:
    """A load on one address that runs in a thread of its own until it is left."""

    port: int
    path: str
    body: dict[str, Any]
    rate: float
    answers: list[Answer] = field(default_factory=list[Answer])
    _stop: bool = False
    _thread: Thread | None = None

    def __enter__(self) -> "Load":
        self._thread = Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        if self._thread is not None:
            self._thread.join()

    async def _run(self) -> None:
        idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        tasks: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stop:
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._ask(due, idle))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for _, writer in idle:
            writer.close()

    async def _ask(self, due: float, idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        status, location = 0, ""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                connection = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", self.port)
                status, location = await self._exchange(*connection)
                idle.append(connection)
        self.answers.append(Answer(due, time.monotonic() - due, status, location))

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, str]:
        body = json.dumps(self.body).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in said[1:])}
        await reader.readexactly(int(headers["content-length"]))
        return int(said[0].split()[1]), headers.get("x-mcml-location", "")
