"""Promises of synthetic transactions' counts: no outcome is lost or counted twice, and a change is told at once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.synthetic import SUMMARY_SECONDS, TELL_AFTER, Outcome, Summary, Tally, tallied

SLOW_PAST = SUMMARY_SECONDS / 2
OUTCOMES = st.lists(st.tuples(st.booleans(), st.integers(1, 2 * int(SUMMARY_SECONDS))), min_size=1, max_size=60)


def told(outcomes: list[tuple[bool, int]]) -> tuple[Tally, list[Summary], list[tuple[bool, bool]]]:
    """The last tally, all summaries, and of each outcome whether it passed and whether it was summed up at once."""
    tally, summaries, at_once, now = None, [], [], 0.0
    for passed, pause in outcomes:
        now += pause
        tally, summary = tallied(tally, Outcome(passed, milliseconds=float(pause)), now, SLOW_PAST)
        at_once.append((passed, summary is not None))
        summaries += [summary] if summary is not None else []
    assert tally is not None
    return tally, summaries, at_once


@given(OUTCOMES)
def test_every_outcome_is_counted_once(outcomes: list[tuple[bool, int]]) -> None:
    """Summaries and what is still pending add up to all outcomes and all failures, without a gap between periods."""
    tally, summaries, _ = told(outcomes)
    assert sum(summary.asked for summary in summaries) + tally.asked == len(outcomes)
    assert sum(summary.failed for summary in summaries) + tally.failed == sum(not passed for passed, _ in outcomes)
    slow = sum(passed and pause > SLOW_PAST for passed, pause in outcomes)
    assert sum(summary.slow for summary in summaries) + tally.slow == slow
    assert [summary.since for summary in summaries[1:]] == [summary.until for summary in summaries[:-1]]
    assert max([tally.slowest_milliseconds, *(summary.slowest_milliseconds for summary in summaries)]) == max(
        pause for _, pause in outcomes
    )


@given(OUTCOMES)
def test_a_change_is_told_at_once_and_nothing_else_before_its_hour(outcomes: list[tuple[bool, int]]) -> None:
    """The first outcome and every other one than the last are told in their own round; the same one once an hour at most."""
    _, summaries, at_once = told(outcomes)
    for number, (passed, summed) in enumerate(at_once):
        if number == 0 or at_once[number - 1][0] != passed:
            assert summed
    changes = sum(before[0] != after[0] for before, after in pairwise(at_once))
    duration = sum(pause for _, pause in outcomes)
    assert len(summaries) <= 1 + changes + duration / SUMMARY_SECONDS


@given(OUTCOMES)
def test_people_are_told_of_what_fails_again(outcomes: list[tuple[bool, int]]) -> None:
    """One failure may be a server that was just replaced; from the second in a row on it is to be told, until one passes."""
    tally, _, at_once = told(outcomes)
    last = [passed for passed, _ in at_once[-TELL_AFTER:]]
    assert tally.to_be_told == (last == [False] * TELL_AFTER)
