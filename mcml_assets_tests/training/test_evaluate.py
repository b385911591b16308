"""Promises of judging: honest intervals, and a gate that luck and lack of information do not pass."""

from math import erf

import numpy as np
import pytest

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.quality import QualityThresholds
from mcml_assets.training.evaluate import Evaluation, evaluate, gate

NO_MARGIN = QualityThresholds(min_improvement=0.0)


Binormal = tuple[np.ndarray, np.ndarray, np.ndarray]


def binormal(generator: np.random.Generator, entities: int, rows_each: int, distance: float) -> Binormal:
    """Entities of a constant class whose rows share half their noise; the true AUC is Phi(distance / sqrt 2)."""
    label = (generator.random(entities) < 0.4).astype(float)
    shared = generator.normal(size=entities)
    groups = np.repeat(np.arange(entities), rows_each)
    own = generator.normal(size=len(groups))
    latent = distance * label[groups] + np.sqrt(0.5) * shared[groups] + np.sqrt(0.5) * own
    return label[groups], 1 / (1 + np.exp(-latent)), groups


def judge(y: np.ndarray, scores: np.ndarray, entities: np.ndarray, metric: str = "roc_auc") -> Evaluation:
    return evaluate(y, scores, entities, y_train=y, metric=metric)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Over 300 simulated test sets with three correlated rows per customer, about 95 % of intervals hold the true AUC."""
    generator = np.random.default_rng(7)
    truth = 0.5 * (1 + erf(1.0 / 2))
    covered = 0
    for _ in range(300):
        y, scores, entities = binormal(generator, 120, 3, 1.0)
        interval = evaluate(y, scores, entities, y_train=y, metric="roc_auc", resamples=300).candidate["roc_auc"]
        covered += interval.low <= truth <= interval.high
    # The standard error of a coverage of 0.95 over 300 is 0.013; percentile intervals run slightly low.
    assert 0.90 <= covered / 300 <= 0.985


def test_drawing_rows_instead_of_customers_would_be_too_sure() -> None:
    """Intervals over customers are wider than over rows when a customer's rows resemble each other."""
    y, scores, entities = binormal(np.random.default_rng(1), 150, 6, 1.0)
    by_customer = judge(y, scores, entities).candidate["roc_auc"]
    by_row = judge(y, scores, np.arange(len(y))).candidate["roc_auc"]
    assert by_customer.high - by_customer.low > 1.3 * (by_row.high - by_row.low)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_good_model_passes_the_gate(metric: str) -> None:
    """A model that ranks well is let through, and the reason names its figure, the baseline's and the interval."""
    evaluation = judge(*binormal(np.random.default_rng(2), 200, 2, 1.5), metric=metric)
    decision = gate(evaluation, NO_MARGIN)
    assert decision.passed
    assert f"{metric} {evaluation.candidate[metric]}" in decision.reason
    assert evaluation.improvement[metric].low > 0


def test_a_model_of_shuffled_labels_fails_the_gate() -> None:
    """Of 40 models that know nothing, the gate lets through at most the two or three that 2.5 % luck allows."""
    generator = np.random.default_rng(3)
    passed = 0
    for _ in range(40):
        y, scores, entities = binormal(generator, 200, 1, 1.5)
        passed += gate(judge(generator.permutation(y), scores, entities), NO_MARGIN).passed
    assert passed <= 3


def test_for_losses_smaller_is_better() -> None:
    """Improvement is corrected in sign: a calibrated model improves log loss and Brier score by a positive amount."""
    generator = np.random.default_rng(4)
    chance = generator.beta(0.7, 0.7, 600)
    y = (generator.random(600) < chance).astype(float)
    evaluation = judge(y, chance, np.arange(600), metric="log_loss")
    assert evaluation.improvement["log_loss"].low > 0
    assert evaluation.improvement["brier"].low > 0
    assert gate(evaluation, NO_MARGIN).passed
    assert not gate(judge(y, 1 - chance, np.arange(600), metric="log_loss"), NO_MARGIN).passed


def test_one_customer_cannot_prove_anything() -> None:
    """All rows of a single customer give no interval, so a perfect ranking still fails, and the reason says why."""
    y = np.array([0.0, 1.0] * 50)
    decision = gate(judge(y, y, np.zeros(100)), NO_MARGIN)
    assert not decision.passed
    assert "fewer than 10 entities" in decision.reason


def test_the_demanded_margin_counts() -> None:
    """`min_improvement` is compared with the interval's lower end, not with the point estimate."""
    evaluation = judge(*binormal(np.random.default_rng(5), 200, 1, 1.0))
    improvement = evaluation.improvement["roc_auc"]
    between = (improvement.low + improvement.value) / 2
    assert gate(evaluation, QualityThresholds(min_improvement=improvement.low - 1e-6)).passed
    assert not gate(evaluation, QualityThresholds(min_improvement=between)).passed


def test_the_baseline_is_the_training_prior() -> None:
    """The baseline answers the training rows' share of positives: AUC 0.5 exactly, Brier by hand."""
    y, scores, entities = binormal(np.random.default_rng(6), 100, 1, 1.0)
    evaluation = evaluate(y, scores, entities, y_train=np.array([0, 0, 0, 1]), metric="brier")
    assert evaluation.prior == 0.25
    assert evaluation.baseline["roc_auc"].value == evaluation.baseline["roc_auc"].low == 0.5
    assert evaluation.baseline["brier"].value == pytest.approx(np.mean((0.25 - y) ** 2))


def test_the_same_rows_give_the_same_figures() -> None:
    """Resampling is seeded: two locations judging the same candidate agree to the last bit."""
    rows = binormal(np.random.default_rng(8), 100, 2, 1.0)
    assert judge(*rows).improvement == judge(*rows).improvement


def test_an_unknown_metric_names_the_nearest() -> None:
    """A misspelt metric is a configuration error that offers the right word."""
    with pytest.raises(ConfigurationError, match="did you mean 'roc_auc'"):
        judge(*binormal(np.random.default_rng(9), 50, 1, 1.0), metric="roc-auc")
