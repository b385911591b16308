"""What the decision promises, whatever is down: lawful, ready, never without a server, and every refusal explained."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workloads
from mcml_assets.domain.acting import Acting, initial_acting
from mcml_assets.domain.failover import (
    Cause,
    Decision,
    Health,
    LocationFacts,
    RequestedRun,
    Serving,
    Situation,
    decide,
    lag_seconds,
)
from mcml_assets.domain.workload import Role

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
NEWEST = "a" * 64
TOPOLOGY = load_topology(Settings().topology_file)
PLACEMENTS = [(workload, placement) for workload in load_workloads(DEFS, TOPOLOGY)[0] for placement in workload.placements]


def standby(location: str, **changes: object) -> LocationFacts:
    """A location in order: up, with the newest snapshot and a server that answers."""
    facts = LocationFacts(location, "UK", Health.UP, None, NEWEST, 0.0, 1, Serving.READY, 0)
    return replace(facts, **changes)  # pyright: ignore[reportArgumentType] - one field at a time, by name


def situation(*locations: LocationFacts, **changes: object) -> Situation:
    """A jurisdiction where the first location acts."""
    return replace(
        Situation("shop", "UK", Acting(A, 4), 3600, locations, NEWEST),
        **changes,  # pyright: ignore[reportArgumentType] - one field at a time, by name
    )


def down(location: str) -> LocationFacts:
    """A location that does not answer; the published route tells that there was a model."""
    return LocationFacts(location, "UK", Health.DOWN, "no answer", model=1)


def rejections(decision: Decision) -> dict[str, str]:
    return {rejected.location: rejected.reason.partition(":")[0] for rejected in decision.rejected}


def test_a_dead_acting_location_is_followed_by_the_next_in_order():
    """The next healthy standby acts under the next epoch, and is asked for its landing and its route in one run."""
    decision = decide(situation(down(A), standby(B), standby(C)), Cause.PROBE)
    assert decision.after == Acting(B, 5)
    assert decision.runs == (RequestedRun(("landing", "traffic_route"), "UK"),)
    assert decision.loss is None
    assert "moves from aws/eu-west-2 to gcp/europe-west2, epoch 5" in decision.summary


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"health": Health.DOWN}, "down"),
        ({"health": Health.UNKNOWN}, "unknown"),
        ({"jurisdiction": "EU"}, "unlawful"),
        ({"snapshot": None, "lag_seconds": None}, "not ready"),
        ({"lag_seconds": None}, "stale"),
        ({"lag_seconds": 3601.0}, "stale"),
        ({"model": None, "serving": Serving.NOTHING}, "not ready"),
        ({"serving": Serving.NOTHING}, "not ready"),
    ],
)
def test_a_location_that_may_not_act_is_passed_over_by_name(fault: dict[str, object], reason: str):
    """Down, unlawful, stale or unready: the next one is taken, and the event says why this one was not."""
    decision = decide(situation(down(A), standby(B, **fault), standby(C)), Cause.PROBE)
    assert decision.after == Acting(C, 5)
    assert rejections(decision) == {B: reason}
    alone = decide(situation(down(A), standby(B, **fault)), Cause.PROBE)
    assert not alone.moves
    assert alone.runs == ()
    assert f"not {B}: {reason}" in alone.summary


def test_an_evacuated_location_is_not_chosen():
    """Where a person took the work from, no automatism brings it back."""
    decision = decide(situation(down(A), standby(B), standby(C), evacuated=frozenset({B})), Cause.PROBE)
    assert decision.after == Acting(C, 5)
    assert rejections(decision) == {B: "evacuated"}


def test_only_a_probe_that_agrees_moves_work_when_no_run_said_why():
    """A killed run moves nothing while its location answers, or while nobody can tell; its own word moves it."""
    for health in (Health.UP, Health.UNKNOWN):
        assert not decide(situation(standby(A, health=health), standby(B)), Cause.PROBE).moves
    assert decide(situation(standby(A), standby(B)), Cause.UNAVAILABLE).after == Acting(B, 5)


def test_all_down_moves_nothing():
    """With nobody to go to, the work stays, and each location is named with its reason."""
    decision = decide(situation(down(A), down(B), down(C)), Cause.PROBE)
    assert not decision.moves
    assert rejections(decision) == {B: "down", C: "down"}


def test_what_was_lost_is_said():
    """A standby within its RPO takes over, and the decision names the snapshot that it lacks."""
    decision = decide(situation(down(A), standby(B, snapshot="b" * 64, lag_seconds=30.0)), Cause.PROBE)
    assert decision.loss is not None
    assert (decision.loss.snapshot, decision.loss.seconds) == (NEWEST, 30.0)


def test_a_running_server_goes_before_a_cold_one():
    """A cold standby is asked only when no warm one can act; its server starts before the route names it."""
    cold = standby(B, serving=Serving.COLD)
    assert decide(situation(down(A), cold, standby(C)), Cause.PROBE).after == Acting(C, 5)
    decision = decide(situation(down(A), cold, down(C)), Cause.PROBE)
    assert decision.after == Acting(B, 5)
    assert decision.runs == (RequestedRun(("endpoint",), B), RequestedRun(("landing",), "UK"))


def test_interrupted_training_goes_on():
    """Features that the dead location published and did not train on are trained on by the next one, in the same run."""
    decision = decide(situation(down(A), standby(B, untrained=True)), Cause.PROBE)
    assert decision.runs == (RequestedRun(("landing", "traffic_route", "training_run"), "UK"),)


def test_before_the_first_model_data_alone_decides():
    """A platform that is still filling itself moves too: nobody can serve yet, so nobody is worse off."""
    filling = standby(B, model=None, serving=Serving.NOTHING)
    decision = decide(situation(replace(down(A), model=None), filling), Cause.PROBE)
    assert decision.after == Acting(B, 5)
    assert decision.runs == (RequestedRun(("landing",), "UK"),)


@pytest.mark.parametrize("cause", [Cause.ORDER, Cause.FAILBACK])
def test_a_planned_move_loses_nothing(cause: Cause):
    """From a location that is up, only to a running server that lacks nothing, unless a person accepts the loss."""
    primary = standby(A, lag_seconds=1.0)
    planned = situation(primary, standby(B), acting=Acting(B, 4))
    assert not decide(planned, cause, wanted=A).moves
    assert decide(planned, cause, wanted=A, accept_loss=True).after == Acting(A, 5)
    fresh = situation(standby(A), standby(B), acting=Acting(B, 4))
    assert decide(fresh, cause, wanted=A).after == Acting(A, 5)
    cold = situation(standby(A, serving=Serving.COLD), standby(B), acting=Acting(B, 4))
    assert not decide(cold, cause, wanted=A, accept_loss=True).moves


def test_an_order_in_an_outage_is_judged_by_the_rpo():
    """From a location that is down, a person may move what the sensors would have moved."""
    lagging = situation(down(A), standby(B, lag_seconds=60.0))
    assert decide(lagging, Cause.ORDER).after == Acting(B, 5)


def test_an_order_cannot_leave_the_placement():
    """A location that is not placed is refused by name, whatever a person accepts."""
    decision = decide(situation(standby(A), standby(B)), Cause.ORDER, wanted="aws/us-east-1", accept_loss=True)
    assert not decision.moves
    assert "not in the placement" in decision.summary


def test_an_acting_location_that_left_the_placement_is_replaced():
    """After its declaration changed, a workload's work comes back into its placement."""
    decision = decide(situation(standby(B), standby(C), acting=Acting(A, 4)), Cause.PROBE)
    assert decision.after == Acting(B, 5)


