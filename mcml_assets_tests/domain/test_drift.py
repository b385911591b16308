"""Promises of the verdict on drift: chance is no drift, a trifle is no drift, and what is both large and sure is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mcml_assets.domain.drift import DEFAULT_DRIFT, DriftLevel, Measured, benjamini_hochberg, judge, worst

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def measured(name: str = "spent", p_value: float = 0.0, psi: float = 0.0, **fields: float) -> Measured:
    return Measured(name, p_value, psi, fields.pop("psi_by_chance", 0.0), 0.0, 0.0, **fields)


def level_of(feature: Measured) -> DriftLevel:
    return judge([feature], DEFAULT_DRIFT)[0].level


@given(P_VALUES)
def test_the_correction_is_that_of_benjamini_and_hochberg(p_values: list[float]) -> None:
    """Adjusted values equal scipy's, whatever the order, ties included."""
    assert np.allclose(benjamini_hochberg(p_values), stats.false_discovery_control(p_values), rtol=1e-12)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_the_order_of_features_does_not_matter(p_values: list[float], random: "np.random.Generator") -> None:
    """A feature's adjusted value does not depend on where in the table it stands, and is never below its own."""
    order = list(range(len(p_values)))
    random.shuffle(order)
    adjusted = benjamini_hochberg(p_values)
    shuffled = benjamini_hochberg([p_values[index] for index in order])
    assert [adjusted[index] for index in order] == list(shuffled)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))


def test_a_trifle_is_no_drift_however_sure() -> None:
    """In ten million rows everything differs significantly; below the threshold it is none."""
    assert level_of(measured(p_value=0.0, psi=0.099, shift=0.3)) is DriftLevel.NONE


def test_chance_is_no_drift_however_large() -> None:
    """A large difference of a few rows that chance gives too is none."""
    assert level_of(measured(p_value=0.02, psi=3.0, shift=4.0)) is DriftLevel.NONE
    assert level_of(measured(p_value=0.0, psi=0.9, psi_by_chance=1.0, shift=0.9, shift_by_chance=1.0)) is DriftLevel.NONE


def test_what_is_large_and_sure_is_told_by_its_size() -> None:
    """Either the index or the shift suffices; past the second threshold it is an error."""
    assert level_of(measured(psi=0.11)) is DriftLevel.WARN
    assert level_of(measured(psi=0.26)) is DriftLevel.ERROR
    assert level_of(measured(shift=0.32)) is DriftLevel.WARN
    assert level_of(measured(shift=float("inf"))) is DriftLevel.ERROR


def test_more_features_need_surer_evidence() -> None:
    """A p-value that convicts one feature alone is what chance gives to one of fifty."""
    suspect = measured("suspect", p_value=0.005, psi=0.5)
    others = [measured(f"other {number}", p_value=0.5) for number in range(49)]
    assert level_of(suspect) is DriftLevel.ERROR
    assert worst(judge([suspect, *others], DEFAULT_DRIFT)) is DriftLevel.NONE


def test_the_worst_is_told_first() -> None:
    """Features come by level and then by effect, so that a person reads the table from the top."""
    features = [measured("a", psi=0.2), measured("b", p_value=1.0, psi=9.0), measured("c", psi=0.3), measured("d", psi=0.4)]
    assert [one.measured.name for one in judge(features, DEFAULT_DRIFT)] == ["d", "c", "a", "b"]
