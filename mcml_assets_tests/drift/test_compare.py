"""Promises of a comparison: whatever table comes, a person reads what is the matter with it, and never a stack trace."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mcml_assets.domain.drift import DriftLevel
from mcml_assets.drift.picture import worst_features
from mcml_assets_tests.drift.columns import column, compared, generator

ROWS = 2_000


def reference() -> dict[str, Any]:
    random = generator()
    return {"spent": random.lognormal(3, 1, ROWS), "visits": random.poisson(4, ROWS), "city": ["York", "Bath"] * (ROWS // 2)}


def present(rows: int = ROWS, **columns: Any) -> dict[str, Any]:
    random = generator(7)
    cities = (["York", "Bath"] * rows)[:rows]
    return {"spent": random.lognormal(3, 1, rows), "visits": random.poisson(4, rows), "city": cities} | columns


def levels(table: Mapping[str, Any]) -> dict[str, DriftLevel]:
    return {one.measured.name: one.level for one in compared(reference(), table).drifted}


def test_the_same_distributions_are_not_accused() -> None:
    """Another draw of the same customers: nothing drifted, nothing is said."""
    comparison = compared(reference(), present())
    assert (comparison.level, comparison.problems, comparison.too_few) == (DriftLevel.NONE, (), None)
    assert len(comparison.judged) == 3


@pytest.mark.parametrize(
    ("changed", "guilty"),
    [
        ({"spent": generator(7).lognormal(3, 1, ROWS) * 100}, "spent"),
        ({"spent": [None] * ROWS}, "spent"),
        ({"spent": np.full(ROWS, 20.0)}, "spent"),
        ({"spent": np.full(ROWS, np.inf)}, "spent"),
        ({"spent": np.where(np.arange(ROWS) % 4, 20.0, np.nan)}, "spent"),
        ({"visits": np.zeros(ROWS)}, "visits"),
        ({"city": ["Bath"] * ROWS}, "city"),
        ({"city": [f"city {number}" for number in range(ROWS)]}, "city"),
        ({"city": [None] * ROWS}, "city"),
    ],
    ids=["pence", "nulls", "constant", "infinite", "a quarter missing", "zero", "swapped", "new categories", "no city"],
)
def test_only_what_changed_is_accused(changed: dict[str, Any], guilty: str) -> None:
    """All nulls, a constant, infinite numbers, other units, new categories: that feature is past the second threshold."""
    assert levels(present(**changed)) == {guilty: DriftLevel.ERROR}
    assert worst_features(compared(reference(), present(**changed)))


def test_a_feature_that_was_constant_and_is_not_is_found() -> None:
    """There is no spread to measure the change by: it is infinitely far, and an error."""
    comparison = compared({"x": np.full(ROWS, 5.0)}, {"x": np.arange(float(ROWS))})
    assert comparison.level is DriftLevel.ERROR
    assert comparison.judged[0].measured.shift == float("inf")
    assert compared({"x": np.full(ROWS, 5.0)}, {"x": np.full(50, 5.0)}).level is DriftLevel.NONE


def test_a_feature_that_was_never_known_and_now_is_is_found() -> None:
    """All null when the model learnt, all known now."""
    unknown = column([None] * ROWS, "float64")
    assert compared({"x": unknown.to_pylist()}, {"x": unknown}).level is DriftLevel.NONE
    learnt = {"x": [None] * (ROWS - 5) + [1.0] * 5}
    assert compared(learnt, {"x": np.ones(ROWS)}).level is DriftLevel.ERROR


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_too_few_rows_are_not_judged(rows: int) -> None:
    """An empty table, one row or two: it is said that they cannot be judged, and how many there are."""
    comparison = compared(reference(), present(rows, city=column((["York"] * rows), "string")))
    assert comparison.judged == ()
    assert comparison.too_few is not None
    assert f"{rows} rows beside" in comparison.too_few or "no rows to judge: 0 now" in comparison.too_few
    assert worst_features(comparison) is None


def test_a_new_column_changes_nothing() -> None:
    """What the model never learnt from cannot have drifted."""
    comparison = compared(reference(), present(colour=["red"] * ROWS))
    assert (comparison.level, len(comparison.judged)) == (DriftLevel.NONE, 3)


def test_a_column_that_is_gone_is_named() -> None:
    """The other columns are judged; that one cannot be, which is past the second threshold."""
    table = present()
    del table["visits"]
    comparison = compared(reference(), table)
    assert comparison.problems == ("column 'visits' is not there any more",)
    assert (comparison.level, len(comparison.judged)) == (DriftLevel.ERROR, 2)


def test_a_column_of_another_kind_is_named() -> None:
    """Text where numbers were, numbers where text was: said with the types, and no value is quoted."""
    comparison = compared(reference(), present(spent=["much"] * ROWS, city=np.arange(ROWS)))
    assert comparison.problems == (
        "column 'spent' holds string, where its reference holds numbers",
        "column 'city' holds int64, where its reference holds categories",
    )
    assert [one.measured.name for one in comparison.judged] == ["visits"]


def test_ten_thousand_categories_are_compared() -> None:
    """Many categories alike are no drift; the same ones in other shares are."""
    random = generator()
    words = np.array([f"c{number:05}" for number in range(10_000)])
    shares = np.arange(1.0, 10_001.0) / np.arange(1.0, 10_001.0).sum()
    learnt = {"x": words[random.choice(10_000, 300_000, p=shares)]}
    assert compared(learnt, {"x": words[random.choice(10_000, 20_000, p=shares)]}).level is DriftLevel.NONE
    turned = compared(learnt, {"x": words[random.choice(10_000, 20_000, p=shares[::-1])]})
    assert turned.level is not DriftLevel.NONE


def test_a_large_sample_does_not_alarm_on_a_trifle() -> None:
    """A shift of a fiftieth of a standard deviation is certain in a million rows, and no drift."""
    random = generator()
    comparison = compared({"x": random.normal(size=1_000_000)}, {"x": random.normal(0.02, 1, 1_000_000)})
    assert comparison.judged[0].adjusted_p < 1e-20
    assert comparison.level is DriftLevel.NONE
