"""Promises of sketches: however rows are cut into files and locations, together they give the sketch of all rows."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import ContractViolation
from mcml_assets.drift.sketch import CategorySketch, NumericSketch, Sketch, category_sketch, merge, numbers, numeric_sketch
from mcml_assets_tests.drift.columns import column

EDGES = np.array([-1.0, 0.0, 0.5, 3.0])
VALUES = st.lists(st.one_of(st.none(), st.floats(width=32), st.sampled_from([0.0, 0.5, 3.0])), max_size=30)
WORDS = st.lists(st.sampled_from(["York", "Leeds", "Bath", "", None]), max_size=30)


def of_numbers(values: Sequence[float | None]) -> NumericSketch:
    return numeric_sketch(numbers("x", column(values, "float64")), EDGES)


def of_words(values: Sequence[str | None]) -> CategorySketch:
    return category_sketch("x", column(values, "string"), ("Leeds", "York"))


def same(one: Sketch, other: Sketch) -> bool:
    """Counts to the last row, sums up to the rounding of additions."""
    if isinstance(one, NumericSketch) and isinstance(other, NumericSketch):
        counters = ("nulls", "nans", "negative_infinite", "positive_infinite")
        alike = all(getattr(one, name) == getattr(other, name) for name in counters)
        return alike and np.array_equal(one.counts, other.counts) and np.allclose(one.sums, other.sums, rtol=1e-9, atol=1e-6)
    return one == other


@given(VALUES, VALUES, VALUES)
def test_sketches_of_numbers_merge_in_any_order(one: list[float], two: list[float], three: list[float]) -> None:
    """Merging is commutative and associative, and gives the sketch of all rows."""
    a, b, c = of_numbers(one), of_numbers(two), of_numbers(three)
    assert same(merge(a, b), merge(b, a))
    assert same(merge(merge(a, b), c), merge(a, merge(b, c)))
    assert same(reduce(merge, [c, a, b]), of_numbers([*one, *two, *three]))


@given(WORDS, WORDS, WORDS)
def test_sketches_of_categories_merge_in_any_order(one: list[str], two: list[str], three: list[str]) -> None:
    """The same, to the last row, unlisted categories and nulls included."""
    a, b, c = of_words(one), of_words(two), of_words(three)
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == of_words([*one, *two, *three])


@given(VALUES)
def test_no_row_is_lost(values: Sequence[float | None]) -> None:
    """Finite, infinite, null and NaN are counted apart, and together they are all rows."""
    sketch = of_numbers(values)
    known = [value for value in values if value is not None]
    assert sketch.rows == len(values)
    assert (sketch.nulls, sketch.nans) == (sum(value is None for value in values), sum(np.isnan(known)))
    assert sketch.positive_infinite == sum(value == np.inf for value in known)
    assert sketch.finite == sum(np.isfinite(known))


def test_a_value_at_an_edge_belongs_above_it() -> None:
    """Bins are closed below and open above, the outer ones without end."""
    sketch = of_numbers([-2.0, -1.0, 0.0, 0.4, 0.5, 2.9, 3.0, 99.0])
    assert sketch.counts.tolist() == [1, 1, 2, 2, 2]
    assert np.allclose(sketch.sums, [-2.0, -1.0, 0.4, 3.4, 102.0])


def test_whole_numbers_and_booleans_are_numbers() -> None:
    """Any numeric type of a feature view is sketched as float64; a null stays a null."""
    assert numeric_sketch(numbers("x", column([1, None, 3], "int64")), EDGES).counts.tolist() == [0, 0, 0, 1, 1]
    assert numeric_sketch(numbers("x", column([True, False, None])), EDGES).counts.tolist() == [0, 0, 1, 1, 0]


def test_sketches_over_different_grids_do_not_merge() -> None:
    """Counts of other bins or categories cannot be added: it is said, not done."""
    other = numeric_sketch(numbers("x", column([1.0])), EDGES[:2])
    for one, two in ((of_numbers([1.0]), other), (of_numbers([1.0]), of_words(["York"]))):
        with pytest.raises(ContractViolation, match="same grid"):
            merge(one, two)
