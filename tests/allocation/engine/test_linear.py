"""Exact solution of linear systems: shapes, several right-hand sides, and what does not fit together."""

from __future__ import annotations

from fractions import Fraction

import pytest

from allocation.engine.columns import subtracted
from allocation.engine.linear import solve

ONE, HALF, THIRD = Fraction(1), Fraction(1, 2), Fraction(1, 3)


def test_nothing_has_nothing_as_its_solution() -> None:
    assert solve([], []) == []


def test_columns_of_any_denominators_are_solved_side_by_side() -> None:
    # x + y / 2 = a, x / 3 + y = b: x = (6 a - 3 b) / 5, y = (6 b - 2 a) / 5.
    right = [[ONE, THIRD, Fraction(0)], [HALF, Fraction(1, 7), Fraction(0)]]

    solution = solve([[ONE, HALF], [THIRD, ONE]], right)

    assert solution == [
        [(6 * a - 3 * b) / 5 for a, b in zip(*right, strict=True)],
        [(6 * b - 2 * a) / 5 for a, b in zip(*right, strict=True)],
    ]


@pytest.mark.parametrize(
    ("matrix", "right"),
    [
        ([[ONE]], [[ONE], [ONE]]),
        ([[ONE, HALF], [HALF, ONE]], [[ONE], [ONE, ONE]]),
        ([[ONE, HALF], [HALF]], [[ONE], [ONE]]),
    ],
    ids=["rows", "columns", "ragged"],
)
def test_what_does_not_fit_together_is_no_system(matrix: list[list[Fraction]], right: list[list[Fraction]]) -> None:
    with pytest.raises(ValueError, match="zip"):
        solve(matrix, right)


def test_columns_of_different_clusters_are_not_subtracted() -> None:
    with pytest.raises(ValueError, match="zip"):
        subtracted((ONE, ONE), (ONE, ONE, ONE, ONE))
