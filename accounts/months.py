"""Whole months and half-open periods of them. A month is the date of its first day; nothing here knows a clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Bounds that stand for "always" where a month has to be written: both can be stored, compared and read by every driver.
BEGINNING = date(1, 1, 1)
END = date(9999, 12, 1)

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])\Z", re.ASCII)


def month_of(day: date) -> date:
    """The month in which a day lies. For a datetime, the month of its own calendar date, unconverted."""
    return date(day.year, day.month, 1)


@lru_cache(maxsize=1024)
def parse_month(text: str) -> date:
    """Read `YYYY-MM`; ValueError for anything else, the year 0000 included."""
    match = _MONTH.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a month; write YYYY-MM")
    return date(int(match[1]), int(match[2]), 1)


def format_month(month: date) -> str:
    """Write `YYYY-MM`."""
    return f"{month.year:04d}-{month.month:02d}"


def shift(month: date, months: int) -> date:
    """The month so many months later (earlier if negative); ValueError outside the years 1 to 9999."""
    year, index = divmod(month.year * 12 + month.month - 1 + months, 12)
    return date(year, index + 1, 1)


def check_month(month: date) -> date:
    """Hand the month back; ValueError unless it is the first day of a month."""
    if month.day != 1:
        raise ValueError(f"{month.isoformat()} is not the first day of a month")
    return month


@dataclass(frozen=True, slots=True)
class Period:
    """Months from `start` (inclusive) to `end` (exclusive); `end` None is open. Never empty."""

    start: date
    end: date | None = None

    def __post_init__(self) -> None:
        check_month(self.start)
        if self.end is not None and check_month(self.end) <= self.start:
            raise ValueError(f"a period must end after it starts: {self}")

    def __str__(self) -> str:
        return f"{format_month(self.start)}..{format_month(self.end) if self.end else ''}"

    @property
    def bound(self) -> date:
        """The end as a date that compares: `END` where the period is open."""
        return END if self.end is None else self.end

    def __contains__(self, month: date) -> bool:
        return self.start <= month < self.bound

    def months(self) -> Iterator[date]:
        """Every month of a closed period in order; ValueError if it is open."""
        if self.end is None:
            raise ValueError("an open period has no last month")
        month = self.start
        while month < self.end:
            yield month
            month = shift(month, 1)

    def intersect(self, other: Period) -> Period | None:
        """The months in both, or None."""
        return between(max(self.start, other.start), min(self.bound, other.bound))

    def minus(self, other: Period) -> list[Period]:
        """The months of this period that are not in the other: none, one or two periods."""
        before = between(self.start, min(self.bound, other.start))
        after = between(max(self.start, other.bound), self.bound)
        return [piece for piece in (before, after) if piece is not None]


ALWAYS = Period(BEGINNING)


def between(start: date, bound: date) -> Period | None:
    """The period from `start` to `bound` (`END` = open), or None where that is empty."""
    if bound <= start:
        return None
    return Period(start, None if bound >= END else bound)


def merge(periods: Iterable[Period]) -> list[Period]:
    """The same months as the fewest periods, in order."""
    merged: list[Period] = []
    for period in sorted(periods, key=lambda piece: (piece.start, piece.bound)):
        last = merged[-1] if merged else None
        if last is None or period.start > last.bound:
            merged.append(period)
        elif period.bound > last.bound:
            merged[-1] = Period(last.start, period.end)
    return merged


def covers(periods: Iterable[Period], needed: Period) -> bool:
    """Whether every month of `needed` lies in one of the periods."""
    return any(piece.start <= needed.start and needed.bound <= piece.bound for piece in merge(periods))


def multirange(periods: Iterable[Period]) -> str:
    """The months of the periods as the text of PostgreSQL's `datemultirange`."""
    return "{" + ",".join(f"[{period.start},{period.bound})" for period in periods) + "}"
