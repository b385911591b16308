"""What the study of drift promises to go on being true: few false alarms, planted changes found, and a page of this code."""

import pytest

from mcml_assets_tests.studies.drift import PLANTS, Rate, Year, category_power, false_alarms, power, year
from mcml_assets_tests.studies.drift_page import PAGE, PICTURES, studied_code

REPETITIONS = 40


@pytest.fixture(scope="module")
def shop() -> Year:
    return year()


def test_random_halves_of_a_month_are_rarely_accused(shop: Year) -> None:
    """At most one check in a hundred accuses customers of drifting from other customers of the same month."""
    for rows in (None, 50):
        ours, tested, _ = false_alarms(shop, REPETITIONS, rows)
        assert ours.checks == REPETITIONS * len(shop.features) == 520
        # Of 520 checks with one false alarm in a hundred, more than 11 occur once in a hundred times.
        assert ours.accused <= 11
        assert tested.accused > ours.checks // 10  # the same halves do look different to a test that is not corrected


def test_planted_changes_of_size_are_found(shop: Year) -> None:
    """The largest of each kind is found in 300 rows nine times of ten, and no other column is accused for it."""
    for plant in PLANTS:
        found, _, others = power(shop, plant, plant.sizes[-1], rows=300, repetitions=10)
        assert found.accused >= 9, plant.name
        assert others.accused <= 1, plant.name
    assert category_power(1.0, rows=300, repetitions=10)[0].accused >= 9


def test_nothing_planted_is_not_found(shop: Year) -> None:
    """A change of size zero is accused like any other half: hardly ever."""
    for plant in PLANTS:
        found, _, _ = power(shop, plant, plant.sizes[0], rows=300, repetitions=10)
        assert found.accused <= 1, plant.name


def test_a_rate_is_told_with_its_interval() -> None:
    """The exact binomial interval, also where nothing or everything happened."""
    assert Rate(0, 100).interval == pytest.approx((0.0, 0.0362), abs=1e-4)
    assert Rate(100, 100).interval == pytest.approx((0.9638, 1.0), abs=1e-4)
    assert Rate(5, 100).interval == pytest.approx((0.0164, 0.1128), abs=1e-4)


def test_the_page_is_of_this_code() -> None:
    """Figures that other code gave are no promise: after a change the study is run again."""
    assert f"`{studied_code()}`" in PAGE.read_text(), "stale: run make study-drift"
    assert {file.name for file in PICTURES.glob("*.png")} == {"months.png", "power.png"}
    assert all(file.stat().st_size < 200_000 for file in PICTURES.glob("*.png"))
