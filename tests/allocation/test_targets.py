"""Progress of targets against a line that is worked out by hand."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.months import Period, shift
from allocation.models import Target, TargetKind
from allocation.policies import Kind, NodeKey
from allocation.selectors.amounts import EMPTY, LINES, Amounts
from allocation.selectors.emissions import Point, Series
from allocation.selectors.statuses import Figure, Presence
from allocation.selectors.targets import TargetStatus, _progress

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE = NodeKey(Kind.ACCOUNT, 1)


def target(kind: TargetKind = TargetKind.ABSOLUTE, *, until: int = 2024, ppm: int = 500_000, first: int = 1) -> Target:
    return Target(
        node_kind="account",
        node_id=1,
        name="x",
        kind=kind,
        method="location_based",
        scopes=[1, 2],
        base_year=2020,
        target_year=until,
        fiscal_year_start=first,
        reduction_ppm=ppm,
    )


def month_of(location_ug: int, *, wh: int = 1000, market_ug: int = 7, other_ug: int = 5) -> Figure:
    """A month; scope 3 and the other method are there to be left out."""
    found = {"scope1": 0, "scope2_lbm": location_ug, "scope2_mbm": market_ug, "scope3_embodied": other_ug}
    lines = tuple(found.get(line.name) for line in LINES)
    return Figure(Amounts(lines, wh, (None,) * len(lines), None), Presence.WHOLE)


def series(years: Sequence[Sequence[Figure | None]], *, first: int = 1) -> Series:
    """Twelve figures for each year from 2020 on; None is not published."""
    start = date(2020, first, 1)
    figures = [figure for year in years for figure in year]
    points = tuple(
        Point(shift(start, place), figure or Figure(EMPTY, Presence.NOT_YET_PUBLISHED))
        for place, figure in enumerate(figures)
    )
    return Series(NODE, points, (), ())


def year(ug: int, **rest: int) -> list[Figure]:
    return [month_of(ug, **rest)] * 12


def test_years_are_compared_with_a_straight_line() -> None:
    found = _progress(target(), series([year(800), year(700), year(601), year(500), [None] * 12]))
    # Half of 9 600 over four years: 8 400, 7 200, 6 000, 4 800.
    assert [(stand.start.year, stand.path_ppm, stand.on_track) for stand in found.years] == [
        (2020, 1_000_000, True),
        (2021, 875_000, True),
        (2022, 750_000, False),
        (2023, 625_000, True),
        (2024, 500_000, None),
    ]
    assert found.latest is not None
    assert found.latest.start == date(2023, 1, 1)
    assert found.status is TargetStatus.ON_TRACK


@pytest.mark.parametrize(("ug", "status"), [(400, TargetStatus.REACHED), (401, TargetStatus.MISSED)])
def test_the_target_year_decides(ug: int, status: TargetStatus) -> None:
    found = _progress(target(), series([year(800), year(800), year(800), year(800), year(ug)]))
    assert found.status is status


def test_the_newest_twelve_months_stand_beside_the_line_between_two_years() -> None:
    # Half a year later the line is an eighth of the half lower: 1 - 1/2 * 6/48 = 0.9375 of 9 600 = 9 000.
    for last, on_track in ((700, True), (701, False)):
        found = _progress(target(), series([year(800), [*[month_of(last)] * 6, *[None] * 6]]))
        assert found.latest is not None
        assert (found.latest.start, found.latest.path_ppm) == (date(2020, 7, 1), 937_500)
        assert found.latest.on_track is on_track
        assert found.status is (TargetStatus.ON_TRACK if on_track else TargetStatus.OFF_TRACK)


def test_without_a_whole_base_year_nothing_is_known() -> None:
    found = _progress(target(), series([[None, *year(800)[1:]], year(1)]))
    assert found.status is TargetStatus.UNKNOWN
    assert [stand.on_track for stand in found.years] == [None, None]
    nothing = _progress(target(), series([[None] * 12]))
    assert (nothing.latest, nothing.status) == (None, TargetStatus.UNKNOWN)


def test_intensity_is_emissions_by_electricity() -> None:
    # More emissions, but three times the electricity: 800/1000 becomes 1 500/3 000.
    found = _progress(target(TargetKind.INTENSITY), series([year(800), year(1500, wh=3000)]))
    assert found.status is TargetStatus.ON_TRACK
    assert _progress(target(), series([year(800), year(1500, wh=3000)])).status is TargetStatus.OFF_TRACK
    assert _progress(target(TargetKind.INTENSITY), series([year(800), year(1, wh=0)])).status is TargetStatus.UNKNOWN


def test_fiscal_years_begin_in_their_month() -> None:
    found = _progress(target(first=4), series([year(800), year(700)], first=4))
    assert [stand.start for stand in found.years] == [date(2020, 4, 1), date(2021, 4, 1)]
    assert found.status is TargetStatus.ON_TRACK


@given(
    base=st.integers(1, 10**12),
    now=st.integers(0, 10**12),
    ppm=st.integers(1, 1_000_000),
    years=st.integers(1, 40),
    months=st.integers(0, 480),
)
def test_the_decision_is_exact(base: int, now: int, ppm: int, years: int, months: int) -> None:
    months = min(months, years * 12)
    start = shift(date(2020, 1, 1), months)
    found = _progress(target(until=2020 + years, ppm=ppm), _two(base, now, start))
    assert found.latest is not None
    line = 1 - Fraction(ppm, 10**6) * Fraction(months, years * 12)
    current = base if months == 0 else now
    if months >= 12 or months == 0:
        assert found.latest.on_track is (Fraction(current) <= base * line)


def _two(base: int, now: int, start: date) -> Series:
    """The base year, and twelve months from another month on."""
    points = {month: month_of(base) for month in Period(date(2020, 1, 1), date(2021, 1, 1)).months()}
    if start >= date(2021, 1, 1):
        points |= {month: month_of(now) for month in Period(start, shift(start, 12)).months()}
    return Series(NODE, tuple(Point(month, figure) for month, figure in sorted(points.items())), (), ())
