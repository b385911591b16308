"""What two sketches of one grid say about drift: the figures, and what they would be by chance alone.

Reference and present are taken as independent samples. Whether a figure matters is `domain/drift.py`'s business. Imports
numpy and scipy: import it inside functions.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from mcml_assets.domain.drift import Measured
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.drift.sketch import CategorySketch, NumericSketch, Sketch, same_grid

# Tenths of the reference, as scorecards are monitored (Siddiqi 2006, chapter 9), and no more: the index that chance gives
# grows with their number.
GROUPS = 10
# Categories of a smaller share of the reference are put together until they have it: at most fifty groups.
CATEGORY_SHARE = 0.02
# W. Cochran, Some Methods for Strengthening the Common Chi-Squared Tests, Biometrics 10 (1954) 417-451.
MIN_EXPECTED = 5.0
NEARLY_ALL = 0.9
# A normal distribution's mean absolute deviation is sqrt(2 / pi) of its standard deviation (R. Geary, Biometrika 27, 1935).
DEVIATION_OF_NORMAL = float(np.sqrt(2 / np.pi))


def measure(name: str, reference: Sketch, present: Sketch, chance: float) -> Measured:
    """All figures of one feature. `chance` is the probability with which a limit by chance may be passed without drift.

    Raises `ContractViolation` when the sketches are not of the same grid, `ValueError` when one of them has no row.
    """
    if same_grid(reference, present) and isinstance(reference, NumericSketch) and isinstance(present, NumericSketch):
        return _measure_numbers(name, reference, present, chance)
    if same_grid(reference, present) and isinstance(reference, CategorySketch) and isinstance(present, CategorySketch):
        return _measure_categories(name, reference, present, chance)
    raise ContractViolation(f"feature {name!r}: only sketches that were taken over the same grid can be compared")


def least_p_value(reference_rows: int, present_rows: int) -> float:
    """The smallest p-value that samples of these sizes can give: that of two distributions without a common value."""
    if not reference_rows or not present_rows:
        return 1.0
    return min(1.0, 2 * kolmogorov_p_value(1.0, reference_rows, present_rows))


def population_stability(reference: np.ndarray, present: np.ndarray) -> float:
    """The population stability index of counts by group: the sum of (q - p) ln(q / p).

    It is Jeffreys' divergence (H. Jeffreys, Proc. R. Soc. A 186 (1946) 453-461) of the shares. Half a row is added to
    every group, so that an empty one gives a large and not an infinite index (the correction of J. Haldane, Ann. Hum.
    Genet. 20 (1956) 309-311).
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (reference, present))
    return float(((q - p) * np.log(q / p)).sum())


def population_stability_by_chance(groups: int, reference_rows: int, present_rows: int, chance: float) -> float:
    """What the index exceeds with probability `chance` when nothing drifted.

    Divided by 1/n + 1/m it then follows chi-square with one degree of freedom less than groups (B. Yurdakul, J. Naranjo,
    Statistical properties of the population stability index, J. Risk Model Validation 14 (2020), no. 4).
    """
    if groups < 2:
        return 0.0
    return float(special.chdtri(groups - 1, chance)) * (1 / reference_rows + 1 / present_rows)


def jensen_shannon(reference: np.ndarray, present: np.ndarray) -> float:
    """The Jensen-Shannon distance of counts by group, to base 2: from 0 to 1.

    J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991) 145-151; its root is a
    metric (D. Endres, J. Schindelin, ibid. 49 (2003) 1858-1860).
    """
    p, q = reference / reference.sum(), present / present.sum()
    middle = (p + q) / 2
    divergence = sum(special.rel_entr(side, middle).sum() for side in (p, q)) / (2 * np.log(2))
    return float(np.sqrt(max(0.0, divergence)))


