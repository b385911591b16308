"""The metrics of a binary classifier, each computed for many weightings of the same rows at once, and its calibration.

Every metric takes labels `y` (0 or 1) and scores, both of shape (rows,), and weights of shape (resamples, rows), and
gives shape (resamples,). With weights of one it equals scikit-learn's figure, as a test shows. What a figure is worth
(intervals, the baseline, the gate) is `evaluate.py`'s business. Imports numpy only.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's formula, and which direction is better."""

    compute: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    larger_is_better: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean score and share of positives per bin, shapes (bins,), rows per bin; the expected calibration error."""

    mean_score: np.ndarray
    positive_share: np.ndarray
    rows: np.ndarray
    expected_error: float


def roc_auc(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The chance that a positive scores above a negative, ties counting half; NaN where a class is missing.

    The Mann-Whitney form: J. Hanley, B. McNeil, Radiology 143 (1982) 29-36.
    """
    positive, negative = _by_score(y, scores, weights)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wins = np.einsum("ij,ij->i", positive, below + negative / 2)
    return _ratio(wins, pairs)


def average_precision(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Precision at each threshold, weighted by the recall it adds, without interpolation; NaN without positives.

    M. Zhu, Recall, Precision and Average Precision, University of Waterloo (2004); as in scikit-learn.
    """
    positive, negative = (side[:, ::-1] for side in _by_score(y, scores, weights))
    true, false = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    precision = np.divide(true, true + false, out=np.zeros_like(true), where=true > 0)
    return _ratio(np.einsum("ij,ij->i", precision, positive), positive.sum(axis=1))


def log_loss(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean negative log-likelihood in nats; I. Good, Journal of the Royal Statistical Society B 14 (1952) 107-114.

    Scores are kept from 0 and 1 by float64's epsilon, as in scikit-learn, so that one wrong certainty stays finite.
    """
    certain = np.finfo("float64").eps
    likely = np.clip(np.where(y == 1, scores, 1 - scores), certain, 1 - certain)
    return weights @ -np.log(likely) / weights.sum(axis=1)


def brier(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squared difference of score and outcome; G. Brier, Monthly Weather Review 78 (1950) 1-3."""
    return weights @ (scores - y) ** 2 / weights.sum(axis=1)


METRICS = {
    "roc_auc": Metric(roc_auc, larger_is_better=True),
    "average_precision": Metric(average_precision, larger_is_better=True),
    "log_loss": Metric(log_loss, larger_is_better=False),
    "brier": Metric(brier, larger_is_better=False),
}


def calibration(y: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS) -> Calibration:
    """How far scores are from the shares of positives they promise.

    Expected calibration error: M. Naeini, G. Cooper, M. Hauskrecht, AAAI (2015); with bins of equal rows instead of
    equal width, so that rare high scores do not sit in bins of their own: J. Nixon et al., Measuring Calibration in
    Deep Learning, CVPR workshops (2019). Equal scores share a bin.
    """
    index = _bins(scores, bins)
    rows = np.bincount(index)
    filled = rows > 0
    mean_score = np.bincount(index, weights=scores, minlength=len(rows))[filled] / rows[filled]
    positive_share = np.bincount(index, weights=y, minlength=len(rows))[filled] / rows[filled]
    error = float(np.sum(rows[filled] / len(y) * np.abs(mean_score - positive_share)))
    return Calibration(mean_score, positive_share, rows[filled], error)


def calibration_by_chance(
    scores: np.ndarray, groups: np.ndarray, bins: int = CALIBRATION_BINS, resamples: int = 400, seed: int = 0
) -> float:
    """The calibration error that a perfect model of these scores exceeds in 5 % of all test sets of this size.

    The error of a perfect model is not zero in a finite test set: R. Roelofs et al., Mitigating Bias in Calibration Error
    Estimation, AISTATS (2022). Outcomes are drawn from the scores, `groups` (shape (rows,)) by group, because the rows of one
    customer resemble each other: each is as likely as its score, and they come about together.
    """
    index = _bins(scores, bins)
    members = np.equal.outer(index, np.arange(index.max() + 1)).astype("float64")
    _, groups = np.unique(groups, return_inverse=True)
    luck = np.random.default_rng(seed).random((resamples, groups.max() + 1))
    found = np.empty(resamples)
    for number, one in enumerate(luck):
        found[number] = np.abs((scores - (one[groups] < scores)) @ members).sum() / len(scores)
    return float(np.quantile(found, 0.95))


def _bins(scores: np.ndarray, bins: int) -> np.ndarray:
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, scores, side="left")


def _by_score(y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of positives and of negatives at each distinct score, ascending; shapes (resamples, scores)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    ordered = weights[:, order]
    total = np.add.reduceat(ordered, starts, axis=1)
    positive = np.add.reduceat(ordered * y[order], starts, axis=1)
    return positive, total - positive


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
