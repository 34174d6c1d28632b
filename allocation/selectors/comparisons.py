"""One period against another."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from accounts.months import Period, shift
from allocation.selectors.statuses import Presence

if TYPE_CHECKING:
    from allocation.selectors.amounts import Method
    from allocation.selectors.statuses import Figure

_MONTHS_OF_YEAR = 12


class Comparison(enum.StrEnum):
    """With which period a period is compared."""

    PREVIOUS_PERIOD = "previous_period"
    SAME_PERIOD_LAST_YEAR = "same_period_last_year"
    BASE_YEAR = "base_year"

    def of(self, period: Period, base_year: int | None = None) -> Period:
        """The other period, of the same length; ValueError before the year 1, and for BASE_YEAR without one."""
        months = _MONTHS_OF_YEAR
        if self is Comparison.BASE_YEAR:
            if base_year is None:
                raise ValueError("which base year?")
            months = (period.start.year - base_year) * _MONTHS_OF_YEAR
        if self is Comparison.PREVIOUS_PERIOD:
            bound = period.bound
            months = (bound.year - period.start.year) * _MONTHS_OF_YEAR + bound.month - period.start.month
        return Period(shift(period.start, -months), shift(period.bound, -months))


class Compared(NamedTuple):
    """A difference in micrograms CO2e and as a part of what was before; None where it is not defined."""

    difference_ug: int | None
    ratio: float | None


def compared(now: Figure, before: Figure, method: Method) -> Compared:
    """Compare two figures; there is no ratio to zero, nor between a whole and a part."""
    later, earlier = now.ug(method), before.ug(method)
    if later is None or earlier is None:
        return Compared(None, None)
    whole = now.presence is Presence.WHOLE and before.presence is Presence.WHOLE
    return Compared(later - earlier, (later - earlier) / earlier if earlier and whole else None)