def kolmogorov_smirnov(reference: NumericSketch, present: NumericSketch) -> float:
    """The largest difference of the distribution functions, taken at the edges of the bins.

    Between edges it is larger by at most what the smaller of both holds in a bin (see `grid.BINS`). Infinite values are
    values beyond all others.
    """
    if not reference.present or not present.present or not len(reference.edges):
        return 0.0
    sides = ((np.cumsum(sketch.counts)[:-1] + sketch.negative_infinite) / sketch.present for sketch in (reference, present))
    below = (sketch.negative_infinite / sketch.present for sketch in (reference, present))
    above = (sketch.positive_infinite / sketch.present for sketch in (reference, present))
    ends = [abs(one - other) for one, other in (tuple(below), tuple(above))]
    one, other = sides
    return float(max(np.abs(one - other).max(), *ends))


def kolmogorov_p_value(statistic: float, reference_rows: int, present_rows: int) -> float:
    """How likely so large a KS statistic is without drift, by the limit distribution.

    With the correction for small samples of M. Stephens, J. R. Statist. Soc. B 32 (1970) 115-122. Ties, and a statistic
    that was taken at edges only, make the value larger, never smaller.
    """
    if not reference_rows or not present_rows:
        return 1.0
    root = float(np.sqrt(reference_rows * present_rows / (reference_rows + present_rows)))
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * statistic))


def wasserstein(reference: NumericSketch, present: NumericSketch) -> float | None:
    """The Wasserstein distance of the finite values, in the feature's unit; None when one side has none.

    It is the area between the distribution functions (S. Vallender, Theory Probab. Appl. 18 (1974) 784-786). By a bin's
    count and sum the area under each function is known exactly, wherever in the bin its values lie; so the result is exact
    but in bins where the two functions cross (see `_crossed`).
    """
    if not reference.finite or not present.finite:
        return None
    between = _areas(present) - _areas(reference)
    below = np.cumsum(present.counts)[:-1] / present.finite - np.cumsum(reference.counts)[:-1] / reference.finite
    inner = np.where(below[:-1] * below[1:] < 0, _crossed(reference, present, below), np.abs(between[1:-1]))
    return float(np.abs(between[[0, -1]]).sum() + inner.sum()) if len(below) else float(np.abs(between).sum())


def _crossed(reference: NumericSketch, present: NumericSketch, below: np.ndarray) -> np.ndarray:
    """The area between the functions in every inner bin, if their difference, `below` at the edges, changes sign there.

    Where one side has nearly all values of the bin the difference jumps at their mean, else it is taken as linear.
    """
    left, right = np.abs(below[:-1]), np.abs(below[1:])
    shares = np.array([sketch.counts[1:-1] / sketch.finite for sketch in (reference, present)])
    sums = np.array([sketch.sums[1:-1] / sketch.finite for sketch in (reference, present)])
    means = sums.sum(axis=0) / np.maximum(shares.sum(axis=0), 1e-300)
    jump = left * (means - reference.edges[:-1]) + right * (reference.edges[1:] - means)
    linear = (left**2 + right**2) / np.maximum(2 * (left + right), 1e-300) * np.diff(reference.edges)
    return np.where(shares.max(axis=0) > NEARLY_ALL * shares.sum(axis=0), jump, linear)


def points(sketch: NumericSketch) -> tuple[np.ndarray, np.ndarray]:
    """The filled bins as means and counts, both of shape (filled,)."""
    filled = sketch.counts > 0
    return sketch.sums[filled] / sketch.counts[filled], sketch.counts[filled]


def chi_square_p_value(reference: np.ndarray, present: np.ndarray) -> float:
    """How likely so large a difference of counts by group is without drift: the chi-square test of homogeneity.

    K. Pearson, Biometrika 8 (1911) 250-254. Groups with an expected count below 5 are pooled first.
    """
    table = np.vstack([reference, present]).astype("float64")
    if not table.sum(axis=1).all():
        return 1.0
    table = _pooled(table[:, np.argsort(table.sum(axis=0), kind="stable")])
    if table.shape[1] < 2:
        return 1.0
    if table.shape[1] == 2:
        return _corrected_p_value(table)
    expected = _expected(table)
    return float(special.chdtrc(table.shape[1] - 1, ((table - expected) ** 2 / expected).sum()))


