"""Promises of a reference's grid: it tells of no group smaller than ten rows, and still lets nothing of size pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.drift.grid import BINS, MIN_ROWS, reference_sketch
from mcml_assets.drift.sketch import CategorySketch, NumericSketch
from mcml_assets_tests.drift.columns import column, generator


def numeric(values: np.ndarray | list[float]) -> NumericSketch:
    sketch = reference_sketch("x", column(values, "float64"))
    assert isinstance(sketch, NumericSketch)
    return sketch


LISTS = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e-300])), max_size=400)


@given(LISTS)
@settings(max_examples=300)
def test_every_bin_is_shared_by_ten_rows(values: list[float]) -> None:
    """Whatever the values: a bin is empty or holds at least ten, no value is lost, and edges ascend."""
    sketch = numeric(values)
    filled = sketch.counts[sketch.counts > 0]
    assert (filled >= MIN_ROWS).all()
    assert sketch.rows == len(values)
    assert sketch.finite == (len(values) if len(values) >= MIN_ROWS else 0)
    assert (np.diff(sketch.edges) > 0).all()
    assert np.isclose(sketch.sums.sum(), sum(values) if sketch.finite else 0.0, rtol=1e-9, atol=1e-3)


def test_no_cut_point_is_a_persons_value() -> None:
    """A value that fewer than ten rows share is nowhere in the grid."""
    values = np.concatenate([generator().lognormal(3, 1, 5_000), np.repeat([20.0, 50.0], 200)])
    edges = set(numeric(values).edges.tolist())
    assert {20.0, 50.0} <= edges
    assert edges & set(values.tolist()) == {20.0, 50.0}


def test_a_heavy_value_has_a_bin_of_its_own() -> None:
    """The many zeros of an amount stay exact: a value beside them is never counted as one of them."""
    values = np.concatenate([np.zeros(900), generator().lognormal(0, 1, 100)])
    sketch = numeric(values)
    place = int(np.searchsorted(sketch.edges, 0.0, side="right"))
    assert sketch.edges[place - 1] == 0.0
    assert sketch.edges[place] == np.nextafter(0.0, 1.0)
    assert sketch.counts[place] >= 900


@pytest.mark.parametrize("rows", [1_000, 100_000])
def test_bins_are_fine_where_rows_allow(rows: int) -> None:
    """No bin of a continuous feature holds more than the share that bounds the error of a KS statistic."""
    largest = numeric(generator().normal(size=rows)).counts.max() / rows
    assert largest <= 2 * max(1 / BINS, MIN_ROWS / rows)


def test_rare_categories_are_pooled() -> None:
    """A category of nine rows is not named; its rows are counted with all others that are not."""
    sketch = reference_sketch("x", column(["York"] * 30 + ["Leeds"] * 10 + ["Ely"] * 9 + ["Bath"]))
    assert sketch == CategorySketch(("York", "Leeds"), (30, 10), other=10)


def test_ten_thousand_categories_are_fine() -> None:
    """As many categories as are frequent enough are listed, the most frequent first."""
    words = [f"c{number:05}" for number in range(10_000) for _ in range(10 + number % 3)]
    sketch = reference_sketch("x", column(words))
    assert isinstance(sketch, CategorySketch)
    assert (len(sketch.categories), sketch.other, sketch.categories[0]) == (10_000, 0, "c00002")
