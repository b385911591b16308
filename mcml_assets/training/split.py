"""Splitting labelled rows by time, so that a candidate is judged on a later period than it learnt from.

A label looks `horizon_days` ahead. A training row whose label reaches into the test period would tell the model what it
is judged on, so such rows are purged: M. López de Prado, Advances in Financial Machine Learning (2018), section 7.4.1.
Fitting and judging do not belong here. Imports pandas: import this module inside functions.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcml_assets.domain.errors import ModelRejected


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows train and which test: boolean arrays of shape (rows,), never both true.

    `purged` rows are in neither: their label would be known only after `first_test_time`.
    """

    train: np.ndarray
    test: np.ndarray
    first_test_time: pd.Timestamp
    purged: int


def purged_split(times: pd.Series, y: pd.Series, *, test_share: float, horizon_days: int) -> Split:
    """Hold out the newest times; train on rows whose label was known when the first of them came.

    `times` and `y` (0 or 1) have shape (rows,) and are matched by position. With a horizon, as-of dates are few and
    shared: the newest `test_share` of distinct times is the test, at least one. With horizon 0 times are continuous:
    the newest `test_share` of rows is, together with all rows of the time where it begins.
    Raises `ModelRejected` when a side has no rows or only one class: nothing can be learnt, or judged.
    """
    moments = pd.to_datetime(times, utc=True).reset_index(drop=True)
    if moments.empty:
        raise ModelRejected("there is no labelled row yet: no as-of date is a full horizon older than the watermark")
    ordered = np.sort((moments.drop_duplicates() if horizon_days else moments).to_numpy(dtype="datetime64[ns]"))
    first_test_time = pd.to_datetime(ordered[-max(1, int(len(ordered) * test_share))], utc=True)
    test = (moments >= first_test_time).to_numpy()
    known = (moments + pd.Timedelta(days=horizon_days) <= first_test_time).to_numpy()
    train = known & ~test
    labels = np.asarray(y)
    for side, rows, cure in (
        ("training", train, "wait for more data, or shorten training.horizon_days"),
        ("test", test, "wait for more data, or raise training.test_share"),
    ):
        classes = np.unique(labels[rows])
        if len(classes) < 2:
            what = "no rows" if not rows.any() else f"{int(rows.sum())} rows of one class only"
            raise ModelRejected(
                f"the {side} side has {what} (test from {first_test_time:%Y-%m-%d}, horizon {horizon_days} days, "
                f"{len(ordered)} labelled times): {cure}"
            )
    return Split(train, test, first_test_time, int((~train & ~test).sum()))
