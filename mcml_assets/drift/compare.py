"""A table of the present beside a reference: what can be compared is measured and judged, the rest is said in words.

Where the table comes from is `present.py`'s business, how it is shown the check's. Imports numpy and pyarrow: import it
inside functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mcml_assets.domain.drift import DriftLevel, DriftThresholds, Judged, judge, worst
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.drift.measures import least_p_value, measure
from mcml_assets.drift.sketch import NumericSketch, Sketch, category_sketch, merge, numbers, numeric_sketch


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdict on a table: every judged feature, the worst first, and what could not be compared, in sentences.

    `too_few` says why no verdict was possible, None when there was one. `present` and `reference` are the sketches, for
    the picture.
    """

    judged: tuple[Judged, ...]
    problems: tuple[str, ...]
    too_few: str | None
    reference: Mapping[str, Sketch]
    present: Mapping[str, Sketch]

    @property
    def level(self) -> DriftLevel:
        """The level of the worst feature; a feature that cannot be compared counts as past the second threshold."""
        return DriftLevel.ERROR if self.problems else worst(self.judged)

    @property
    def drifted(self) -> tuple[Judged, ...]:
        return tuple(one for one in self.judged if one.level is not DriftLevel.NONE)


def sketch_like(name: str, column: pa.ChunkedArray, grid: Sketch) -> Sketch:
    """The sketch of a column over the grid of another. Raises `ContractViolation` when it holds another kind of values."""
    if isinstance(grid, NumericSketch):
        return numeric_sketch(numbers(name, column), grid.edges)
    return category_sketch(name, column, grid.categories)


def sketch_tables(tables: Sequence[pa.Table], grids: Mapping[str, Sketch]) -> tuple[dict[str, Sketch], tuple[str, ...]]:
    """The sketches of several tables together, by column, and a sentence for each column that has none."""
    sketches: dict[str, Sketch] = {}
    problems: list[str] = []
    for name, grid in grids.items():
        try:
            for table in tables:
                if name not in table.column_names:
                    raise ContractViolation(f"column {name!r} is not there any more")
                sketch = sketch_like(name, table[name], grid)
                sketches[name] = merge(sketches[name], sketch) if name in sketches else sketch
        except ContractViolation as error:
            sketches.pop(name, None)
            problems.append(str(error))
    return sketches, tuple(problems)


def compare(
    reference: Mapping[str, Sketch],
    present: Mapping[str, Sketch],
    thresholds: DriftThresholds,
    problems: tuple[str, ...] = (),
) -> Comparison:
    """Judge every feature that both sides have. Features of only one side belong into `problems`, which are handed on."""
    names = [name for name in reference if name in present]
    chance = thresholds.false_alarms / max(len(names), 1)
    too_few = _too_few(reference, present, names, chance)
    measured = [] if too_few else [measure(name, reference[name], present[name], chance) for name in names]
    return Comparison(judge(measured, thresholds), problems, too_few, reference, present)


def _too_few(reference: Mapping[str, Sketch], present: Mapping[str, Sketch], names: Sequence[str], chance: float) -> str | None:
    """Why these rows cannot show drift, however large it is; None when they can."""
    if not names:
        return "there is no column to compare"
    now, then = (min(side[name].rows for name in names) for side in (present, reference))
    if now and then and least_p_value(then, now) <= chance:
        return None
    return (
        f"{now} rows beside {then} of the reference are too few to judge: for {len(names)} columns not even a complete change "
        "could be told from chance"
        if now and then
        else f"there are no rows to judge: {now} now, {then} in the reference"
    )
