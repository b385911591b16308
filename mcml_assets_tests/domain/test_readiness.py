"""What readiness promises: what is wrong keeps a location from taking over, what is not known is named, and nothing is both."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.canary import Agreement
from mcml_assets.domain.failover import Cause, Situation, decide
from mcml_assets.domain.readiness import (
    CanaryFacts,
    Health,
    LocationFacts,
    Question,
    Serving,
    Standing,
    SyntheticFacts,
    Yardstick,
    readiness,
)

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
NEWEST, PACKAGE = "a" * 64, "d" * 64
COLUMNS = frozenset({"customer.recency", "customer.frequency"})


def proved(location: str, **changes: object) -> LocationFacts:
    """A location of which everything is known and well."""
    facts = LocationFacts(
        location, "UK", Health.UP, None, NEWEST, 0.0, 2, Serving.READY, 0, features_current=True, features_of=NEWEST,
        features_content="f", features_by=location, feature_columns=COLUMNS, model_digest=PACKAGE,
        canary=CanaryFacts(Agreement.AGREES, "it differs by 0", 86400.0), synthetic=SyntheticFacts(True, 9, 30.0),
    )  # fmt: skip
    return replace(facts, **changes)  # pyright: ignore[reportArgumentType] - one field at a time, by name


def measured(facts: LocationFacts, exact: bool = True):
    others = tuple(proved(location) for location in (A, B, C) if location != facts.location)
    return readiness(facts, Yardstick(NEWEST, 3600, others, exact, COLUMNS))


def test_a_location_of_which_everything_is_proved_is_ready_without_reservation() -> None:
    """All seven points are met."""
    found = measured(proved(B))
    assert found.sentence == "ready"
    assert {point.question for point in found.points} == set(Question)
    assert {point.standing for point in found.points} == {Standing.MET}


@pytest.mark.parametrize(
    ("changes", "question", "standing"),
    [
        ({"snapshot": None, "lag_seconds": None}, Question.DATA, Standing.UNMET),
        ({"lag_seconds": None}, Question.DATA, Standing.UNMET),
        ({"lag_seconds": 3601.0}, Question.DATA, Standing.UNMET),
        ({"lag_seconds": 60.0}, Question.DATA, Standing.RESERVED),
        ({"features_content": "other"}, Question.PARITY, Standing.UNMET),
        ({"features_of": "b" * 64}, Question.PARITY, Standing.RESERVED),
        ({"features_content": None}, Question.PARITY, Standing.RESERVED),
        ({"model": 1}, Question.MODEL, Standing.RESERVED),
        ({"model_digest": "e" * 64}, Question.MODEL, Standing.UNMET),
        ({"model_digest": None}, Question.MODEL, Standing.RESERVED),
        ({"feature_columns": frozenset({"customer.recency"})}, Question.SCHEMA, Standing.UNMET),
        ({"feature_columns": None}, Question.SCHEMA, Standing.RESERVED),
        ({"canary": None}, Question.CANARY, Standing.RESERVED),
        ({"canary": CanaryFacts(Agreement.UNKNOWN, "other code", 0.0)}, Question.CANARY, Standing.RESERVED),
        ({"canary": CanaryFacts(Agreement.DISAGREES, "it differs by 0.1", 0.0)}, Question.CANARY, Standing.UNMET),
        ({"serving": Serving.COLD}, Question.CAPACITY, Standing.RESERVED),
        ({"serving": Serving.NOTHING}, Question.CAPACITY, Standing.UNMET),
        ({"synthetic": None}, Question.SYNTHETIC, Standing.RESERVED),
        ({"synthetic": SyntheticFacts(False, 1, 9.0, "wrong score")}, Question.SYNTHETIC, Standing.RESERVED),
        ({"synthetic": SyntheticFacts(False, 2, 9.0, "wrong score")}, Question.SYNTHETIC, Standing.UNMET),
        ({"synthetic": SyntheticFacts(False, 9, 6000.0, "wrong score")}, Question.SYNTHETIC, Standing.RESERVED),
    ],
)
def test_each_point_speaks_for_itself_and_the_failover_hears_it(
    changes: dict[str, object], question: Question, standing: Standing
) -> None:
    """What is wrong is unmet and the next one takes over; what is unknown or late is a reservation, and it still does."""
    facts = proved(B, **changes)
    point = next(point for point in measured(facts).points if point.question is question)
    assert point.standing is standing
    dark = LocationFacts(A, "UK", Health.DOWN, "no answer", model=2)
    witnesses = (proved(C), proved("aws/eu-central-1"))
    decision = decide(Situation("shop", "UK", Acting(A, 4), 3600, (dark, facts, *witnesses), NEWEST, declared_features=COLUMNS),
                      Cause.PROBE)  # fmt: skip
    assert decision.after is not None
    if standing is Standing.UNMET:
        assert decision.after.location == C
        assert [rejected.location for rejected in decision.rejected] == [B]
    elif facts.serving is Serving.READY:
        assert decision.after.location == B
        if question is not Question.DATA:
            assert point.text in decision.summary


def test_tolerances_leave_the_verdict_on_features_to_their_check() -> None:
    """Where locations may differ, another content is a reservation, and keeps nobody from taking over."""
    assert measured(proved(B, features_content="other"), exact=False).ready


def test_a_feature_that_nobody_has_yet_is_held_against_nobody() -> None:
    """Declaring one more feature does not leave every standby unready until all have computed it."""
    facts = proved(B)
    by = Yardstick(NEWEST, 3600, (proved(A),), True, COLUMNS | {"customer.new"})
    assert readiness(facts, by).ready
    assert "no location has customer.new yet" in readiness(facts, by).sentence


LOCATIONS = st.builds(
    LocationFacts, st.just(B), st.just("UK"), st.just(Health.UP), st.none(), st.none() | st.just(NEWEST),
    st.none() | st.floats(0, 7200), st.none() | st.integers(1, 3), st.sampled_from(Serving), st.just(0),
    canary=st.none() | st.builds(CanaryFacts, st.sampled_from(Agreement), st.just("because"), st.floats(0, 1e7)),
    synthetic=st.none() | st.builds(SyntheticFacts, st.booleans(), st.integers(1, 9), st.floats(0, 1e4)),
)  # fmt: skip


@given(LOCATIONS)
def test_knowing_less_never_makes_a_location_readier(facts: LocationFacts) -> None:
    """Without evidence no point is met that was not met with it."""
    blind = replace(facts, canary=None, synthetic=None, snapshot=None, lag_seconds=None)
    met = {point.question for point in measured(facts).points if point.standing is Standing.MET}
    assert {point.question for point in measured(blind).points if point.standing is Standing.MET} <= met
