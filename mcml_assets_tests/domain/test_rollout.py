"""Promises of rollouts: no step without evidence, back at once from a bad version, in order, and never stuck on who is away."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.rollout import (
    LEAST_EVIDENCE,
    Findings,
    Peer,
    Phase,
    Rollout,
    RolloutPlan,
    abort,
    advance,
    begin,
    reopen,
    rollout_order,
    waits_for,
)
from mcml_assets.domain.workload import RolloutSteps
from mcml_assets_tests.serving.served_shop import COLD, PRIMARY, WARM, shop_workload

ORDER = ("gcp/europe-west2", "azure/uksouth", "aws/eu-west-2")
STEPS = RolloutSteps(percents=(5, 25, 50, 100), dwell_seconds=10, shadow_seconds=5)
WELL = Findings(ready=True, seen=LEAST_EVIDENCE)
FINDINGS = st.lists(
    st.tuples(
        st.builds(
            Findings,
            waits_for=st.sampled_from([None, None, "another comes first"]),
            ready=st.booleans(),
            condemned=st.sampled_from([None] * 20 + ["availability: burnt"]),
            seen=st.integers(0, 2 * LEAST_EVIDENCE),
        ),
        st.floats(0.1, 15),
    ),
    max_size=60,
)


def rollout(phase: Phase = Phase.WAITING, step: int = 0) -> Rollout:
    begun = begin("shop", ORDER[0], 1, 2, "d" * 64, RolloutPlan(STEPS, ORDER), 0.0)
    return replace(begun, phase=phase, step=step)


@given(FINDINGS)
def test_no_share_grows_without_time_evidence_and_a_sound_server(findings: list[tuple[Findings, float]]) -> None:
    """The share goes up one declared step at a time, each after its dwell with answers seen; down only to nothing."""
    now, present = 0.0, rollout()
    for found, pause in findings:
        now += pause
        before, present = present, advance(present, found, now)
        if present.share > before.share and present.phase is not Phase.DONE:
            assert found.ready
            assert found.seen >= LEAST_EVIDENCE
            assert found.condemned is None
            resumed = before.phase is Phase.SHADOW
            assert present.step == before.step + (not resumed)
            assert now - before.since >= (STEPS.shadow_seconds if resumed else STEPS.dwell_seconds)
        if present.share < before.share:
            assert present.share == 0
        if found.condemned and not before.ended:
            assert (present.phase, present.reason) == (Phase.ROLLED_BACK, found.condemned)
        if before.ended:
            assert present == before


def test_a_sound_version_takes_every_step() -> None:
    """With a ready server that answers well the shares are the declared ones, in order, each as long as declared."""
    now, present, shares = 0.0, rollout(), list[tuple[float, int]]()
    while not present.ended:
        now += 1
        present = advance(present, WELL, now)
        if not shares or shares[-1][1] != present.share:
            shares.append((now, present.share))
    begun = [at for at, share in shares if share]
    assert [share for _, share in shares if share] == [5, 25, 50, 100]
    assert [after - before for before, after in pairwise(begun)] == [STEPS.dwell_seconds] * 3
    assert now - begun[-1] == STEPS.dwell_seconds


def test_a_lost_server_is_judged_again_before_it_answers_anybody() -> None:
    """A rollout whose server is gone goes back to its start, gets copies first, and then goes on at its step."""
    present = rollout(Phase.SHIFTING, step=2)
    lost = advance(present, Findings(), 1)
    assert (lost.phase, lost.share, lost.step) == (Phase.STARTING, 0, 2)
    shadow = advance(lost, WELL, 2)
    assert (shadow.phase, shadow.share, shadow.copied) == (Phase.SHADOW, 0, 100)
    assert advance(shadow, WELL, 2 + STEPS.shadow_seconds).share == STEPS.percents[2]


@pytest.mark.parametrize("from_first_step", [True, False])
def test_what_was_stopped_can_be_taken_up(from_first_step: bool) -> None:
    """An aborted rollout goes on at its step or from the first one; one that is under way is not disturbed."""
    stopped = abort(rollout(Phase.SHIFTING, step=2), "somebody said so", 1)
    assert (stopped.phase, stopped.share, stopped.reason) == (Phase.ABORTED, 0, "somebody said so")
    again = reopen(stopped, "mended", 2, from_first_step=from_first_step)
    assert (again.phase, again.step) == (Phase.WAITING, 0 if from_first_step else 2)
    under_way = rollout(Phase.SHIFTING, step=1)
    assert reopen(under_way, "mended", 2, from_first_step=True) == under_way


@given(st.dictionaries(st.sampled_from(ORDER), st.sampled_from(Peer)))
def test_locations_follow_each_other(peers: dict[str, Peer]) -> None:
    """The turn comes when all before are done or away: one that is busy or went back holds up those behind it alone."""
    for number, location in enumerate(ORDER):
        held = any(peers.get(other) in (Peer.BUSY, Peer.STOPPED) for other in ORDER[:number])
        assert (waits_for(location, ORDER, peers) is not None) is held


def test_the_canary_comes_first_and_the_primary_last(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Undeclared it is the last warm standby, never a cold one; a declared one may be any."""
    placement = shop_workload(tmp_path_factory.mktemp("shop")).placement("UK")
    assert rollout_order(placement, []) == (WARM, COLD, PRIMARY)
    assert rollout_order(placement, [PRIMARY]) == (PRIMARY, WARM, COLD)
    assert rollout_order(placement, ["aws/us-east-1"]) == (WARM, COLD, PRIMARY)


def test_copies_make_up_for_what_the_version_does_not_answer_yet() -> None:
    """What it answers and what is copied to it come to all requests, and a tenth is copied to the end."""
    asked = [(share := replace(rollout(Phase.SHIFTING), step=step)).copied + share.share for step in range(4)]
    assert asked == [100, 100, 100, 110]
