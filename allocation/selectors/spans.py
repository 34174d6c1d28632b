"""Months, quarters and years of a series. A quarter or year that the period cuts is marked incomplete."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accounts.months import format_month, shift
from allocation.selectors.statuses import Figure, Presence, combined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from allocation.selectors.emissions import Point

_MONTHS_OF_YEAR = 12
_MONTHS_OF_QUARTER = 3


class Span(NamedTuple):
    """Emissions of a month, quarter or year; `start` and `until` are the whole span, also where the period cuts it."""

    start: date
    until: date
    label: str
    complete: bool
    figure: Figure


def months(points: Sequence[Point]) -> list[Span]:
    """Each month by itself."""
    return _grouped(points, lambda month: month, 1, format_month)


def quarters(points: Sequence[Point]) -> list[Span]:
    """Calendar quarters, labelled 2025-Q2."""
    return _grouped(
        points,
        lambda month: shift(month, -((month.month - 1) % _MONTHS_OF_QUARTER)),
        _MONTHS_OF_QUARTER,
        lambda start: f"{start.year}-Q{(start.month - 1) // _MONTHS_OF_QUARTER + 1}",
    )


def years(points: Sequence[Point], *, first_month: int = 1) -> list[Span]:
    """Years that begin in the month `first_month` (1-12): calendar years, or fiscal years labelled FY2025/26."""
    return _grouped(
        points,
        lambda month: shift(month, -((month.month - first_month) % _MONTHS_OF_YEAR)),
        _MONTHS_OF_YEAR,
        lambda start: str(start.year) if first_month == 1 else f"FY{start.year}/{(start.year + 1) % 100:02d}",
    )


def _grouped(
    points: Sequence[Point], start_of: Callable[[date], date], length: int, label: Callable[[date], str]
) -> list[Span]:
    groups: dict[date, list[Point]] = {}
    for point in points:
        groups.setdefault(start_of(point.month), []).append(point)
    spans = []
    for start, members in sorted(groups.items()):
        figure = combined(point.figure for point in members)
        whole = len(members) == length and figure.presence is Presence.WHOLE
        spans.append(Span(start, shift(start, length), label(start), whole, figure))
    return spans
