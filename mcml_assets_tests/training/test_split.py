"""Promises of the purged time split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.domain.errors import ModelRejected
from mcml_assets.training.split import purged_split


def days(*numbers: float) -> pd.Series:
    return pd.Series(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(numbers, unit="D"))


def test_no_training_label_looks_into_the_test_period() -> None:
    """With a 60-day horizon, as-of dates less than 60 days before the test are in neither side."""
    times = days(*np.repeat([0, 30, 60, 90, 120, 150], 2))
    split = purged_split(times, pd.Series([0, 1] * 6), test_share=0.34, horizon_days=60)
    assert split.test.tolist() == [False] * 8 + [True] * 4
    assert split.train.tolist() == [True] * 6 + [False] * 6  # day 90's label is known on day 150, when the test has begun
    assert split.purged == 2
    assert split.first_test_time == pd.Timestamp("2024-04-30", tz="UTC")


def test_a_label_known_exactly_when_the_test_begins_may_train() -> None:
    """The bound is inclusive: time + horizon = first test time is no look into the future."""
    split = purged_split(days(0, 0, 60, 60), pd.Series([0, 1, 0, 1]), test_share=0.1, horizon_days=60)
    assert split.train.tolist() == [True, True, False, False]


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 400), min_size=4, max_size=60),
    horizon=st.sampled_from([0, 7, 60]),
    share=st.floats(0.05, 0.9),
)
def test_sides_never_meet_in_time(numbers: list[int], horizon: int, share: float) -> None:
    """Whatever the times, each training time plus the horizon is at most the first test time, and no time is on both sides."""
    times = days(*np.repeat(numbers, 2))
    labels = pd.Series([0, 1] * len(numbers))
    try:
        split = purged_split(times, labels, test_share=share, horizon_days=horizon)
    except ModelRejected:
        # Only ever because no time is a full horizon older than the test.
        ordered = sorted(times.drop_duplicates() if horizon else times)
        begin = ordered[-max(1, int(len(ordered) * share))]
        assert times.min() == begin or times.min() + pd.Timedelta(days=horizon) > begin
        return
    assert not (split.train & split.test).any()
    assert times[split.train].max() + pd.Timedelta(days=horizon) <= times[split.test].min() == split.first_test_time
    assert times[split.train].max() < split.first_test_time
    assert split.train.sum() + split.test.sum() + split.purged == len(times)


def test_without_a_horizon_the_newest_share_of_rows_is_held_out() -> None:
    """Credit's times are continuous: a fifth of the rows, counted as rows, and ties on the cut go to the test."""
    split = purged_split(days(*range(8), 8, 8), pd.Series([0, 1] * 5), test_share=0.1, horizon_days=0)
    assert split.test.tolist() == [False] * 8 + [True] * 2
    assert split.train.sum() == 8
    assert split.purged == 0


@pytest.mark.parametrize(
    ("times", "labels", "side", "horizon"),
    [
        (days(0, 0, 30, 30), [0, 1, 0, 1], "training side has no rows", 60),
        (days(0, 0, 90, 90), [0, 0, 0, 1], "training side has 2 rows of one class", 60),
        (days(0, 0, 90, 90), [0, 1, 1, 1], "test side has 2 rows of one class", 60),
        (days(5, 5, 5), [0, 1, 1], "training side has no rows", 0),
    ],
)
def test_a_side_that_teaches_nothing_is_refused(times: pd.Series, labels: list[int], side: str, horizon: int) -> None:
    """An empty side or one class is an error that says which side, from when, and what to do."""
    with pytest.raises(ModelRejected, match=side) as refusal:
        purged_split(times, pd.Series(labels), test_share=0.34, horizon_days=horizon)
    assert "wait for more data" in str(refusal.value)


def test_no_labelled_row_at_all_is_refused() -> None:
    """The first weeks of a source have no label yet; the error says so instead of failing on an index."""
    with pytest.raises(ModelRejected, match="no labelled row yet"):
        purged_split(days(), pd.Series([], dtype="int64"), test_share=0.34, horizon_days=60)
