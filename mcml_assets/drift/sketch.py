"""Sketches: one column as counts, small enough to be stored with a model, and mergeable across files and locations.

A sketch is taken over a *grid* that its reference laid: cut points for numbers, listed categories for text. Sketches of
one grid merge by addition. What a sketch keeps of people is bounded by the grid, which `grid.py` lays; what two sketches
say about each other is `measures.py`'s business. Imports numpy and pyarrow: import it inside functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcml_assets.domain.errors import ContractViolation


@dataclass(frozen=True, slots=True, eq=False)
class NumericSketch:
    """Numbers, booleans among them, in the bins that `edges` cut: below the first, between two, from the last.

    `edges` (float64, ascending, shape (k,)); `counts` (int64, shape (k + 1,)) and `sums` (float64, the same) are of the
    finite values of a bin, and a value at an edge belongs above it. Sums make the Wasserstein distance exact where bins
    alone would be far off. `nulls`, `nans`, `negative_infinite` and `positive_infinite` count what is no finite value. A
    minimum and a maximum are not kept: each is one person's value.
    """

    edges: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    nulls: int = 0
    nans: int = 0
    negative_infinite: int = 0
    positive_infinite: int = 0

    @property
    def finite(self) -> int:
        return int(self.counts.sum())

    @property
    def missing(self) -> int:
        return self.nulls + self.nans

    @property
    def present(self) -> int:
        """How many values there are, infinite ones included."""
        return self.finite + self.negative_infinite + self.positive_infinite

    @property
    def rows(self) -> int:
        return self.present + self.missing

    def quantile(self, share: float) -> float:
        """The mean of the bin that holds this share of the finite values; NaN when there are none."""
        filled = self.counts > 0
        if not filled.any():
            return float("nan")
        reached = np.cumsum(self.counts[filled])
        place = int(np.searchsorted(reached, share * reached[-1]))
        return float(self.sums[filled][place] / self.counts[filled][place])


@dataclass(frozen=True, slots=True)
class CategorySketch:
    """Text as counts of the listed `categories`; `other` counts every value that is not listed, `nulls` the missing."""

    categories: tuple[str, ...]
    counts: tuple[int, ...]
    other: int = 0
    nulls: int = 0

    @property
    def missing(self) -> int:
        return self.nulls

    @property
    def present(self) -> int:
        return sum(self.counts) + self.other

    @property
    def rows(self) -> int:
        return self.present + self.nulls


Sketch = NumericSketch | CategorySketch


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers made ready: the finite values ascending, and how many others there are."""

    ascending: np.ndarray
    nulls: int
    nans: int
    negative_infinite: int
    positive_infinite: int


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column holds categories rather than numbers."""
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def numbers(name: str, column: pa.ChunkedArray) -> Numbers:
    """The column's values, sorted. Raises `ContractViolation` naming the column when they are no numbers."""
    of = pa.types
    if not (of.is_boolean(column.type) or of.is_integer(column.type) or of.is_floating(column.type) or of.is_null(column.type)):
        raise ContractViolation(f"column {name!r} holds {column.type}, where its reference holds numbers")
    ascending = np.sort(column.cast(pa.float64()).to_numpy())  # NaN, and with it null, comes last
    first_finite = int(np.searchsorted(ascending, -np.inf, side="right"))
    past_finite = int(np.searchsorted(ascending, np.inf, side="left"))
    past_infinite = int(np.searchsorted(ascending, np.inf, side="right"))
    return Numbers(
        ascending[first_finite:past_finite],
        nulls=column.null_count,
        nans=len(ascending) - past_infinite - column.null_count,
        negative_infinite=first_finite,
        positive_infinite=past_infinite - past_finite,
    )


def numeric_sketch(values: Numbers, edges: np.ndarray) -> NumericSketch:
    """The values counted and summed in the bins of a grid."""
    ascending = values.ascending
    starts = np.concatenate([[0], np.searchsorted(ascending, edges, side="left")])
    counts = np.diff(starts, append=len(ascending))
    sums = np.zeros(len(counts))
    filled = counts > 0
    if filled.any():
        sums[filled] = np.add.reduceat(ascending, starts[filled])
    return NumericSketch(edges, counts, sums, values.nulls, values.nans, values.negative_infinite, values.positive_infinite)


def category_sketch(name: str, column: pa.ChunkedArray, categories: Sequence[str]) -> CategorySketch:
    """The column's values counted by the listed categories. Raises `ContractViolation` when it holds no text."""
    found = category_counts(name, column)
    listed = tuple(found.get(category, 0) for category in categories)
    return CategorySketch(tuple(categories), listed, sum(found.values()) - sum(listed), column.null_count)


def category_counts(name: str, column: pa.ChunkedArray) -> dict[str, int]:
    """How often each value occurs. Raises `ContractViolation` naming the column when it holds no text."""
    if pa.types.is_null(column.type):
        return {}
    if not is_text(column):
        raise ContractViolation(f"column {name!r} holds {column.type}, where its reference holds categories")
    counted = pc.value_counts(column)  # pyright: ignore[reportAttributeAccessIssue] - pyarrow makes its functions at import
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return {value: count for value, count in pairs if value is not None}


def merge(one: Sketch, other: Sketch) -> Sketch:
    """The sketch of both columns together. Raises `ContractViolation` when they were not taken over the same grid.

    Commutative and associative: exactly in all counts, and in the sums up to the rounding of additions.
    """
    if not same_grid(one, other):
        raise ContractViolation("only sketches that were taken over the same grid can be merged")
    if isinstance(one, NumericSketch) and isinstance(other, NumericSketch):
        return NumericSketch(
            one.edges, one.counts + other.counts, one.sums + other.sums, one.nulls + other.nulls, one.nans + other.nans,
            one.negative_infinite + other.negative_infinite, one.positive_infinite + other.positive_infinite,
        )  # fmt: skip
    if isinstance(one, CategorySketch) and isinstance(other, CategorySketch):
        counts = tuple(left + right for left, right in zip(one.counts, other.counts, strict=True))
        return CategorySketch(one.categories, counts, one.other + other.other, one.nulls + other.nulls)
    raise AssertionError("sketches of one grid are of one kind")


def same_grid(one: Sketch, other: Sketch) -> bool:
    """Whether two sketches were taken over the same cut points or categories, so that they can be merged and compared."""
    if isinstance(one, NumericSketch) and isinstance(other, NumericSketch):
        return one.edges is other.edges or np.array_equal(one.edges, other.edges)
    if isinstance(one, CategorySketch) and isinstance(other, CategorySketch):
        return one.categories == other.categories
    return False
