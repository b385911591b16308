"""Promises of the figures: they are those of scipy on the rows themselves, and chance passes its limits as often as said."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from mcml_assets.drift.grid import reference_sketch
from mcml_assets.drift.measures import (
    chi_square_p_value,
    jensen_shannon,
    kolmogorov_p_value,
    number_groups,
    population_stability,
    population_stability_by_chance,
    wasserstein,
)
from mcml_assets.drift.sketch import NumericSketch
from mcml_assets_tests.drift.columns import column, generator, measured

Draw = Callable[[np.random.Generator, int], np.ndarray]
ROWS = 1_000_000
SHAPES: dict[str, Draw] = {
    "normal": lambda random, rows: random.normal(size=rows),
    "narrow and far from zero": lambda random, rows: random.normal(1e6, 0.1, rows),
    "two humps": lambda random, rows: random.normal(size=rows) + 8 * (random.random(rows) < 0.4),
    "long tail": lambda random, rows: random.lognormal(3, 1, rows),
    "whole numbers": lambda random, rows: random.poisson(3, rows).astype("float64"),
    "mostly zero": lambda random, rows: random.lognormal(0, 1, rows) * (random.random(rows) < 0.1),
}
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shifted": lambda values: values + 0.05 * values.std(),
    "scaled": lambda values: values * 1.1,
    "in pence": lambda values: values * 100,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_figures_from_sketches_are_those_of_the_rows(shape: str, change: str) -> None:
    """The KS statistic is within 2e-4 of scipy's and the Wasserstein distance within 1 %."""
    random = generator(1)
    reference, present = SHAPES[shape](random, ROWS), CHANGES[change](SHAPES[shape](random, ROWS))
    found = measured(reference, present)
    statistic, _ = stats.ks_2samp(reference, present)
    assert found.kolmogorov_smirnov == pytest.approx(statistic, abs=2e-4)
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(reference, present), rel=0.01)


def test_a_shift_is_told_in_standard_deviations() -> None:
    """For a normal feature both effects say the same: the shift, and the index as its square."""
    random = generator()
    found = measured(random.normal(100, 15, ROWS), random.normal(100 + 0.5 * 15, 15, ROWS))
    assert found.shift == pytest.approx(0.5, rel=0.02)
    assert found.psi == pytest.approx(0.25, rel=0.1)


def test_jensen_shannon_is_scipys() -> None:
    """On the same groups, to base 2; equal ones have distance 0, and those without a common group 1."""
    random = generator()
    one, other = random.integers(1, 100, 12), random.integers(0, 100, 12)
    assert jensen_shannon(one, other) == pytest.approx(distance.jensenshannon(one, other, 2))
    assert jensen_shannon(np.array([3, 0]), np.array([0, 8])) == 1.0
    assert jensen_shannon(one, one) == pytest.approx(0.0, abs=1e-7)


def test_chi_square_is_scipys_where_no_group_is_small() -> None:
    """The p-value of homogeneity equals scipy's; small groups are pooled and not trusted."""
    random = generator()
    one, other = random.integers(50, 90, 6), random.integers(50, 90, 6)
    _, expected, _, _ = stats.chi2_contingency([one, other])
    assert chi_square_p_value(one, other) == pytest.approx(expected)
    assert chi_square_p_value(np.array([1000, 1, 0]), np.array([1000, 0, 1])) == 1.0


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_the_kolmogorov_p_value_is_near_the_exact_one(rows: int) -> None:
    """Also for small samples, where the limit distribution alone is off."""
    for statistic in (0.5, 1.0, 1.6):
        exact = stats.kstwo.sf(statistic / np.sqrt(rows / 2), rows // 2)
        assert kolmogorov_p_value(statistic / np.sqrt(rows / 2), rows, rows) == pytest.approx(exact, rel=0.15, abs=0.01)


def test_chance_passes_the_limits_as_rarely_as_said() -> None:
    """Of 2,000 pairs without drift about 2 % exceed the index's limit for 2 %, and hardly any the shift's, a bound."""
    random = generator(2)
    found = [measured(random.lognormal(0, 1, 400), random.lognormal(0, 1, 300), chance=0.02) for _ in range(2_000)]
    index = sum(one.psi > one.psi_by_chance for one in found)
    assert 15 <= index <= 65  # 0.02 of 2,000 is 40, four standard deviations are 25
    assert sum((one.shift or 0.0) > one.shift_by_chance for one in found) <= 65
    assert sum(one.p_value <= 0.02 for one in found) <= 65


def test_fewer_rows_widen_the_limit() -> None:
    """A hundredth of the rows needs a hundred times the index."""
    assert population_stability_by_chance(10, 100, 100, 0.01) == pytest.approx(
        100 * population_stability_by_chance(10, 10_000, 10_000, 0.01)
    )


def test_an_empty_group_gives_a_large_index_and_not_an_infinite_one() -> None:
    """Shares of zero are no reason to stop."""
    index = population_stability(np.array([500, 500, 0]), np.array([400, 400, 200]))
    assert 0.5 < index < 5


def test_a_feature_of_many_zeros_in_pence_is_found() -> None:
    """The index alone would not see it: the same rows stay in the topmost tenth. The shift does."""
    random = generator()
    reference, present = (SHAPES["mostly zero"](random, 5_000) for _ in range(2))
    found = measured(reference, present * 100)
    assert found.psi < 0.1
    assert found.effect > 100


def test_nothing_finite_has_no_distance() -> None:
    """Where one side has no finite value, there is no Wasserstein distance, and the other figures stand."""
    found = measured(np.arange(100.0), [np.inf] * 50)
    assert (found.wasserstein, found.shift) == (None, None)
    assert found.kolmogorov_smirnov == 1.0


def test_groups_are_tenths_of_the_reference() -> None:
    """Ten groups of equal size for a continuous feature, and one of missing values only where there are any."""
    sketch = reference_sketch("x", column(generator().normal(size=50_000)))
    assert isinstance(sketch, NumericSketch)
    groups = number_groups(sketch, sketch)
    assert groups.shape == (2, 10)
    assert np.abs(groups[0] - 5_000).max() <= 50
    assert wasserstein(sketch, sketch) == 0.0
