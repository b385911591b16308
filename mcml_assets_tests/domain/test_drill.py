"""What a drill's verdict promises: it rests on events, and nothing is met for lack of information."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.drill import Asked, Ended, Measured, Requests, Timeline, Verdict, by_second, judge, verdict
from mcml_assets.domain.scenario import Objectives

RTO, RPO = 300.0, 3600.0
MOVES = Objectives(moves=True, failed_requests=0, returns=True, slowest_milliseconds=1000)
STAYS = Objectives(moves=False, failed_requests=0)
ANSWERED = tuple(Asked(number / 10, 0.02, 200, "gcp/europe-west2", 2) for number in range(50))
WELL = Measured(
    acting_before="aws/eu-west-2",
    acting_after="gcp/europe-west2",
    timeline=Timeline(fault=100.0, detected=102.0, decided=103.0, published=110.0, served=105.0, mended=160.0, returned=200.0),
    requests=Requests.of(ANSWERED),
    loss_seconds=0.0,
)


def test_a_drill_in_which_everything_held_is_met() -> None:
    """Moved, served in time, nothing left behind, nobody refused, and back again: that is met."""
    judged = judge(MOVES, WELL, RTO, RPO)
    assert [one.objective for one in judged if not one.met] == []
    assert len(judged) == 7
    assert verdict(judged) is Verdict.MET


@pytest.mark.parametrize(
    ("measured", "missed"),
    [
        (replace(WELL, timeline=replace(WELL.timeline, served=None)), "served by the new acting location within 300 s (RTO)"),
        (replace(WELL, timeline=replace(WELL.timeline, served=500.0)), "served by the new acting location within 300 s (RTO)"),
        (replace(WELL, loss_seconds=None), "at most 3600 s of data are left behind (RPO)"),
        (replace(WELL, loss_seconds=4000.0), "at most 3600 s of data are left behind (RPO)"),
        (replace(WELL, timeline=replace(WELL.timeline, returned=None)), "all is well again, and the primary acts"),
        (replace(WELL, timeline=replace(WELL.timeline, decided=None)), "the work moves"),
        (replace(WELL, requests=Requests.of([*ANSWERED, Asked(9, 0.1, 503)])), "at most 0 requests fail"),
        (replace(WELL, requests=Requests.of([*ANSWERED, Asked(9, 5.0, 0)])), "at most 0 requests fail"),
        (replace(WELL, requests=Requests.of([*ANSWERED, Asked(9, 1.5, 200)])), "no answer takes more than 1000 ms"),
        (replace(WELL, requests=Requests.of([])), "at most 0 requests fail"),
        (replace(WELL, requests=Requests.of([*ANSWERED, Asked(9, 0.1, 200, wrong=True)])), "at most 0 answers are wrong"),
        (replace(WELL, runs=(Ended("landing in UK", False, True, "ContractViolation"),)), "the run of landing in UK succeeds"),
        (replace(WELL, runs=(Ended("landing in UK", True, False),)), "the run of landing in UK fails"),
        (replace(WELL, runs=(Ended("landing in UK", False, None),)), "the run of landing in UK succeeds"),
    ],
)
def test_each_objective_can_be_missed_by_itself(measured: Measured, missed: str) -> None:
    """What was too slow, was lost, failed, or is told by no event, is missed by its name."""
    judged = judge(MOVES, measured, RTO, RPO)
    assert missed in [one.objective for one in judged if not one.met]
    assert verdict(judged) is Verdict.MISSED


def test_work_that_moved_where_it_should_have_stayed_is_missed() -> None:
    """A slow bucket that makes the work move is a failed drill, however well the move went."""
    judged = judge(STAYS, WELL, RTO, RPO)
    assert [(one.objective, one.met) for one in judged][-1] == ("nothing moves", False)
    stayed = replace(WELL, timeline=Timeline(fault=100.0), acting_after=WELL.acting_before)
    assert verdict(judge(STAYS, stayed, RTO, RPO)) is Verdict.MET


def test_nothing_judged_is_not_met() -> None:
    """A verdict without evidence is none."""
    assert verdict(()) is Verdict.MISSED


@given(
    st.lists(
        st.builds(
            Asked,
            due=st.floats(0, 100),
            seconds=st.floats(0, 5),
            status=st.sampled_from([0, 200, 404, 500, 503]),
            location=st.sampled_from(["", "aws/eu-west-2"]),
        )
    )
)
def test_no_request_is_lost_in_counting(asked: list[Asked]) -> None:
    """Sums over seconds are those over all, failures are never more than requests, and percentiles are in order."""
    requests, seconds = Requests.of(asked), by_second(asked, 50.0)
    assert sum(second.sent for second in seconds) == requests.sent == len(asked)
    assert sum(second.failed for second in seconds) == requests.failed <= requests.sent
    assert requests.p50 <= requests.p99 <= requests.slowest
    assert [second.at for second in seconds] == sorted({second.at for second in seconds})
