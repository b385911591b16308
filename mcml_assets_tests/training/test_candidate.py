"""Promises of training a candidate: what a user's `train` may return, and what an error tells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.domain.workload import Classification, Workload
from mcml_assets.training.candidate import Candidate, train_candidate
from mcml_assets.training.evaluate import gate
from mcml_assets_tests.training.synthetic import Rows, make_rows, make_workload

SECRET = "19530511_1234"  # noqa: S105 - looks like a person's number, is nobody's


def train(workload: Workload, rows: Rows) -> Candidate:
    return train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times)


def test_a_candidate_is_judged_on_rows_it_has_not_seen(tmp_path: Path) -> None:
    """Training and test rows are disjoint, scores are the model's own, and a learnable target passes the gate."""
    rows = make_rows()
    workload = make_workload(tmp_path)
    candidate = train(workload, rows)
    assert set(candidate.x_train.index).isdisjoint(candidate.x_test.index)
    assert candidate.scores == pytest.approx(candidate.model.predict_proba(candidate.x_test)[:, 1])
    assert candidate.evaluation.test_rows == len(candidate.y_test) == 300
    assert gate(candidate.evaluation, workload.thresholds.quality).passed


def test_shuffled_labels_do_not_become_a_model(tmp_path: Path) -> None:
    """When the labels carry nothing, the whole way from `train` to the gate ends in a refusal."""
    rows = make_rows()
    shuffled = replace(rows, y=pd.Series(np.random.default_rng(1).permutation(rows.y)))
    workload = make_workload(tmp_path)
    assert not gate(train(workload, shuffled).evaluation, workload.thresholds.quality).passed


def test_a_user_function_cannot_spoil_the_judgement(tmp_path: Path) -> None:
    """`train` may change the frames it is given; the rows kept for plots and examples stay as they were."""
    source = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.compose import make_column_transformer
def train(x, y):
    x["visits"] = -1.0
    y[:] = [0, 1] * (len(y) // 2)
    return make_pipeline(make_column_transformer(("passthrough", ["visits"])), LogisticRegression()).fit(x, y)
"""
    candidate = train(make_workload(tmp_path, source), make_rows())
    assert (candidate.x_train["visits"] >= 0).all()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "must return a fitted classifier with predict_proba, it returned NoneType"),
        ("return LogisticRegression()", r"classes_ are absent \(is it fitted\?\)"),
        ("return LogisticRegression().fit(x[['visits']], y + 1)", r"classes_ are \[np.int64\(1\), np.int64\(2\)\]"),
        ("return 1 / 0", r"ZeroDivisionError at train\.py:3: division by zero"),
    ],
)
def test_a_wrong_train_function_is_told_what_would_be_right(tmp_path: Path, body: str, message: str) -> None:
    """An unusable result or an exception names the workload, the function and the line."""
    source = f"from sklearn.linear_model import LogisticRegression\ndef train(x, y):\n    {body}\n"
    with pytest.raises(ConfigurationError, match=message) as error:
        train(make_workload(tmp_path, source), make_rows())
    assert "shop: train.py:train" in str(error.value)


def test_a_restricted_workload_does_not_quote_its_values(tmp_path: Path) -> None:
    """A library's message may hold a person's value: for a restricted workload it is withheld, and so is its cause."""
    source = f"def train(x, y):\n    raise ValueError('could not convert {SECRET}')\n"
    with pytest.raises(ConfigurationError, match=r"ValueError at train.py:2") as error:
        train(make_workload(tmp_path, source, classification=Classification.RESTRICTED), make_rows())
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_keys_and_personal_columns_never_become_inputs(tmp_path: Path) -> None:
    """The entity's key, a personal column or an undeclared one in the inputs is refused before anything is fitted."""
    rows = make_rows()
    workload = make_workload(tmp_path)
    for column, message in (
        ("customer_id", "identifies people"),
        ("CustomerID", "identifies people"),
        ("visit", "did you mean 'visits'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            train(workload, replace(rows, x=rows.x.assign(**{column: 1})))


def test_labels_must_be_zero_or_one(tmp_path: Path) -> None:
    """A missing or other label is counted in the error, not passed to the model."""
    rows = make_rows()
    labels = rows.y.astype("float64")
    labels.iloc[0], labels.iloc[1] = np.nan, 2.0
    with pytest.raises(ContractViolation, match="1 missing and 1 other"):
        train(make_workload(tmp_path), replace(rows, y=labels))


def test_rows_that_do_not_match_are_refused(tmp_path: Path) -> None:
    """Inputs, labels, entities and times are matched by position, so their lengths must agree."""
    rows = make_rows()
    with pytest.raises(ConfigurationError, match="900 rows, 899 labels"):
        train(make_workload(tmp_path), replace(rows, y=rows.y.iloc[1:]))
