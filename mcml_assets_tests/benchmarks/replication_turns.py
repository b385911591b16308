"""Measuring who does the same work in turns, and putting two of them into one row; an absent or hanging peer is told."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median

from mcml_assets_tests.benchmarks.replication_peers import Absent, Hung
from mcml_assets_tests.benchmarks.report import Result

OURS = "ours"
UNVERIFIED = "the same without digests"


class Turns:
    """The seconds of every contender, measured in turns, so that a noisy neighbour meets all alike."""

    def __init__(self, contenders: Mapping[str, Callable[[], float]], repeats: int) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._hung: dict[str, int] = defaultdict(int)
        self._absent: dict[str, str] = {}
        self._repeats = repeats
        for _ in range(repeats):
            for name, run in contenders.items():
                self._measure(name, run)

    def seconds(self, name: str) -> float | None:
        """The median, None for who is absent."""
        return median(self._seconds[name]) if self._seconds[name] else None

    def called(self, name: str) -> str:
        """The name, with what has to be known about its figure."""
        if name in self._absent:
            return f"{name} (absent: {self._absent[name]})"
        if self._hung[name]:
            hung = f"{self._hung[name]} of {self._repeats} times"
            return f"{name} (did not end {hung}; its time is until the last object had arrived)"
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
