"""Training one candidate: split, call the user's `train`, check what it gave back, judge it on the held-out period.

Tracking and packaging the candidate are other modules' business, as is joining its features. Imports pandas: import
this module inside functions.
"""

import pickle
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mcml_assets.configuration.user_code import load_function
from mcml_assets.domain.errors import ConfigurationError, ContractViolation, McmlError
from mcml_assets.domain.workload import Classification, Workload
from mcml_assets.training.evaluate import Evaluation, check_metric, evaluate
from mcml_assets.training.model_folder import portable_pickle
from mcml_assets.training.model_inputs import conform, model_input_types
from mcml_assets.training.split import Split, purged_split


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fitted model with what it was judged on.

    `x_train`, `x_test` and `y_test` are the rows as the model took them, in the order of the input; `scores` (float64,
    shape (test rows,)) the probabilities of class 1; `entities` says whom a test row belongs to, `times` as of when it is.
    `seconds` is the time the user's `train` took.
    """

    model: Any
    evaluation: Evaluation
    split: Split
    x_train: pd.DataFrame
    x_test: pd.DataFrame
    y_test: pd.Series
    scores: np.ndarray
    entities: np.ndarray = field(repr=False)
    times: pd.Series = field(repr=False)
    seconds: float


def train_candidate(
    workload: Workload, x: pd.DataFrame, y: pd.Series, *, entities: pd.Series, times: pd.Series, ray: str | None = None
) -> Candidate:
    """Train and judge a candidate on labelled rows, all matched by position.

    `x` holds the model's inputs and nothing else (no keys, no personal columns); `y` is 0 or 1; `entities` says whom a
    row belongs to, `times` as of when its features are. Deterministic for a deterministic `train`. With `ray`, the address of a
    Ray cluster, `train` runs there.
    Raises `ConfigurationError` for unusable inputs or a `train` that fails or returns something else than a fitted
    binary classifier, `ContractViolation` for other labels, `ModelRejected` when a side of the split cannot be used.
    """
    check_metric(workload.training.metric)
    if not len(x) == len(y) == len(entities) == len(times):
        raise ConfigurationError(
            f"{workload.name}: training needs as many labels, entities and times as rows, got {len(x)} rows, "
            f"{len(y)} labels, {len(entities)} entities, {len(times)} times"
        )
    labels = _labels(workload, y)
    inputs = conform(x, model_input_types(workload, x.columns)).reset_index(drop=True)
    split = purged_split(times, labels, test_share=workload.training.test_share, horizon_days=workload.training.horizon_days)
    x_train, x_test = inputs.loc[split.train], inputs.loc[split.test]
    y_train, y_test = labels.loc[split.train], labels.loc[split.test]
    started = perf_counter()
    model = fitted(workload, x_train, y_train, ray)
    seconds = perf_counter() - started
    scores = _scores(workload, model, x_test)
    tested = entities.to_numpy()[split.test]
    evaluation = evaluate(
        y_test.to_numpy(),
        scores,
        tested,
        y_train=y_train.to_numpy(),
        metric=workload.training.metric,
    )
    tested_times = pd.to_datetime(times, utc=True).reset_index(drop=True).loc[split.test]
    return Candidate(model, evaluation, split, x_train, x_test, y_test, scores, tested, tested_times, seconds)


def _labels(workload: Workload, y: pd.Series) -> pd.Series:
    labels = y.reset_index(drop=True)
    if labels.isna().any() or not labels.isin([0, 1]).all():
        raise ContractViolation(
            f"{workload.name}: {workload.training.target} must give 0 or 1 for every row, and gave "
            f"{int(labels.isna().sum())} missing and {int((~labels.isin([0, 1]) & labels.notna()).sum())} other labels"
        )
    return labels.astype("int64")


def fitted(workload: Workload, x: pd.DataFrame, y: pd.Series, ray: str | None) -> Any:
    """The fitted model as it is read from its pickle; the same whether this process or a Ray cluster fitted it."""
    if ray is None:
        # As another process would get them: what objects share shows in a pickle's bytes, and so in a model's digest.
        return pickle.loads(fit(workload, pickle.loads(pickle.dumps(x)), pickle.loads(pickle.dumps(y))))  # noqa: S301 - just made
    from mcml_assets.training.scale_out import fit_on_ray  # noqa: PLC0415 - Ray, only where a cluster is named

    return pickle.loads(fit_on_ray(workload, x, y, ray))  # noqa: S301 - of the location's own cluster


def fit(workload: Workload, x: pd.DataFrame, y: pd.Series) -> bytes:
    """The pickle of what the user's function fits on the training rows; `x` and `y` are its own and may be changed.

    Raises what `train_candidate` says of `train`, and `ModelRejected` for a model that other locations could not read.
    """
    model = _train(workload, x, y)
    return portable_pickle(model, workload)


def _train(workload: Workload, x: pd.DataFrame, y: pd.Series) -> Any:
    where = f"{workload.name}: {workload.training.train}"
    train = load_function(workload.training.train)
    try:
        model = train(x, y)
    except McmlError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises, it becomes one typed error
        # A library's message may quote values; those of a restricted workload must not reach a log, nor by the cause.
        restricted = workload.classification is Classification.RESTRICTED
        detail = "its message is withheld: the workload is restricted" if restricted else str(error)
        raise ConfigurationError(
            f"{where} failed on {len(x)} rows with {type(error).__name__}{_line(workload, error)}: {detail}"
        ) from (None if restricted else error)
    if not callable(getattr(model, "predict_proba", None)):
        raise ConfigurationError(
            f"{where} must return a fitted classifier with predict_proba, it returned {type(model).__name__}"
        )
    classes = getattr(model, "classes_", None)
    if classes is None or list(classes) != [0, 1]:
        raise ConfigurationError(
            f"{where} must return a classifier fitted on the classes [0, 1], its classes_ are "
            f"{'absent (is it fitted?)' if classes is None else list(classes)}"
        )
    return model


def _line(workload: Workload, error: BaseException) -> str:
    """Where in the user's own file the error came up, as ` at train.py:12`; empty when not there."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(workload.training.train.file):
            place = f" at {workload.training.train.file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _scores(workload: Workload, model: Any, x: pd.DataFrame) -> np.ndarray:
    try:
        with threadpool_limits(limits=1):  # several trainings share few cores, where waiting threads cost more than they give
            given = np.asarray(model.predict_proba(x), dtype="float64")
    except Exception as error:  # noqa: BLE001 - whatever the user's model raises, and its message may quote values
        raise ConfigurationError(
            f"{workload.name}: the model of {workload.training.train} gives no score for {len(x)} test rows "
            f"({type(error).__name__}): they hold values that it cannot take"
        ) from None
    if given.shape != (len(x), 2) or not np.isfinite(given).all():
        raise ConfigurationError(
            f"{workload.name}: the model of {workload.training.train} must give two finite probabilities per row; for "
            f"{len(x)} rows it gave shape {given.shape}, {int((~np.isfinite(given)).sum())} values not finite"
        )
    return given[:, 1]
