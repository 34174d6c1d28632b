"""Whole months and half-open periods."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.months import ALWAYS, END, Period, between, covers, format_month, merge, month_of, parse_month, shift

MONTHS = st.integers(0, 30).map(lambda number: shift(date(2025, 1, 1), number))
PERIODS = st.tuples(MONTHS, st.one_of(st.none(), st.integers(1, 12))).map(
    lambda pair: Period(pair[0], None if pair[1] is None else shift(pair[0], pair[1]))
)
WINDOW = [shift(date(2025, 1, 1), number) for number in range(60)]


def _set(*periods: Period) -> set[date]:
    return {month for month in WINDOW for period in periods if month in period}


@pytest.mark.parametrize(
    "text", ["2025-1", "2025-13", "2025-00", "0000-01", "2025-01-01", " 2025-01", "2025-01\n", "٢٠٢٥-01"]
)
def test_text_that_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_month(text)


def test_months_are_read_and_written_alike() -> None:
    assert parse_month("2025-11") == date(2025, 11, 1)
    assert format_month(date(987, 2, 1)) == "0987-02"
    assert month_of(date(2025, 11, 30)) == date(2025, 11, 1)


def test_shifting_crosses_years_both_ways() -> None:
    assert shift(date(2025, 11, 1), 2) == date(2026, 1, 1)
    assert shift(date(2025, 1, 1), -1) == date(2024, 12, 1)
    assert shift(date(2025, 1, 1), -13) == date(2023, 12, 1)


def test_a_period_is_never_empty_and_starts_with_a_month() -> None:
    with pytest.raises(ValueError, match="must end"):
        Period(date(2025, 2, 1), date(2025, 2, 1))
    with pytest.raises(ValueError, match="first day"):
        Period(date(2025, 2, 2))
    assert between(date(2025, 2, 1), date(2025, 2, 1)) is None
    assert between(date(2025, 2, 1), END) == Period(date(2025, 2, 1))


def test_an_open_period_has_no_last_month() -> None:
    with pytest.raises(ValueError, match="no last month"):
        list(ALWAYS.months())
    assert list(Period(date(2025, 12, 1), date(2026, 2, 1)).months()) == [date(2025, 12, 1), date(2026, 1, 1)]


@given(PERIODS, PERIODS)
def test_intersection_and_difference_are_those_of_the_sets(one: Period, other: Period) -> None:
    both = one.intersect(other)
    assert (_set(both) if both else set()) == _set(one) & _set(other)
    assert _set(*one.minus(other)) == _set(one) - _set(other)


@given(st.lists(PERIODS, max_size=6), PERIODS)
def test_merging_keeps_the_months_and_leaves_gaps_between(periods: list[Period], needed: Period) -> None:
    merged = merge(periods)
    assert _set(*merged) == _set(*periods)
    assert all(first.bound < second.start for first, second in pairwise(merged))
    everything_open = needed.end is None and not any(period.end is None for period in periods)
    assert covers(periods, needed) == (_set(needed) <= _set(*periods) and not everything_open)
