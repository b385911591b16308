"""The decisions about money, age and corruption that the care of stored snapshots rests on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.egress import EgressCost, EgressPrice, egress_cost
from mcml_assets.domain.retention import Retention, kept
from mcml_assets.domain.voting import vote

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
USD, EUR = EgressPrice(Decimal("0.09"), "USD"), EgressPrice(Decimal("0.08"), "EUR")


def test_what_leaves_is_priced():
    """Bytes cost by the GiB, from several locations together; what left nowhere is free."""
    assert egress_cost({}) == EgressCost(Decimal(0), None)
    assert egress_cost({USD: 0, None: 0}) == EgressCost(Decimal(0), None)
    assert egress_cost({USD: 2**30, EgressPrice(Decimal("0.12"), "USD"): 2**29}) == EgressCost(Decimal("0.15"), "USD")


def test_a_cost_that_is_unknown_is_not_zero():
    """Without a price, or with two currencies, no amount is given."""
    assert egress_cost({None: 1, USD: 1}) is None
    assert egress_cost({USD: 1, EUR: 1}) is None


ages = st.dictionaries(st.sampled_from("abcdefgh"), st.none() | st.integers(0, 1000), max_size=8)


@given(ages, st.integers(1, 4), st.integers(0, 20), st.sets(st.sampled_from("abcdefgh")), st.integers(0, 100))
def test_nothing_that_must_stay_goes(
    hours: dict[str, int | None], keep_last: int, keep_days: int, needed: set[str], grace: int
):
    """The newest, the young, the needed and the undated stay; what goes is older than all of them allow."""
    stored = {name: None if age is None else NOW - age * HOUR for name, age in hours.items()}
    stays = kept(stored, Retention(keep_last, keep_days), needed=needed, grace=grace * HOUR, now=NOW)
    dated = sorted((age, name) for name, age in hours.items() if age is not None)
    gone = hours.keys() - stays
    assert stays <= hours.keys()
    assert not gone & needed
    assert all(hours[name] is not None for name in gone)
    assert all((hours[name] or 0) >= max(24 * keep_days, grace) for name in gone)
    assert len(stays) >= min(keep_last, len(dated))
    # What goes was superseded by something that has been there for the grace period.
    for name in gone:
        younger = [age for age, other in dated if age <= (hours[name] or 0) and other != name]
        assert max(younger) >= grace


def test_one_that_keeps_the_promise_outvotes_many():
    """The digest was taken when the file was made, so a copy that has it is sound, and every other is corrupt."""
    verdict = vote("p", {"a": "p", "b": "x", "c": "x", "d": None})
    assert (verdict.sound, verdict.corrupt, verdict.confirmed) == (("a",), ("b", "c"), True)
    verdict = vote("p", {"a": "x", "b": None})
    assert (verdict.sound, verdict.corrupt, verdict.confirmed) == ((), ("a",), False)
