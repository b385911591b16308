"""Measuring who does the same work in turns, and putting two of them into one row; an absent or hanging peer is told."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median
from time import monotonic

from mcml_assets_tests.benchmarks.replication_peers import Hung
from mcml_assets_tests.benchmarks.replication_places import Absent
from mcml_assets_tests.benchmarks.report import Result

OURS = "ours"
UNVERIFIED = "the same without digests"
ENOUGH_SECONDS = 60.0
"""After so long no further round is begun, so that the whole benchmark ends within a quarter of an hour."""


class Turns:
    """The seconds of every contender, measured in turns, so that a noisy neighbour meets all alike.

    They meet `repeats` times, or as often as one minute allows, and at least once.
    """

    def __init__(self, contenders: Mapping[str, Callable[[], float]], repeats: int) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._hung: dict[str, int] = defaultdict(int)
        self._absent: dict[str, str] = {}
        self._rounds = 0
        began = monotonic()
        while self._rounds < repeats and (self._rounds == 0 or monotonic() - began < ENOUGH_SECONDS):
            for name, run in contenders.items():
                self._measure(name, run)
            self._rounds += 1

    def seconds(self, name: str) -> float | None:
        """The median, None for who is absent."""
        return median(self._seconds[name]) if self._seconds[name] else None

    def called(self, name: str) -> str:
        """The name, with what has to be known about its figure."""
        if name in self._absent:
            return f"{name} (absent: {self._absent[name]})"
        if self._hung[name]:
            hung = f"{self._hung[name]} of {self._rounds} times"
            return f"{name} (did not end {hung}; its time is until it did something for the last time)"
        return name

    def best(self, *names: str) -> str:
        """Who of these was fastest; the first of them if all are absent."""
        present = [name for name in names if self._seconds[name]]
        return min(present, key=lambda name: median(self._seconds[name]), default=names[0])

    def rate(self, work: str, goal: str, peer: str, amount: float, unit: str) -> Result:
        """Ours against a peer, in `amount` per second."""
        took = self.seconds(peer)
        return Result(
            f"{work}, against {self.called(peer)}", goal, amount / self._ours(), amount / took if took else None, unit
        )  # fmt: skip

    def time(self, work: str, goal: str, peer: str) -> Result:
        """Ours against a peer, in seconds."""
        return Result(f"{work}, against {self.called(peer)}", goal, self._ours(), self.seconds(peer), "s")

    def _ours(self) -> float:
        return median(self._seconds[OURS])

    def _measure(self, name: str, run: Callable[[], float]) -> None:
        if name in self._absent:
            return
        try:
            self._seconds[name].append(run())
        except Hung as hung:
            self._seconds[name].append(hung.seconds)
            self._hung[name] += 1
        except Absent as absent:
            self._absent[name] = str(absent)
