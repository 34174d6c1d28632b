"""One exact number per line, and as many again for its estimated part.

Every stage of the pipeline is linear, so amounts travel as columns: the lines of a cluster first, then, in the same
order, the estimated part of each. Whatever spreads an amount spreads its estimated part by the same weights.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from allocation.engine.units import ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterable

Columns: TypeAlias = tuple[Fraction, ...]
"""Totals of m lines, then their estimated parts: length 2 m."""


def zeros(lines: int) -> Columns:
    """Return columns of nothing."""
    return (ZERO,) * (2 * lines)


def scaled(columns: Columns, factor: Fraction) -> Columns:
    """Return `factor` x `columns`."""
    return tuple(value * factor for value in columns)


def added(left: Columns, right: Columns) -> Columns:
    """Return the sum of two columns."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def subtracted(left: Columns, right: Columns) -> Columns:
    """Return `left` - `right`."""
    return tuple(a - b for a, b in zip(left, right, strict=True))


def total(parts: Iterable[Columns], lines: int) -> Columns:
    """Return the sum of many columns."""
    together = list(parts)
    return tuple(exact_sum(values) for values in zip(*together, strict=True)) if together else zeros(lines)
