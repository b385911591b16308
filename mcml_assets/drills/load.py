"""A constant load through the edge while a drill runs: requests begun at fixed times, and what became of each.

A latency counts from when its request was due, so that a stall is felt by every request that it delayed. Requests are
predictions about entities that exist, in turn.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from threading import Lock, Thread
from typing import TYPE_CHECKING

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Asked
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.client import question, workload_url

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 5.0
RECENT_SECONDS = 10.0
CONNECTIONS = 64


class RunningLoad:
    """Asks until it is left; `with RunningLoad(…) as load`. Thread-safe."""

    def __init__(
        self, settings: Settings, workload: Workload, jurisdiction: str, entities: Sequence[int | str], per_second: float
    ) -> None:
        self._url = f"{workload_url(settings, workload, jurisdiction)}/infer"
        self._questions = [question(workload, entity) for entity in entities]
        self._pause = 1 / per_second
        self._asked: list[Asked] = []
        self._recent: deque[Asked] = deque()
        self._lock = Lock()
        self._stop = False
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def __enter__(self) -> "RunningLoad":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no more requests, and return when every one is answered or given up."""
        self._stop = True
        self._thread.join()

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Everything asked and settled so far."""
        with self._lock:
            return tuple(self._asked)

    def failed_share(self) -> float:
        """The share of the last 10 seconds' requests that failed; 0 while there are none."""
        with self._lock:
            while self._recent and self._recent[0].due < time.time() - RECENT_SECONDS:
                self._recent.popleft()
            return sum(one.failed for one in self._recent) / len(self._recent) if self._recent else 0.0

    async def _run(self) -> None:
        import httpx  # noqa: PLC0415 - only who asks

        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False) as client:
            tasks: set[asyncio.Task[None]] = set()
            due, number = time.time(), 0
            while not self._stop:
                await asyncio.sleep(max(0.0, due - time.time()))
                task = asyncio.create_task(self._ask(client, due, number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                due, number = due + self._pause, number + 1
            await asyncio.gather(*tasks)

    async def _ask(self, client: "httpx.AsyncClient", due: float, number: int) -> None:
        import httpx  # noqa: PLC0415 - the same

        body = self._questions[number % len(self._questions)]
        try:
            answer = await client.post(self._url, json=body)
        except httpx.HTTPError:
            self._settle(Asked(due, time.time() - due, 0))
            return
        epoch = answer.headers.get("x-mcml-route-epoch", "")
        self._settle(
            Asked(
                due,
                time.time() - due,
                answer.status_code,
                answer.headers.get("x-mcml-location", ""),
                int(epoch) if epoch.isdigit() else None,
            )
        )

    def _settle(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)
            self._recent.append(asked)
