"""Judging a candidate: metrics with confidence intervals, a baseline on the same split, calibration, and the gate.

Intervals are percentile intervals (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) of a
bootstrap that draws entities, not rows, because one customer's rows at several times resemble each other (A. Davison,
D. Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). Candidate and baseline are computed on the same
draws, so their difference is paired. The formulas of the metrics are in `metrics.py`; plots and logging elsewhere.
Imports numpy only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.quality import GateDecision, QualityThresholds
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.training.metrics import METRICS, Calibration, calibration

RESAMPLES = 1_000
CONFIDENCE = 0.95
# Fewer people of a class give a bootstrap whose interval is too narrow, down to a single point for one person: then
# there is none. Ten is the usual rule of thumb (P. Peduzzi et al., Journal of Clinical Epidemiology 49 (1996)
# 1373-1379).
MIN_ENTITIES_PER_CLASS = 10
# Resamples are weighted in blocks of about this many numbers (32 MB), so that memory does not grow with the test set.
BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % confidence interval; `low` and `high` are NaN when the test rows cannot give one."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a candidate did on the test rows, beside the prior.

    `candidate`, `baseline` and `improvement` are estimates by metric (`roc_auc`, `average_precision`, `log_loss`,
    `brier`); an improvement is corrected in sign, so larger is better for every metric. `metric` is the one that
    decides. The baseline gives every row `prior`, the positive share of the training rows.
    """

    metric: str
    candidate: Mapping[str, Estimate]
    baseline: Mapping[str, Estimate]
    improvement: Mapping[str, Estimate]
    calibration: Calibration
    prior: float
    train_rows: int
    test_rows: int
    test_entities: int
    test_positives: int
    resamples: int


def check_metric(metric: str) -> None:
    """Raise `ConfigurationError` unless the platform computes `metric`."""
    if metric not in METRICS:
        raise ConfigurationError(f"training.metric: unknown metric {metric!r}{did_you_mean(metric, METRICS)}")


def evaluate(
    y: np.ndarray,
    scores: np.ndarray,
    entities: np.ndarray,
    *,
    y_train: np.ndarray,
    metric: str,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Judge `scores` (probabilities of class 1) against `y` (0 or 1), both of shape (test rows,).

    `entities` says whom each row belongs to; draws are of entities. `y_train` gives the baseline's prior. Intervals are
    NaN when fewer than `MIN_ENTITIES_PER_CLASS` entities have a positive row, or a negative one.
    Raises `ConfigurationError` for an unknown metric.
    """
    check_metric(metric)
    y = np.asarray(y, dtype="float64")
    prior = float(np.mean(y_train))
    answers = {"candidate": np.asarray(scores, dtype="float64"), "baseline": np.full(len(y), prior)}
    _, groups = np.unique(np.asarray(entities), return_inverse=True)
    point, drawn = _measured(y, answers, groups, tuple(METRICS), resamples, seed)
    estimates = {key: _estimate(point[key], drawn[key]) for key in drawn}
    improvement = {name: _advantage(point, drawn, name, "baseline") for name in METRICS}
    return Evaluation(
        metric=metric,
        candidate={name: estimates["candidate", name] for name in METRICS},
        baseline={name: estimates["baseline", name] for name in METRICS},
        improvement=improvement,
        calibration=calibration(y, answers["candidate"]),
        prior=prior,
        train_rows=len(y_train),
        test_rows=len(y),
        test_entities=int(groups.max()) + 1,
        test_positives=int(y.sum()),
        resamples=resamples,
    )


def advantages(
    y: np.ndarray,
    scores: np.ndarray,
    others: Mapping[str, np.ndarray],
    entities: np.ndarray,
    *,
    metric: str,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """By how much `scores` are better than each of `others` on the same rows, in the metric's unit, larger is better.

    All arrays have shape (rows,); intervals are of `confidence`, over entities, and NaN as in `evaluate`.
    """
    answers = {"candidate": np.asarray(scores, dtype="float64"), **others}
    _, groups = np.unique(np.asarray(entities), return_inverse=True)
    point, drawn = _measured(np.asarray(y, dtype="float64"), answers, groups, (metric,), resamples, seed)
    return {who: _advantage(point, drawn, metric, who, confidence) for who in others}


def gate(evaluation: Evaluation, thresholds: QualityThresholds) -> GateDecision:
    """Pass when the deciding improvement's lower end lies above `min_improvement`; unknown is not passed."""
    name = evaluation.metric
    improvement = evaluation.improvement[name]
    passed = improvement.low > thresholds.min_improvement  # False for NaN
    figures = (
        f"{name} {evaluation.candidate[name]} against the baseline's {evaluation.baseline[name].value:.4f}: "
        f"better by {improvement}, 95 % interval over {evaluation.test_entities} entities"
    )
    if np.isnan(improvement.low):
        return GateDecision(False, f"{figures}; a class has fewer than {MIN_ENTITIES_PER_CLASS} entities, so none")
    verdict = "above" if passed else "not above"
    return GateDecision(passed, f"{figures}; its lower end is {verdict} {thresholds.min_improvement:g}")


_Measure: TypeAlias = tuple[str, str]
"""Whose answer, in which metric."""


def _measured(
    y: np.ndarray,
    answers: Mapping[str, np.ndarray],
    groups: np.ndarray,
    metrics: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[dict[_Measure, float], dict[_Measure, np.ndarray]]:
    """Every answer's metrics on the rows, and on the same draws of them, shape (resamples,); NaN where rows are too few."""
    drawn = {(who, name): np.full(resamples, np.nan) for who in answers for name in metrics}
    enough = min(len(np.unique(groups[y == label])) for label in (0, 1)) >= MIN_ENTITIES_PER_CLASS
    for start, weights in _draws(groups, resamples, seed) if enough else ():
        for who, name in drawn:
            drawn[who, name][start : start + len(weights)] = METRICS[name].compute(y, answers[who], weights)
    once = np.ones((1, len(y)))
    return {(who, name): float(METRICS[name].compute(y, answers[who], once)[0]) for who, name in drawn}, drawn


def _advantage(
    point: Mapping[_Measure, float],
    drawn: Mapping[_Measure, np.ndarray],
    metric: str,
    other: str,
    confidence: float = CONFIDENCE,
) -> Estimate:
    sign = 1.0 if METRICS[metric].larger_is_better else -1.0
    value = sign * (point["candidate", metric] - point[other, metric])
    return _estimate(value, sign * (drawn["candidate", metric] - drawn[other, metric]), confidence)


def _draws(groups: np.ndarray, resamples: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of bootstrap weights: (index of the first resample, how often each row was drawn, shape (block, rows))."""
    generator = np.random.default_rng(seed)
    size = int(groups.max()) + 1
    block = max(1, BLOCK // max(len(groups), size))
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        picks = generator.integers(0, size, (count, size)) + np.arange(count)[:, None] * size
        weights = np.bincount(picks.ravel(), minlength=count * size).reshape(count, size)
        yield start, weights[:, groups].astype("float64")


def _estimate(value: float, drawn: np.ndarray, confidence: float = CONFIDENCE) -> Estimate:
    defined = drawn[np.isfinite(drawn)]  # a draw of one class has no AUC; with ten of each it is one in 20,000
    if len(defined) == 0:
        return Estimate(value, float("nan"), float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