def missing_p_value(reference: Sketch, present: Sketch) -> float:
    """How likely so large a difference in the share of missing values is without drift (chi-square, corrected)."""
    table = np.array([[sketch.missing, sketch.present] for sketch in (reference, present)], dtype="float64")
    return _corrected_p_value(table)


@dataclass(frozen=True, slots=True)
class Spread:
    """How far numbers lie apart: mean absolute deviation from the median, standard deviation (both in the unit)."""

    absolute: float
    standard: float


def _measure_numbers(name: str, reference: NumericSketch, present: NumericSketch, chance: float) -> Measured:
    groups = number_groups(reference, present)
    distance = wasserstein(reference, present)
    shift, shift_by_chance = _shift(reference, present, distance, chance)
    statistic = kolmogorov_smirnov(reference, present)
    shape = kolmogorov_p_value(statistic, reference.present, present.present)
    return Measured(
        name=name,
        # Two tests of one feature: the smaller value counts twice (Bonferroni).
        p_value=min(1.0, 2 * min(shape, missing_p_value(reference, present))),
        psi=population_stability(*groups),
        psi_by_chance=population_stability_by_chance(groups.shape[1], reference.rows, present.rows, chance),
        jensen_shannon=jensen_shannon(*groups),
        missing_change=present.missing / present.rows - reference.missing / reference.rows,
        shift=shift,
        shift_by_chance=shift_by_chance,
        kolmogorov_smirnov=statistic,
        wasserstein=distance,
    )


def _measure_categories(name: str, reference: CategorySketch, present: CategorySketch, chance: float) -> Measured:
    every = np.array([[*sketch.counts, sketch.other, sketch.missing] for sketch in (reference, present)], dtype="float64")
    groups = category_groups(reference, present)
    unlisted = present.other / present.rows - reference.other / reference.rows
    return Measured(
        name=name,
        p_value=chi_square_p_value(*every),
        psi=population_stability(*groups),
        psi_by_chance=population_stability_by_chance(groups.shape[1], reference.rows, present.rows, chance),
        jensen_shannon=jensen_shannon(*groups),
        missing_change=present.missing / present.rows - reference.missing / reference.rows,
        new_share=max(0.0, unlisted),
    )


def number_groups(reference: NumericSketch, present: NumericSketch) -> np.ndarray:
    """Counts of shape (2, groups): tenths of the reference, and missing values, without groups that both lack."""
    counts = np.array([_with_infinite(reference), _with_infinite(present)], dtype="float64")
    total = counts[0].sum()
    middle = (np.cumsum(counts[0]) - counts[0] / 2) / max(total, 1.0)
    tenth = np.minimum((GROUPS * middle).astype("int64"), GROUPS - 1)
    groups = np.array([np.bincount(tenth, side, GROUPS) for side in counts])
    return _without_empty(np.column_stack([groups, [reference.missing, present.missing]]))


def category_groups(reference: CategorySketch, present: CategorySketch) -> np.ndarray:
    """Counts of shape (2, groups): categories, rare ones together with the next rarer, all others, and missing values."""
    enough = CATEGORY_SHARE * reference.present
    group, filled, groups = 0, 0, []
    for count in reference.counts:
        groups.append(group)
        filled += count
        if filled >= enough:
            group, filled = group + 1, 0
    counts = np.array(
        [np.bincount(np.array(groups, dtype="int64"), sketch.counts, group + 1) for sketch in (reference, present)]
    )
    rest = [[sketch.other, sketch.missing] for sketch in (reference, present)]
    return _without_empty(np.column_stack([counts, rest]))


