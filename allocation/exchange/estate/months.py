"""Counting months from the first month of an estate."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

MONTHS_PER_YEAR = 12


def month_after(first: dt.date, count: int) -> dt.date:
    """The first day of the month that is `count` months after `first` (before it, if negative)."""
    index = first.year * MONTHS_PER_YEAR + first.month - 1 + count
    return dt.date(index // MONTHS_PER_YEAR, index % MONTHS_PER_YEAR + 1, 1)


def hours_of(month: dt.date, timezone: str) -> int:
    """The exact length in hours of a month in an IANA time zone, daylight saving included.

    Raises:
        ValueError: the zone's month is not a whole number of hours (Lord Howe Island's is not).
    """
    zone = ZoneInfo(timezone)
    begin, end = (dt.datetime(day.year, day.month, 1, tzinfo=zone) for day in (month, month_after(month, 1)))
    hours, rest = divmod(end.timestamp() - begin.timestamp(), 3600)
    if rest:
        raise ValueError(f"{month:%Y-%m} is not a whole number of hours in {timezone}")
    return int(hours)


def month_text(month: dt.date) -> str:
    """`YYYY-MM`."""
    return f"{month:%Y-%m}"
