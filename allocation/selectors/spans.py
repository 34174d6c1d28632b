"""Months, quarters and years of a series. A quarter or year that the period cuts is marked incomplete."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from accounts.months import format_month, shift
from allocation.selectors.statuses import Figure, Presence, combined

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from allocation.selectors.emissions import Point


class Granularity(enum.StrEnum):
    """How finely time is told apart."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


SPAN_MONTHS: Final = {Granularity.MONTH: 1, Granularity.QUARTER: 3, Granularity.YEAR: 12}


class Span(NamedTuple):
    """Emissions of a month, quarter or year; `start` and `until` are the whole span, also where the period cuts it."""

    start: date
    until: date
    label: str
    complete: bool
    figure: Figure


def grouped(points: Sequence[Point], granularity: Granularity, *, first_month: int = 1) -> list[Span]:
    """Group months into calendar quarters, or into years that begin in the month `first_month` (1-12)."""
    length = SPAN_MONTHS[granularity]
    first = first_month if granularity is Granularity.YEAR else 1
    groups: dict[date, list[Point]] = {}
    for point in points:
        groups.setdefault(shift(point.month, -((point.month.month - first) % length)), []).append(point)
    spans = []
    for start, members in sorted(groups.items()):
        figure = combined(point.figure for point in members)
        whole = len(members) == length and figure.presence is Presence.WHOLE
        spans.append(Span(start, shift(start, length), _label(start, granularity, first), whole, figure))
    return spans


def _label(start: date, granularity: Granularity, first_month: int) -> str:
    if granularity is Granularity.MONTH:
        return format_month(start)
    if granularity is Granularity.QUARTER:
        return f"{start.year}-Q{(start.month + 2) // 3}"
    return str(start.year) if first_month == 1 else f"FY{start.year}/{(start.year + 1) % 100:02d}"
