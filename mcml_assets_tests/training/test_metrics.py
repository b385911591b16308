"""Promises of the metrics: they are the textbook's, for any weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from mcml_assets.training.metrics import METRICS, calibration

REFERENCES = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "log_loss": log_loss,
    "brier": brier_score_loss,
}


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(4, 80), digits=st.integers(1, 6))
def test_metrics_equal_scikit_learn_for_any_weights(seed: int, rows: int, digits: int) -> None:
    """Every metric equals scikit-learn's figure for the same rows and weights, with many ties or none."""
    generator = np.random.default_rng(seed)
    y = np.r_[0, 1, generator.integers(0, 2, rows - 2)].astype(float)
    scores = np.round(generator.random(rows), digits)
    weights = generator.integers(0, 4, (3, rows)).astype(float)
    weights[:, :2] += 1
    for name, reference in REFERENCES.items():
        ours = METRICS[name].compute(y, scores, weights)
        for figure, weight in zip(ours, weights, strict=True):
            assert figure == pytest.approx(reference(y, scores, sample_weight=weight), abs=1e-12), name


def test_a_draw_of_one_class_has_no_auc() -> None:
    """Where a class is missing the AUC is unknown, not zero and not one half."""
    y, scores = np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.3])
    assert np.isnan(METRICS["roc_auc"].compute(y, scores, np.array([[0.0, 1.0, 1.0]]))[0])


def test_calibration_error_is_the_gap_between_promise_and_share() -> None:
    """A model that says 0.9 where 0.6 come back is off by 0.3; one that says 0.6 is off by nothing."""
    y = np.array([1.0] * 6 + [0.0] * 4)
    assert calibration(y, np.full(10, 0.9)).expected_error == pytest.approx(0.3)
    assert calibration(y, np.full(10, 0.6)).expected_error == pytest.approx(0.0)


def test_calibration_bins_hold_about_equal_rows() -> None:
    """A thousand distinct scores fall into ten bins of a hundred."""
    generator = np.random.default_rng(0)
    scores = generator.beta(1, 6, 1000)
    bins = calibration((generator.random(1000) < scores).astype(float), scores)
    assert len(bins.rows) == 10
    assert bins.rows.min() >= 99
    assert bins.expected_error < 0.06
