"""A server as its endpoint sees it: probed while it loads or serves, and draining once another took over.

What follows from a probe is `endpoint.py`'s; the probe itself is `instance.py`'s.
"""

from concurrent.futures import Executor, Future
from dataclasses import dataclass
from http import HTTPStatus

from mcml_assets.serving.instance import Instance, readiness


@dataclass(slots=True)
class WatchedServer:
    """A running instance with what its probes said. `began` and `probed_at` are monotonic seconds, `unanswered` counts the
    probes since it was ready last, and `speaks` is whether the last one was answered at all.
    """

    instance: Instance
    began: float
    probed_at: float = 0.0
    probe: Future[int | None] | None = None
    unanswered: int = 0
    speaks: bool = True

    def take_answer(self, now: float, every: float, pool: Executor) -> bool | None:
        """The result of a finished probe, once; otherwise None, and a new probe when it is time."""
        if self.probe is None:
            if now - self.probed_at >= every:
                self.probed_at, self.probe = now, pool.submit(readiness, self.instance)
            return None
        if not self.probe.done():
            return None
        status, self.probe = self.probe.result(), None
        ready, self.speaks = status == HTTPStatus.OK, status is not None
        self.unanswered = 0 if ready else self.unanswered + 1
        return ready


@dataclass(slots=True)
class DrainingServer:
    """A server that was replaced: routed until `routed_until`, asked to end at `ask_at`, killed at `kill_at`."""

    instance: Instance
    routed_until: float
    ask_at: float
    kill_at: float
