"""Lays the grid of a reference: where its numbers are cut and which of its categories are listed. A grid goes with the
model to every location, so this is also where it is decided what it may tell of people.

Everything a reference keeps is shared by at least `MIN_ROWS` rows: every bin that is not empty, every listed category,
every value that has a bin of its own. Other cut points lie between values and are none. Imports numpy: import it inside
functions.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from mcml_assets.drift.sketch import (
    CategorySketch,
    Numbers,
    NumericSketch,
    Sketch,
    category_counts,
    is_text,
    numbers,
    numeric_sketch,
)

# With bins of at most this share of the reference, a KS statistic read off the edges is at most that share too small:
# 1.2e-4. Between two edges the reference's distribution grows by no more.
BINS = 8192
# As small a group as no report on people may show: the usual bound of statistical disclosure control (A. Hundepool et
# al., Statistical Disclosure Control, 2012, section 4.2, where offices of statistics use 3 to 10).
MIN_ROWS = 10
# The most frequent of those that have MIN_ROWS rows; the others are pooled.
MAX_CATEGORIES = 10_000
DECIMALS = range(-9, 16)
TAIL = 32


def reference_sketch(name: str, column: pa.ChunkedArray) -> Sketch:
    """The sketch of a reference column, over a grid laid for it. Raises `ContractViolation` for neither numbers nor text."""
    if is_text(column):
        return _category_reference(category_counts(name, column), column.null_count)
    return numeric_reference(numbers(name, column))


def numeric_reference(values: Numbers) -> NumericSketch:
    """The sketch of reference numbers over a grid laid for them; fewer than `MIN_ROWS` numbers are counted as missing."""
    if len(values.ascending) < MIN_ROWS:
        none = Numbers(np.empty(0), values.nulls + len(values.ascending), values.nans, 0, 0)
        return numeric_sketch(none, np.empty(0))
    return _shared(numeric_sketch(values, cut_points(values.ascending)))


def cut_points(ascending: np.ndarray) -> np.ndarray:
    """Cut points (ascending) for sorted finite values of shape (n,): bins of about equally many, fewer towards the ends.

    A value that fills a bin has one to itself, so that whole numbers and the many zeros of amounts stay exact.
    """
    depth = max(-(-len(ascending) // BINS), MIN_ROWS)
    atoms = np.unique(ascending[depth - 1 :][ascending[depth - 1 :] == ascending[: len(ascending) - depth + 1]])
    # Between heavy values a cut where each bin is full; in a run of equal values it moves to the run's end.
    ranks = _ranks(len(ascending), depth)
    ranks = np.where(ascending[ranks - 1] == ascending[ranks], np.searchsorted(ascending, ascending[ranks], "right"), ranks)
    ranks = np.unique(ranks[ranks < len(ascending)])
    below, above = ascending[ranks - 1], ascending[ranks]
    free = ~(np.isin(below, atoms) | np.isin(above, atoms))
    return np.unique(np.concatenate([atoms, np.nextafter(atoms, np.inf), _between(below[free], above[free])]))


def _ranks(rows: int, depth: int) -> np.ndarray:
    """At which ranks to cut `rows` sorted values: every `depth`, and more often towards both ends, by a share of the rest.

    A long tail is most of a Wasserstein distance: as one bin it would hide where two distributions cross.
    """
    ranks, rank = [], 0
    while (rank := rank + min(depth, max(MIN_ROWS, rank // TAIL))) <= rows // 2:
        ranks.append(rank)
    ranks = np.array([*ranks, rows // 2])
    return np.unique(np.concatenate([ranks, rows - ranks]))


def _between(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The shortest decimal number in each interval (below, above]: a cut point that tells of no value more than it must."""
    middle = below + (above - below) / 2
    chosen = np.where(middle > below, middle, above)
    left = np.arange(len(above))
    for decimals in DECIMALS:
        rounded = np.round(middle[left], decimals)
        fits = (rounded > below[left]) & (rounded <= above[left])
        chosen[left[fits]] = rounded[fits]
        left = left[~fits]
    return chosen


def _shared(sketch: NumericSketch) -> NumericSketch:
    """The same sketch without bins of fewer than `MIN_ROWS` values: they are counted in the next full bin below them.

    The distribution function is off by less than `MIN_ROWS` rows there, and right again at the next edge.
    """
    full = sketch.counts >= MIN_ROWS
    places = np.arange(len(full))
    target = np.maximum.accumulate(np.where(full, places, -1))
    target[target < 0] = int(np.argmax(full))  # those below the first full bin
    counts = np.bincount(target, sketch.counts, len(full)).astype("int64")
    sums = np.bincount(target, sketch.sums, len(full))
    return replace(sketch, counts=counts, sums=sums)


def _category_reference(found: Mapping[str, int], nulls: int) -> CategorySketch:
    frequent = sorted((value for value, count in found.items() if count >= MIN_ROWS), key=lambda value: (-found[value], value))
    listed = tuple(frequent[:MAX_CATEGORIES])
    counts = tuple(found[value] for value in listed)
    return CategorySketch(listed, counts, sum(found.values()) - sum(counts), nulls)
