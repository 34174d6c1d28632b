"""Exact numbers and the units of the pipeline: µg, kg, g/kWh, kWh, Wh and whole months.

Quantities are `Fraction` between reading and apportioning. Nothing is rounded on the way except where the format says
so.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from decimal import Decimal

UG_PER_KG: Final = 10**9
UG_PER_G: Final = 10**6
WH_PER_KWH: Final = 1000
PPM: Final = 10**6
ZERO: Final = Fraction(0)
ONE: Final = Fraction(1)

_MONTHS_PER_YEAR: Final = 12


def exact(value: Decimal | int | None) -> Fraction | None:
    """Return `value` as a fraction; unknown stays unknown."""
    return None if value is None else Fraction(value)


def round_half_even(value: Fraction) -> int:
    """Return the nearest integer, of two equally near ones the even one (banker's rounding, exact)."""
    return round(value)


def months_between(first: dt.date, last: dt.date) -> int:
    """Return how many months `last` lies after `first`; negative if it lies before."""
    return (last.year - first.year) * _MONTHS_PER_YEAR + last.month - first.month


def exact_sum(values: Iterable[Fraction]) -> Fraction:
    """Return the sum of `values`.

    Terms of one denominator are added as integers and the rest pairwise: adding thousands of fractions from left to
    right would reduce ever larger numbers at every step.
    """
    numerators: dict[int, int] = {}
    for value in values:
        numerators[value.denominator] = numerators.get(value.denominator, 0) + value.numerator
    terms = [Fraction(numerator, denominator) for denominator, numerator in numerators.items()]
    while len(terms) > 1:
        terms = [sum(terms[i : i + 2], ZERO) for i in range(0, len(terms), 2)]
    return terms[0] if terms else ZERO
