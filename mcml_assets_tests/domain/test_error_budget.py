"""Promises of error budgets: what burns is named, what is over is forgotten, and little evidence accuses nobody."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.error_budget import (
    LEAST_BAD,
    BurnWindow,
    Counted,
    Objective,
    Objectives,
    Sample,
    burn_rate,
    counted,
    judge,
    rollout_window,
    workbook_windows,
)

OBJECTIVES = Objectives(availability=0.999, latency_milliseconds=250, latency_share=0.99, period_days=30)
WINDOW = BurnWindow(long_seconds=60, short_seconds=5, rate=14.4)
# Per second: requests, of which errors, of the rest slow ones.
SECONDS = st.lists(
    st.integers(0, 50).flatmap(
        lambda requests: st.integers(0, requests).flatmap(
            lambda errors: st.tuples(st.just(requests), st.just(errors), st.integers(0, requests - errors))
        )
    ),
    min_size=1,
    max_size=90,
)

Second = tuple[int, int, int]


def series(seconds: list[Second]) -> list[Sample]:
    """Cumulative counts, a sample each second from 0 on."""
    sums = accumulate(seconds, lambda one, other: (one[0] + other[0], one[1] + other[1], one[2] + other[2]))
    return [Sample(0.0, 0, 0, 0), *(Sample(float(at), *total) for at, total in enumerate(sums, start=1))]


def steady(seconds: int, second: Second) -> list[Sample]:
    return series([second] * seconds)


@given(SECONDS, st.integers(1, 90))
def test_a_window_counts_its_own_seconds_and_no_other(seconds: list[Second], window: int) -> None:
    """What is counted in a window is what happened in it, whatever happened before."""
    own = seconds[-window:]
    assert counted(series(seconds), window, len(seconds)) == Counted(*(sum(part) for part in zip(*own, strict=True)))


@given(SECONDS, SECONDS)
def test_a_server_that_began_anew_loses_no_request(before: list[Second], after: list[Second]) -> None:
    """Counts that start from nothing again are added to those before them, wherever the fall can be seen."""
    first, second = series(before), series(after)
    restarted = [*first, *(Sample(len(before) + s.at, s.requests, s.errors, s.slow) for s in second[1:])]
    found = counted(restarted, 1000, len(before) + len(after))
    for name in ("requests", "errors", "slow"):
        last, next_, end = (getattr(sample, name) for sample in (first[-1], second[1], second[-1]))
        assert getattr(found, name) == (last + end if next_ < last else end)


@given(SECONDS)
def test_nothing_burns_where_nothing_was_bad(seconds: list[Second]) -> None:
    """Good answers, many or none, burn no budget, and none of it is gone."""
    budget = judge(series([(requests, 0, 0) for requests, _, _ in seconds]), OBJECTIVES, [WINDOW], len(seconds))
    assert budget.burnt is None
    asked = any(requests for requests, _, _ in seconds)
    assert budget.left == dict.fromkeys(Objective, 1.0 if asked else None)


@given(SECONDS)
def test_what_burns_is_bad_in_both_windows(seconds: list[Second]) -> None:
    """Whatever is accused is over the rate in the long window and in the short one, with evidence, fiercest first."""
    samples = series(seconds)
    budget = judge(samples, OBJECTIVES, [WINDOW, rollout_window(30)], len(seconds))
    for burn in budget.burns:
        for length in (burn.window.long_seconds, burn.window.short_seconds):
            found = counted(samples, length, len(seconds))
            assert burn_rate(found, burn.objective, OBJECTIVES) >= burn.window.rate
        assert burn.bad >= LEAST_BAD
    fierceness = [burn.long_rate / burn.window.rate for burn in budget.burns]
    assert fierceness == sorted(fierceness, reverse=True)


@given(SECONDS, st.integers(6, 60))
def test_a_fire_that_is_out_burns_no_more(seconds: list[Second], quiet: int) -> None:
    """Once the short window is clean nothing is accused, however much of the budget is gone."""
    samples = series([*seconds, *[(20, 0, 0)] * quiet])
    assert judge(samples, OBJECTIVES, [WINDOW], len(seconds) + quiet).burns == ()


@pytest.mark.parametrize(
    ("second", "burnt"),
    [((20, 1, 0), [Objective.AVAILABILITY]), ((20, 0, 4), [Objective.LATENCY]), ((20, 10, 4), list(Objective))],
)
def test_the_objective_that_burns_is_named(second: Second, burnt: list[Objective]) -> None:
    """Errors burn availability, slow answers latency, both both; and the sentence says which."""
    budget = judge(steady(60, second), OBJECTIVES, [WINDOW], 60)
    assert {burn.objective for burn in budget.burns} == set(burnt)
    assert budget.burnt is not None
    assert budget.burnt.sentence(OBJECTIVES).startswith(f"{budget.burnt.objective}: ")


def test_few_bad_answers_accuse_nobody() -> None:
    """Two failures among ten requests are two hundred times the budget, and no evidence; the third is."""
    for failures in (LEAST_BAD - 1, LEAST_BAD):
        samples = series([(1, int(second < failures), 0) for second in range(10)])
        assert bool(judge(samples, OBJECTIVES, [BurnWindow(20, 20, 14.4)], 10).burns) is (failures == LEAST_BAD)


def test_errors_that_come_fast_are_not_fast_answers() -> None:
    """How fast an error came neither improves nor harms latency: it is about the requests that were answered."""
    found = Counted(requests=100, errors=90, slow=5)
    assert burn_rate(found, Objective.LATENCY, OBJECTIVES) == pytest.approx(0.5 / 0.01)


def test_the_windows_are_those_of_the_workbook() -> None:
    """In 30 days: 14.4 for 1 h and 5 min, 6 for 6 h and 30 min, 1 for 3 d and 6 h."""
    rates = [(window.long_seconds, window.short_seconds, pytest.approx(window.rate)) for window in workbook_windows(30)]
    assert rates == [(3600, 300, 14.4), (21600, 1800, 6.0), (259200, 21600, 1.0)]


@given(st.floats(1, 90), st.floats(0.001, 100))
def test_a_window_is_burnt_when_its_share_of_the_budget_is(period_days: float, factor: float) -> None:
    """At exactly a window's rate, its share of the period's budget is spent within the long window, in any period."""
    for window, share in zip(workbook_windows(period_days), (0.02, 0.05, 0.10), strict=True):
        assert window.rate * window.long_seconds / (period_days * 86400) == pytest.approx(share)
        assert workbook_windows(period_days * factor)[0].rate == pytest.approx(workbook_windows(period_days)[0].rate * factor)


def test_what_is_left_can_be_overdrawn() -> None:
    """A period with twice the allowed failures has minus one budget left, and its latency budget is untouched."""
    budget = judge(steady(100, (1000, 2, 0)), OBJECTIVES, [], 100)
    assert budget.left == {Objective.AVAILABILITY: pytest.approx(-1.0), Objective.LATENCY: pytest.approx(1.0)}
