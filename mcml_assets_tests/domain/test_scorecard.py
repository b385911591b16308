"""What the scorecard promises: no point without an event, less for old ones, and nothing for what nobody expected."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.scorecard import DAY, Component, Evidence, Scorecard, newest

NOW = 1_790_000_000.0
SUBJECTS = ("UK", "EU")


def proof(days: float = 0.0, value: float = 1.0) -> Evidence:
    return Evidence("event 1", NOW - days * DAY, value, "it held")


def card(*components: Component) -> Scorecard:
    return Scorecard("shop", NOW, components)


def component(weight: float = 10.0, **evidence: Evidence) -> Component:
    return Component("recovery", "Is it proved?", weight, SUBJECTS, evidence)


def test_missing_evidence_is_zero_and_is_named() -> None:
    """Half of the subjects proved is half of the points; the other half is told."""
    half = component(UK=proof())
    assert card(half).score == 50
    assert half.missing() == ("EU",)
    assert card(component()).score == 0
    assert card().score == 0


@pytest.mark.parametrize(("days", "worth"), [(0, 1.0), (30, 1.0), (60, 0.5), (90, 0.0), (400, 0.0)])
def test_old_evidence_loses_its_value(days: float, worth: float) -> None:
    """It counts in full for 30 days, then less every day, and nothing after 90."""
    assert proof(days).worth(NOW) == pytest.approx(worth)


def test_a_new_failure_ends_an_old_success() -> None:
    """The newest event about a subject decides, in whatever order they come."""
    found = [("UK", proof(1, 0.0)), ("UK", proof(5, 1.0)), ("EU", proof(2, 1.0))]
    assert {subject: one.value for subject, one in newest(found).items()} == {"UK": 0.0, "EU": 1.0}
    assert newest(found) == newest(found[::-1])


EVIDENCE = st.builds(Evidence, st.just("event"), st.floats(NOW - 200 * DAY, NOW), st.floats(-5, 5), st.just("told"))


@given(
    st.dictionaries(st.sampled_from(["UK", "EU", "US", "elsewhere"]), EVIDENCE),
    st.sampled_from(["UK", "EU"]),
    st.floats(0.1, 100),
)
def test_nothing_but_an_event_raises_it(evidence: dict[str, Evidence], subject: str, weight: float) -> None:
    """Between 0 and 100 whatever is claimed; subjects nobody expected add nothing, and taking evidence away never helps."""
    whole = Component("recovery", "Is it proved?", weight, SUBJECTS, evidence)
    assert 0 <= card(whole).score <= 100 + 1e-9
    expected = {one: found for one, found in evidence.items() if one in SUBJECTS}
    assert card(replace(whole, evidence=expected)).score == card(whole).score
    fewer = {one: found for one, found in evidence.items() if one != subject}
    assert card(replace(whole, evidence=fewer)).score <= card(whole).score + 1e-9
