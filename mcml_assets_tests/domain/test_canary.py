"""What judging a canary promises: agreement has to be shown, and only what the location is to blame for is held against it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.canary import Agreement, CanaryResult, CanaryRules, Compared, judge_canary

RULES = CanaryRules(metric_margin=0.02, golden_tolerance=0.01)
WELL = Compared("roc_auc", 0.0, 900, 0.0, same_data=True, same_code=True)


@pytest.mark.parametrize(
    ("changes", "agreement"),
    [
        ({}, Agreement.AGREES),
        ({"difference": -0.02}, Agreement.AGREES),
        ({"difference": -0.021}, Agreement.DISAGREES),
        ({"difference": 0.021}, Agreement.DISAGREES),
        ({"difference": float("nan")}, Agreement.DISAGREES),
        ({"golden_difference": 0.011}, Agreement.DISAGREES),
        ({"golden_difference": None}, Agreement.DISAGREES),
        ({"golden_difference": 0.5, "same_data": False}, Agreement.AGREES),
        ({"difference": 0.5, "same_code": False}, Agreement.UNKNOWN),
        ({"difference": 0.5, "problem": "its pickle is another version's"}, Agreement.UNKNOWN),
        ({"difference": None, "rows": 0}, Agreement.UNKNOWN),
    ],
)
def test_agreement_is_shown_or_it_is_none(changes: dict[str, object], agreement: Agreement) -> None:
    """Better by too much disagrees as well; changed code, or nothing to compare, is nobody's disagreement."""
    compared = replace(WELL, **changes)  # pyright: ignore[reportArgumentType] - one field at a time, by name
    assert judge_canary(compared, RULES)[0] is agreement


@given(st.builds(CanaryResult, st.sampled_from(Agreement), st.text(), st.text(), st.integers(0)))
def test_evidence_is_read_as_it_was_written(result: CanaryResult) -> None:
    """What a manifest records of a canary is the canary's result."""
    assert CanaryResult.from_annotations(result.annotations()) == result


def test_evidence_that_says_nothing_is_unknown() -> None:
    """A manifest without a word of ours claims no agreement."""
    for annotations in ({}, {"agreement": "surely"}):
        assert CanaryResult.from_annotations(annotations).agreement is Agreement.UNKNOWN
