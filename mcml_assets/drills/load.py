"""A constant load through the edge while a drill runs: requests begun at fixed times, and what became of each.

They are synthetic transactions, which take the way of any prediction and are nobody's: no caller's figures, no log and no
drift know of them. A latency counts from when its request was due, so that a stall is felt by every request it delayed.
"""

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Asked
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.client import edge_client, workload_url
from mcml_assets.serving.golden import SYNTHETIC

if TYPE_CHECKING:
    import httpx

OK = 200
TOLERANCE = 1e-9
TIMEOUT_SECONDS = 5.0
RECENT_SECONDS = 10.0
UNDER_WAY = 64
"""Requests at the same time; past it they are late, which their latency tells."""


class RunningLoad:
    """Asks until it is left: `with RunningLoad(…) as load`. Thread-safe. Raises as `edge_client` does."""

    def __init__(self, settings: Settings, workload: Workload, jurisdiction: str, per_second: float) -> None:
        self._url = f"{workload_url(settings, workload, jurisdiction)}/{SYNTHETIC}"
        self._client = edge_client(settings, TIMEOUT_SECONDS)
        self._pause = 1 / per_second
        self._asked: list[Asked] = []
        self._recent: deque[Asked] = deque()
        self._given: dict[str, list[float]] = {}
        self._lock = Lock()
        self._stop = False
        self._thread = Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> "RunningLoad":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Begin no more requests, and return when every one is answered or given up."""
        self._stop = True
        self._thread.join()
        self._client.close()

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Everything asked and settled so far."""
        with self._lock:
            return tuple(self._asked)

    def failed_share(self, seconds: float = RECENT_SECONDS) -> float:
        """The share of the last seconds' requests that failed, 10 at most; 0 while there are none."""
        now = time.time()
        with self._lock:
            while self._recent and self._recent[0].due < now - RECENT_SECONDS:
                self._recent.popleft()
            recent = [one.failed for one in self._recent if one.due >= now - seconds]
        return sum(recent) / len(recent) if recent else 0.0

    def _run(self) -> None:
        due = time.time()
        with ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="load") as pool:
            while not self._stop:
                time.sleep(max(0.0, due - time.time()))
                pool.submit(self._ask, due)
                due += self._pause

    def _ask(self, due: float) -> None:
        import httpx  # noqa: PLC0415 - only who asks

        try:
            answer = self._client.get(self._url)
        except httpx.HTTPError:
            self._settle(Asked(due, time.time() - due, 0))
            return
        self._settle(replace(_answered(due, answer), wrong=self._is_wrong(answer)))

    def _is_wrong(self, answer: "httpx.Response") -> bool:
        """Whether a package gives other scores for the question, always the same, than it gave at first."""
        if answer.status_code != OK:
            return False
        try:
            document: dict[str, Any] = answer.json()
            digest, scores = str(document["digest"]), list(map(float, document["predictions"]))
        except (ValueError, KeyError, TypeError):
            return True  # an answer that is none
        with self._lock:
            given = self._given.setdefault(digest, scores)
        return len(scores) != len(given) or any(abs(one - first) > TOLERANCE for one, first in zip(scores, given, strict=True))

    def _settle(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)
            self._recent.append(asked)


def _answered(due: float, answer: "httpx.Response") -> Asked:
    epoch = answer.headers.get("x-mcml-route-epoch", "")
    location = answer.headers.get("x-mcml-location", "")
    return Asked(due, time.time() - due, answer.status_code, location, int(epoch) if epoch.isdigit() else None)
