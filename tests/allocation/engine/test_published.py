"""Examples that others published: reciprocal cost allocation, apportionment of seats, the airport problem."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from allocation.engine.hamilton import apportion
from allocation.engine.peaks import shapley
from tests.allocation.engine.packages import Package
from tests.allocation.engine.test_hamilton import scale_of
from tests.allocation.engine.test_settle import on_line
from tests.oracle.test_oracle import STATES, castleford

if TYPE_CHECKING:
    from tests.oracle.draft import TomlValue


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1973025, 3288375, 2214000, 276750]),
        ({"dependencies": "step_down", "step_down_order": ["s1"]}, [1890000, 3150000, 2410800, 301350]),
        ({"dependencies": "direct"}, [2362500, 3937500, 1290800, 161350]),
    ],
    ids=["reciprocal", "step_down", "direct"],
)
def test_support_departments_of_a_textbook(options: dict[str, TomlValue], expected: list[int]) -> None:
    # Horngren, Datar, Rajan, Cost Accounting, support-department cost allocation: one dollar is one kilogram here.
    amounts = on_line(Package.of(castleford(**options)), "scope3_other")

    assert list(amounts) == ["s1|a1|default", "s1|a2|default", "s2|a1|default", "s2|a2|default"]
    assert [ug // 10**9 for ug in amounts.values()] == expected


def seats(people: list[int], house: int) -> list[int]:
    """Apportion a house by population: one block whose exact rational is seats per head."""
    leaves = [(0, number) for number in people]
    _, integers = apportion(scale_of(leaves, 1), [Fraction(house, sum(people))], house)
    found: list[int] = integers.tolist()
    return found


def test_hamiltons_own_table_of_1791() -> None:
    # Balinski and Young, Fair Representation: populations of 1791 and the 120 seats of Hamilton's method.
    assert seats([people for people, _ in STATES.values()], 120) == [number for _, number in STATES.values()]


@pytest.mark.parametrize(("house", "expected"), [(10, [4, 4, 2]), (11, [5, 5, 1])])
def test_the_alabama_paradox(house: int, expected: list[int]) -> None:
    assert seats([6, 6, 2], house) == expected


def test_the_airport_of_the_textbooks() -> None:
    # Runways for four types of aircraft cost 8, 11, 13 and 18 (the usual example after Littlechild and Owen 1973).
    assert shapley([Fraction(cost) for cost in (8, 11, 13, 18)]) == [2, 3, 4, 9]
