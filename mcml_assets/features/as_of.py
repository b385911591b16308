"""The as-of dates of a feature snapshot: at which times the users' function looks at the data. Pure arithmetic on time.

Which rows the function may see at each of them is `compute.py`'s business.
"""

from datetime import UTC, datetime, timedelta

from mcml_assets.domain.errors import ConfigurationError


def as_of_dates(
    earliest: datetime, watermark: datetime, first_after_days: int | None, every_days: int | None
) -> tuple[datetime, ...]:
    """Every `every_days` from `first_after_days` after the day of the earliest event, and the watermark, which is last.

    The grid hangs on the midnight (UTC) before the earliest event, as the watermarks of landings do: a label that needs
    60 days is then known exactly 60 days of data later. It does not hang on the watermark, so a later snapshot repeats
    the dates of an earlier one. A grid date on the watermark's calendar day (UTC) is left out: the watermark stands for
    that day, and a feature file is named by its day. Without `every_days` the watermark is the only date.

    Raises `ConfigurationError` when only one of the two numbers is given, one is not a whole number of days above
    zero, or a time carries no zone.
    """
    if earliest.tzinfo is None or watermark.tzinfo is None:
        raise ConfigurationError("the earliest event and the watermark need a time zone, such as 2011-05-30T00:00:00Z")
    if first_after_days is None and every_days is None:
        return (watermark,)
    if first_after_days is None or every_days is None or first_after_days < 1 or every_days < 1:
        raise ConfigurationError(
            f"as_of needs both first_after_days and every_days, each at least 1; found {first_after_days} and {every_days}"
        )
    dates: list[datetime] = []
    midnight = earliest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    date = midnight + timedelta(days=first_after_days)
    while date.date() < watermark.date():
        dates.append(date)
        date += timedelta(days=every_days)
    return (*dates, watermark)
