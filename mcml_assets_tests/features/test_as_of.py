"""The as-of dates of a feature snapshot."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.features.as_of import as_of_dates

TIMES = st.datetimes(datetime(2010, 1, 1), datetime(2011, 1, 1), timezones=st.just(UTC))
DAYS = st.integers(1, 90)


def test_the_dates_are_those_of_the_declaration():
    """First 30 days after the day of the first event, then every 30, and the watermark itself last."""
    day = datetime(2010, 12, 1, tzinfo=UTC)
    dates = as_of_dates(day + timedelta(hours=8, minutes=26), day + timedelta(days=100), 30, 30)
    assert dates == tuple(day + timedelta(days=days) for days in (30, 60, 90, 100))


@given(TIMES, st.integers(0, 500), DAYS, DAYS)
def test_every_date_has_its_own_day_and_none_is_after_the_watermark(start, length, first, every):
    """Files are named by day, so no two dates share one; the watermark is always among them, and last."""
    watermark = start + timedelta(days=length)
    dates = as_of_dates(start, watermark, first, every)
    assert dates[-1] == watermark
    assert list(dates) == sorted(dates)
    assert len({date.date() for date in dates}) == len(dates)


@given(TIMES, st.integers(0, 300), st.integers(1, 60), DAYS, DAYS)
def test_a_later_snapshot_repeats_the_dates_of_an_earlier_one(start, length, more, first, every):
    """The grid hangs on the day of the earliest event, so history does not move when new data comes."""
    earlier = as_of_dates(start, start + timedelta(days=length), first, every)
    later = as_of_dates(start, start + timedelta(days=length + more), first, every)
    assert later[: len(earlier) - 1] == earlier[:-1]


def test_without_a_schedule_the_watermark_is_the_only_date():
    """A workload whose rows bring their own times needs no other."""
    watermark = datetime(2011, 1, 1, tzinfo=UTC)
    assert as_of_dates(datetime(2010, 1, 1, tzinfo=UTC), watermark, None, None) == (watermark,)


@pytest.mark.parametrize(("first", "every"), [(30, None), (None, 30), (0, 30), (30, 0), (30, -1)])
def test_half_a_schedule_is_refused(first, every):
    """One number without the other, or a number below one, is a mistake and says so."""
    start = datetime(2010, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="first_after_days and every_days"):
        as_of_dates(start, start + timedelta(days=90), first, every)


def test_times_without_a_zone_are_refused():
    """A time that means something else in every location may not decide what a feature sees."""
    with pytest.raises(ConfigurationError, match="time zone"):
        as_of_dates(datetime(2010, 1, 1), datetime(2010, 3, 1, tzinfo=UTC), 30, 30)
