"""Drift as a judgement: which features moved away from their reference, how far, and whether that is more than chance.

Pure: the figures are measured from sketches in `drift/`; here is only what follows from them. A feature has drifted when
its difference is *significant*, with the false discoveries among all features of the check held down, and *large*: an
effect beyond the threshold and beyond what samples of this size show by chance. The first keeps small samples from
crying wolf, the second large ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate


class DriftLevel(StrEnum):
    """How far a feature is from its reference: not noticeably, past the first threshold, past the second."""

    NONE = "none"
    WARN = "warn"
    ERROR = "error"


class DriftReference(StrEnum):
    """What the present is compared with: the rows the served model learnt from, or an earlier time of the same snapshot."""

    TRAINING = "training"
    PREVIOUS = "previous"
    SAME_MONTH_LAST_YEAR = "same_month_last_year"


@dataclass(frozen=True, slots=True)
class DriftThresholds:
    """What drift is judged by.

    `warn` and `error` are effects (see `Measured.effect`). By convention a population stability index below 0.1 is no
    change worth mention, above 0.25 a large one (N. Siddiqi, Credit Risk Scorecards, 2006, chapter 9; they go back to
    E. Lewis, An Introduction to Credit Scoring, 1994). `false_alarms` is the largest share of checks that may accuse
    anything when nothing changed. `window_days` is how far back the present reaches in a view whose rows bring their own
    times.
    """

    warn: float = 0.1
    error: float = 0.25
    false_alarms: float = 0.01
    reference: DriftReference = DriftReference.TRAINING
    window_days: int = 30


DEFAULT_DRIFT = DriftThresholds()


@dataclass(frozen=True, slots=True)
class Measured:
    """One feature beside its reference.

    `p_value`: how likely so large a difference is without drift. `psi`: population stability index. `shift`: Wasserstein
    distance in standard deviations that a normal distribution would have to be shifted by; None for categories, infinite
    where the reference is one constant. `psi_by_chance` and `shift_by_chance`: what samples of this size exceed without
    drift only in the share of checks that may be false alarms. `kolmogorov_smirnov` and `wasserstein` (in the feature's
    own unit) are None where they mean nothing, `new_share` (of rows in categories the reference does not list, beyond
    those it pooled) is None for numbers. `missing_change`: share of missing values now less then.
    """

    name: str
    p_value: float
    psi: float
    psi_by_chance: float
    jensen_shannon: float
    missing_change: float
    shift: float | None = None
    shift_by_chance: float = 0.0
    kolmogorov_smirnov: float | None = None
    wasserstein: float | None = None
    new_share: float | None = None

    @property
    def effect(self) -> float:
        """The larger of the index and the squared shift.

        One scale for both: between two normal distributions of equal spread the index's limit for fine bins, Jeffreys'
        divergence, is the squared shift (S. Kullback, Information Theory and Statistics, 1959, chapter 9).
        """
        return max(self.psi, (self.shift or 0.0) ** 2)


@dataclass(frozen=True, slots=True)
class Judged:
    """A measured feature with its verdict; `adjusted_p` is corrected for all features of the check."""

    measured: Measured
    adjusted_p: float
    level: DriftLevel


def judge(features: Sequence[Measured], thresholds: DriftThresholds) -> tuple[Judged, ...]:
    """The verdict on every feature, the largest effect of the worst level first."""
    adjusted = benjamini_hochberg([feature.p_value for feature in features])
    judged = [
        Judged(feature, p_value, _level(feature, p_value, thresholds))
        for feature, p_value in zip(features, adjusted, strict=True)
    ]
    severity = {level: position for position, level in enumerate(DriftLevel)}
    return tuple(sorted(judged, key=lambda one: (-severity[one.level], -one.measured.effect, one.measured.name)))


def worst(judged: Sequence[Judged]) -> DriftLevel:
    """The level of the check: that of its worst feature."""
    levels = {one.level for one in judged}
    return next((level for level in reversed(DriftLevel) if level in levels), DriftLevel.NONE)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """The values adjusted so that those at most q hold a share of at most q of false discoveries, in the given order.

    Y. Benjamini, Y. Hochberg, Controlling the False Discovery Rate, J. R. Statist. Soc. B 57 (1995) 289-300. When nothing
    drifted every discovery is false, and q then bounds how often a check accuses anything at all.
    """
    count = len(p_values)
    descending = sorted(range(count), key=lambda index: -p_values[index])
    scaled = [p_values[index] * (count / (count - place)) for place, index in enumerate(descending)]
    adjusted = dict(zip(descending, accumulate(scaled, min), strict=True))
    return tuple(min(1.0, adjusted[index]) for index in range(count))


def _level(feature: Measured, adjusted_p: float, thresholds: DriftThresholds) -> DriftLevel:
    if adjusted_p > thresholds.false_alarms:
        return DriftLevel.NONE
    for level, threshold in ((DriftLevel.ERROR, thresholds.error), (DriftLevel.WARN, thresholds.warn)):
        if feature.psi >= max(threshold, feature.psi_by_chance):
            return level
        if feature.shift is not None and feature.shift >= max(threshold**0.5, feature.shift_by_chance):
            return level
    return DriftLevel.NONE
