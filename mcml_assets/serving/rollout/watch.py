"""Watching a new version: it is asked golden questions, and what it answered, them and callers' copies, is counted.

What the counts say is `domain/error_budget.py`'s business, what follows from it `domain/rollout.py`'s.
"""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.error_budget import Objectives, Sample, counted, judge, rollout_window
from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.synthetic import Outcome
from mcml_assets.serving.edge.traffic_counts import LocationTraffic, exposed_counts, read_counts
from mcml_assets.serving.package import Golden
from mcml_assets.serving.synthetic import ask_endpoint

ASK_EVERY_SECONDS = 1.0
MOST_QUESTIONS = 4  # under way at once: one that hangs must not hide that the next one hangs too
KEPT_SAMPLES = 5000
# A dwell of a few seconds has no twelfth in which anything could be seen.
LEAST_WINDOW_SECONDS = 24.0


@dataclass(frozen=True, slots=True)
class EdgeCounts:
    """What the edge counted, by the server's port: what callers asked, and copies of it."""

    live: Mapping[int, LocationTraffic]
    copies: Mapping[int, LocationTraffic]

    @classmethod
    def read(cls, settings: Settings) -> "EdgeCounts":
        """The counts now. Raises `TransientError` when the edge does not tell."""
        text = exposed_counts(settings)
        return cls(*({one.port: one for one in read_counts(text, copies=copies)} for copies in (False, True)))


@dataclass(slots=True)
class Watch:
    """What is known of one version's server since it is watched; times are monotonic seconds.

    `wrong` says what it predicted otherwise than its package.
    """

    address: str
    port: int
    workload: str
    digest: str
    golden: Golden
    objectives: Objectives
    timeout_seconds: float
    samples: list[Sample] = field(default_factory=list[Sample])
    wrong: str | None = None
    _asked_at: float = 0.0
    _under_way: list["Future[Outcome]"] = field(default_factory=list["Future[Outcome]"])
    _asked: int = 0
    _failed: int = 0
    _slow: int = 0

    def step(self, now: float, counts: EdgeCounts | None, pool: Executor) -> None:
        """Take the answers that came, ask again when it is time, and note what the edge counted, if it told."""
        for future in [future for future in self._under_way if future.done()]:
            self._under_way.remove(future)
            self._take(future.result())
        if now - self._asked_at >= ASK_EVERY_SECONDS and len(self._under_way) < MOST_QUESTIONS:
            self._asked_at = now
            self._under_way.append(pool.submit(self._ask))
        if counts is None:
            return
        requests, errors, slow = self._asked, self._failed, self._slow
        for one in (counts.live.get(self.port), copies := counts.copies.get(self.port)):
            if one is not None:
                requests, errors = requests + one.requests, errors + one.failed
                slow += one.slower_than(self.objectives.latency_milliseconds)
        if copies is not None:
            # Of a copy no other location had an answer earlier: it was never given up but for its own time-out.
            errors += copies.given_up
        # What failed late is in the times as well, and no slow answer.
        self.samples.append(Sample(now, requests, errors, min(slow, requests - errors)))
        del self.samples[:-KEPT_SAMPLES]

    def forget(self) -> None:
        """Begin to count anew, and await no answer that is under way."""
        self.samples.clear()
        self._under_way.clear()

    def seen(self, seconds: float, now: float) -> int:
        """How many answers came in the last seconds."""
        return counted(self.samples, seconds, now).requests

    def condemned(self, dwell_seconds: float, now: float) -> str | None:
        """What is wrong with the version, None for nothing."""
        if self.wrong is not None:
            return f"golden predictions: {self.wrong}"
        window = rollout_window(max(LEAST_WINDOW_SECONDS, dwell_seconds))
        burn = judge(self.samples, self.objectives, [window], now).burnt
        return burn.sentence(self.objectives) if burn is not None else None

    def _ask(self) -> Outcome:
        return ask_endpoint(self.address, self.workload, self._golden_of, self.timeout_seconds)

    def _golden_of(self, location: str, digest: str) -> Golden:
        if digest != self.digest:
            raise CorruptSnapshot(f"{location} answers with package {digest[:12]} instead of {self.digest[:12]}")
        return self.golden

    def _take(self, outcome: Outcome) -> None:
        self._asked += 1
        if outcome.passed:
            self._slow += (outcome.milliseconds or 0.0) > self.objectives.latency_milliseconds
            return
        self._failed += 1
        if outcome.answered_by is not None:
            # It answered, and wrongly: no budget allows that.
            self.wrong = outcome.problem