def _shift(
    reference: NumericSketch, present: NumericSketch, distance: float | None, chance: float
) -> tuple[float | None, float]:
    """The distance in standard deviations of a shifted normal distribution, and what it exceeds by chance.

    By chance the distance is sqrt(2 / pi) sqrt(1/n + 1/m) times the integral of sqrt(F (1 - F)) on average (S. Bobkov,
    M. Ledoux, One-dimensional empirical measures, Memoirs AMS 1259 (2019), section 3), and its variance at most the
    values' own times 1/n + 1/m, since one value moved by d moves it by at most d/n (B. Efron, C. Stein, The jackknife
    estimate of variance, Ann. Statist. 9 (1981) 586-596). The limit adds the normal quantile of that to the average.
    """
    if distance is None:
        return None, 0.0
    own = spread(reference)
    unit = own.absolute / DEVIATION_OF_NORMAL
    if unit == 0.0:
        return (float("inf") if distance > 0 else 0.0), 0.0
    inverse_rows = 1 / reference.finite + 1 / present.finite
    deviation = max(own.standard, spread(present).standard)
    average = DEVIATION_OF_NORMAL * max(_root_area(reference), _root_area(present))
    limit = float(np.sqrt(inverse_rows)) * (average - float(special.ndtri(chance)) * deviation)
    return distance / unit, float(limit / unit)


def spread(sketch: NumericSketch) -> Spread:
    """The spread of the finite values, each taken at the mean of its bin."""
    means, counts = points(sketch)
    total = counts.sum()
    median = means[np.searchsorted(np.cumsum(counts), total / 2)]
    average = (counts * means).sum() / total
    variance = (counts * (means - average) ** 2).sum() / total
    return Spread(float((counts * np.abs(means - median)).sum() / total), float(np.sqrt(variance)))


def _areas(sketch: NumericSketch) -> np.ndarray:
    """The area under the distribution function in each bin; in the last, which has no end, minus the area above it."""
    counts, sums, edges, total = sketch.counts.astype("float64"), sketch.sums, sketch.edges, sketch.finite
    if not len(edges):
        return -sums / total
    before = np.cumsum(counts)[:-2]
    inner = before * np.diff(edges) + counts[1:-1] * edges[1:] - sums[1:-1]
    return np.concatenate([[counts[0] * edges[0] - sums[0]], inner, [counts[-1] * edges[-1] - sums[-1]]]) / total


def _root_area(sketch: NumericSketch) -> float:
    """The integral of sqrt(F (1 - F)); the tails beyond the edges are taken as exponential with the mean they have."""
    counts, sums = sketch.counts.astype("float64"), sketch.sums
    if not len(sketch.edges):
        return 0.0
    edges, total = sketch.edges, counts.sum()
    share = np.cumsum(counts)[:-1] / total
    height = np.sqrt(np.clip(share * (1 - share), 0.0, None))
    inner = float((np.diff(edges) * (height[1:] + height[:-1]) / 2).sum())
    tails = 0.0
    for count, total_in_tail, edge in ((counts[0], sums[0], edges[0]), (counts[-1], sums[-1], edges[-1])):
        if count:
            tails += 2 * abs(total_in_tail / count - edge) * float(np.sqrt(count / total))
    return inner + tails


def _with_infinite(sketch: NumericSketch) -> np.ndarray:
    counts = sketch.counts.copy()
    counts[0] += sketch.negative_infinite
    counts[-1] += sketch.positive_infinite
    return counts


def _without_empty(groups: np.ndarray) -> np.ndarray:
    return groups[:, groups.sum(axis=0) > 0]


def _pooled(ascending: np.ndarray) -> np.ndarray:
    """Counts of shape (2, groups), smallest group first, with as many of the first ones put together as it takes."""
    smaller_side = ascending.sum(axis=1).min() / ascending.sum()
    expected = np.cumsum(ascending.sum(axis=0)) * smaller_side
    pooled = int(np.searchsorted(expected, MIN_EXPECTED)) + 1
    return np.column_stack([ascending[:, :pooled].sum(axis=1), ascending[:, pooled:]])


def _expected(table: np.ndarray) -> np.ndarray:
    return np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()


def _corrected_p_value(table: np.ndarray) -> float:
    """The chi-square test of a 2 x 2 table with the continuity correction of F. Yates, Suppl. J. R. Statist. Soc. 1 (1934)."""
    if not table.sum(axis=0).all() or not table.sum(axis=1).all():
        return 1.0
    expected = _expected(table)
    excess = np.clip(np.abs(table - expected) - 0.5, 0.0, None)
    return float(special.chdtrc(1, (excess**2 / expected).sum()))
