"""The form of every benchmark's result: a table for people, and `build/bench/<name>.json` for machines."""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter, process_time

from rich.console import Console
from rich.table import Table

from mcml_assets.configuration.settings import PROJECT_ROOT

COMPARISONS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Result:
    """One line: ours and the peer's figure in `unit`, their ratio, and whether the ratio (or ours) meets the goal.

    `goal` is written `ratio <= 1.3` or `ours <= 5`; without one the line only informs, and `met` is None. `peer` is None
    where there is none or it is absent, and the name says why; a goal that needs its figure is then not met.
    """

    name: str
    goal: str
    ours: float
    peer: float | None
    unit: str
    ratio: float | None = field(init=False)
    met: bool | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", self.ours / self.peer if self.peer else None)
        object.__setattr__(self, "met", self._met() if self.goal else None)

    def _met(self) -> bool:
        what, comparison, bound = self.goal.split()
        figure = {"ratio": self.ratio, "ours": self.ours}[what]
        return figure is not None and COMPARISONS[comparison](figure, float(bound))


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = perf_counter()
    work()
    return perf_counter() - began


def processor_seconds(work: Callable[[], object]) -> float:
    """What one call takes of all processors together."""
    began = process_time()
    work()
    return process_time() - began


def side_by_side(ours: Callable[[], float], peer: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Medians of both, measured in turns, so that a noisy neighbour meets both alike."""
    pairs = [(ours(), peer()) for _ in range(repeats)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def in_turns(contenders: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of each, by name; measured in turns, for the same reason."""
    rounds = [{name: run() for name, run in contenders.items()} for _ in range(repeats)]
    return {name: median(each[name] for each in rounds) for name in contenders}


def publish(name: str, results: Sequence[Result]) -> None:
    """Print the table and write the JSON file."""
    target = PROJECT_ROOT / "build" / "bench" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    table = Table(title=f"Benchmark {name}", title_justify="left")
    for heading in ("what", "ours", "peer", "unit", "ratio", "goal", "met"):
        table.add_column(heading, justify="right" if heading in ("ours", "peer", "ratio") else "left")
    for result in results:
        table.add_row(
            result.name, *_figures(result.ours, result.peer), result.unit, *_figures(result.ratio), result.goal,
            {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}[result.met],
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"Written to {target.relative_to(PROJECT_ROOT)}")


def markdown(results: Sequence[Result]) -> str:
    """The same table as Markdown, to be pasted."""
    lines = ["| what | ours | peer | unit | ratio | goal | met |", "| --- | ---: | ---: | --- | ---: | --- | --- |"]
    for result in results:
        met = {True: "yes", False: "no", None: ""}[result.met]
        figures = [*_figures(result.ours, result.peer), result.unit, *_figures(result.ratio)]
        lines.append(f"| {' | '.join([result.name, *figures, result.goal, met])} |")
    return "\n".join(lines)


def _figures(*values: float | None) -> list[str]:
    """Three digits of each, without exponents."""
    return ["-" if value is None else f"{float(f'{value:.3g}'):,g}" for value in values]
