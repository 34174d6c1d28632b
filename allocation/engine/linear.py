"""Exact solution of linear systems: fraction-free elimination (Bareiss 1968).

Works on integers and divides without remainder, so that intermediate numbers stay as small as determinants are.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def solve(matrix: Sequence[Sequence[Fraction]], right: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    """Return X with `matrix` X = `right`, exactly, for a square matrix and any number of right-hand columns.

    No rows are exchanged: the matrix is a nonsingular M-matrix, whose leading minors are all positive. Raises
    `ZeroDivisionError` for other matrices that would need it.
    """
    size = len(matrix)
    # Common denominators of every right-hand column keep the unknowns apart from the scaling of the equations.
    scales = [math.lcm(*(row[column].denominator for row in right)) for column in range(len(right[0]) if right else 0)]
    rows = [_integers(left, values, scales) for left, values in zip(matrix, right, strict=True)]
    previous = 1
    for k in range(size - 1):
        pivot_row = rows[k]
        pivot = pivot_row[k]
        for i in range(k + 1, size):
            row = rows[i]
            factor = row[k]
            if factor:
                rows[i] = [
                    0 if j <= k else (pivot * value - factor * above) // previous
                    for j, (value, above) in enumerate(zip(row, pivot_row, strict=True))
                ]
            else:
                rows[i] = [pivot * value // previous for value in row]
        previous = pivot
    return _substitute(rows, size, scales)


def _integers(left: Sequence[Fraction], right: Sequence[Fraction], scales: Sequence[int]) -> list[int]:
    """Return one equation in integers."""
    values = [*left, *(value * scale for value, scale in zip(right, scales, strict=True))]
    common = math.lcm(*(value.denominator for value in values))
    return [value.numerator * (common // value.denominator) for value in values]


def _substitute(rows: list[list[int]], size: int, scales: Sequence[int]) -> list[list[Fraction]]:
    """Return the solution of a triangular system. The determinant is a common denominator: numerators are whole."""
    determinant = rows[size - 1][size - 1] if size else 1
    numerators: list[list[int]] = [[] for _ in range(size)]
    for i in range(size - 1, -1, -1):
        row = rows[i]
        for column in range(len(scales)):
            known = sum(row[j] * numerators[j][column] for j in range(i + 1, size) if row[j])
            numerators[i].append((row[size + column] * determinant - known) // row[i])
    return [
        [Fraction(value, determinant * scale) for value, scale in zip(values, scales, strict=True)]
        for values in numerators
    ]