def test_lag_is_unknown_rather_than_zero():
    """A copy of something unknown has no lag that could be told; the newest has none."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert lag_seconds(None, NEWEST, now, now) is None
    assert lag_seconds("b", None, None, now) is None
    assert lag_seconds(NEWEST, NEWEST, now, now) == 0
    assert lag_seconds("b", NEWEST, now - timedelta(seconds=9), now) == 9


facts = st.builds(
    LocationFacts,
    location=st.just("replaced"),
    jurisdiction=st.sampled_from(["UK", "UK", "UK", "EU"]),
    health=st.sampled_from(Health),
    problem=st.none() | st.just("no answer"),
    snapshot=st.none() | st.just(NEWEST) | st.just("b" * 64),
    lag_seconds=st.none() | st.floats(0, 7200),
    model=st.none() | st.integers(1, 3),
    serving=st.sampled_from(Serving),
    untrained=st.booleans(),
)


@given(
    st.lists(facts, min_size=1, max_size=5), st.integers(0, 4), st.sampled_from(Cause), st.none() | st.integers(0, 4),
    st.booleans(), st.sets(st.integers(0, 4)),
)  # fmt: skip
def test_no_circumstances_break_a_safety_rule(
    found: list[LocationFacts], acting: int, cause: Cause, wanted: int | None, accept_loss: bool, evacuated: set[int]
):
    """Whatever is found: one epoch at a time, lawful, up, ready, never fewer than one serving, bounded, all refusals told."""
    keys = [f"cloud{number}/region" for number in range(len(found))]
    locations = tuple(replace(one, location=key) for one, key in zip(found, keys, strict=True))
    before = Acting(keys[acting % len(keys)], 7)
    target = None if wanted is None else keys[wanted % len(keys)]
    gone = frozenset(keys[number % len(keys)] for number in evacuated)
    given_ = Situation("shop", "UK", before, 3600, locations, NEWEST, gone)
    decision = decide(given_, cause, wanted=target, accept_loss=accept_loss)
    assert decision.reasons
    assert decision.summary
    if decision.after is None:
        assert decision.runs == ()
        return
    chosen = given_.facts(decision.after.location)
    assert chosen is not None
    assert decision.after.epoch == 8
    assert decision.after.location != before.location
    assert target in (None, chosen.location)
    assert (chosen.jurisdiction, chosen.health) == ("UK", Health.UP)
    assert chosen.location not in gone
    assert chosen.snapshot is not None
    assert accept_loss or (chosen.lag_seconds is not None and chosen.lag_seconds <= 3600)
    if any(one.model is not None for one in locations):
        assert chosen.serving is not Serving.NOTHING
    assert 1 <= len(decision.runs) <= 2
    assert {run.partition for run in decision.runs} <= {"UK", chosen.location}
    # Whoever serves now goes on, but for the former acting location, which may be the one that failed.
    still = [one for one in locations if one.serves and one.location != before.location]
    assert still or chosen.serving is not Serving.READY
    if cause is Cause.PROBE:
        former = given_.facts(before.location)
        assert former is None or former.health is Health.DOWN


@pytest.mark.parametrize(
    ("workload", "placement"), PLACEMENTS, ids=lambda value: getattr(value, "name", None) or value.jurisdiction
)
def test_every_combination_of_outages_in_the_example_topology(workload, placement):
    """Of all 2^9 combinations none leaves a workload without a lawful healthy location, or asks for unbounded work."""
    keys = sorted(TOPOLOGY.locations)
    lawful = {key for key, location in TOPOLOGY.locations.items() if location.jurisdiction == placement.jurisdiction}
    assert len(keys) == 9
    for outage in product((False, True), repeat=len(keys)):
        dark = {key for key, is_dark in zip(keys, outage, strict=True) if is_dark}
        locations = tuple(
            LocationFacts(placed.key, placed.location.jurisdiction, Health.DOWN, "outage")
            if placed.key in dark
            else LocationFacts(
                placed.key, placed.location.jurisdiction, Health.UP, None, NEWEST, 0.0, 1,
                Serving.COLD if placed.role is Role.COLD else Serving.READY, 0,
            )
            for placed in placement.locations
        )  # fmt: skip
        before = initial_acting(placement)
        decision = decide(
            Situation(workload.name, placement.jurisdiction, before, workload.rpo_seconds, locations, NEWEST), Cause.PROBE
        )
        acting = decision.after or before
        alive = [placed.key for placed in placement.locations if placed.key not in dark]
        assert acting.location in lawful
        assert acting.location in alive or not alive
        assert decision.moves == (before.location in dark and bool(alive))
        assert len(decision.runs) <= len(placement.locations)
