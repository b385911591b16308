"""The figures of `deploy/docs/scale-out.md`, made from `build/bench/scale_out.json`; what is around them people write.

`python -m mcml_assets_tests.benchmarks.scale_out_page` writes them again without measuring. Measuring is `scale_out.py`'s.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import LinearRegression, linear_regression
from typing import Any

from mcml_assets.configuration.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "deploy" / "docs" / "scale-out.md"
FIGURES = PROJECT_ROOT / "build" / "bench" / "scale_out.json"
BEGIN, END = "<!-- figures: begin, written by make bench-scale-out -->", "<!-- figures: end -->"
LINE = re.compile(r"(?P<what>features|training), (?P<rows>[\d,]+) rows: (?P<figure>time|peak memory)")
ROWS_ARE = {"features": "raw rows", "training": "labelled rows"}
LIMITS_GIB = (4, 16, 64)


@dataclass(frozen=True, slots=True)
class Size:
    """One size of one piece of work: rows, and seconds and GiB of Ray and of one process."""

    rows: int
    ray_seconds: float
    seconds: float
    ray_gib: float
    gib: float


def sizes(results: Iterable[Mapping[str, Any]]) -> dict[str, list[Size]]:
    """What was measured, by the work, from fewer rows to more."""
    found: dict[str, dict[int, dict[str, Mapping[str, Any]]]] = {}
    for result in results:
        if (line := LINE.fullmatch(result["name"])) is not None:
            by_rows = found.setdefault(line["what"], {})
            by_rows.setdefault(int(line["rows"].replace(",", "")), {})[line["figure"]] = result
    return {what: [_size(rows, by_rows[rows]) for rows in sorted(by_rows)] for what, by_rows in found.items()}


def _size(rows: int, of: Mapping[str, Mapping[str, Any]]) -> Size:
    time, memory = of["time"], of["peak memory"]
    return Size(rows, time["ours"], time["peer"], memory["ours"], memory["peer"])


def figures(measured: Mapping[str, Sequence[Size]]) -> str:
    """The tables and what follows from them."""
    parts = [part for what, found in measured.items() for part in (_table(what, found), _growth(what, found))]
    return "\n\n".join([*parts, _limits(measured)])


def _table(what: str, found: Sequence[Size]) -> str:
    lines = [
        f"| {what}: {ROWS_ARE[what]} | one process | local Ray | Ray takes | one process | local Ray |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.rows:,} | {one.seconds:.3g} s | {one.ray_seconds:.3g} s | {one.ray_seconds / one.seconds:.2f} times "
        f"| {one.gib:.2f} GiB | {one.ray_gib:.2f} GiB |"
        for one in found
    ]
    return "\n".join(lines)


def _growth(what: str, found: Sequence[Size]) -> str:
    if len(found) < 2:  # a line needs two points
        return f"How {what} grows is not known: one size was measured."
    memory, time = _line(found, "gib"), _line(found, "seconds")
    longer = f"{time.slope * 1e6:.3g} s" if time.slope > 0 else "no longer, as far as the machine's other work lets one see,"
    faster = [one.rows for one in found if one.ray_seconds < one.seconds]
    from_there = faster and all(one.ray_seconds < one.seconds for one in found if one.rows >= faster[0])
    told = f"Ray was the faster one from {faster[0]:,} rows on." if from_there else "From no size on Ray was the faster one."
    return (
        f"Each further million {ROWS_ARE[what]} takes one process {longer} and {memory.slope * 1e6:.2f} GiB, "
        f"beside {max(memory.intercept, 0):.2f} GiB that it takes anyway. {told}"
    )


def _limits(measured: Mapping[str, Sequence[Size]]) -> str:
    known = {what: found for what, found in measured.items() if len(found) > 1}
    if not known:
        return "How many rows a profile holds is not known: one size was measured."
    lines = [
        f"| memory of the profile | {' | '.join(f'{what}: {ROWS_ARE[what]}' for what in known)} |",
        f"| ---: |{' ---: |' * len(known)}",
    ]
    for limit in LIMITS_GIB:
        cells = [_rows_within(limit, found) for found in known.values()]
        lines.append(f"| {limit} GiB | {' | '.join(cells)} |")
    return "How many rows one process holds, by the same lines; *italic* where that is more than was measured:\n\n" + "\n".join(
        lines
    )


def _rows_within(gib: float, found: Sequence[Size]) -> str:
    memory = _line(found, "gib")
    if memory.slope <= 0:
        return "not known: memory did not grow"
    rows = max(0.0, (gib - memory.intercept) / memory.slope)
    told = f"{rows / 1e6:.3g} million"
    return f"*{told}*" if rows > found[-1].rows else told


def _line(found: Sequence[Size], figure: str) -> LinearRegression:
    return linear_regression([one.rows for one in found], [getattr(one, figure) for one in found])


def write(page: Path = PAGE, measured: Path = FIGURES) -> None:
    """Put the figures into the page, between its two marks."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{page}: the lines {BEGIN!r} and {END!r} are not there, in this order")
    made = figures(sizes(json.loads(measured.read_text("utf-8"))))
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    write()
