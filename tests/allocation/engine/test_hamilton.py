"""Step 9 on arrays equals Hamilton's method on fractions, always: near boundaries, in ties, beyond 64 bits."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from allocation.engine.hamilton import (
    LeafTooLargeError,
    apportion,
    estimated_integers,
    shares_ppm,
    whole_sum,
)
from allocation.engine.products import INT64_MAX, SLACK, Quantities, Scale, exact_remainders, multiply, split

if TYPE_CHECKING:
    from collections.abc import Sequence

Leaf = tuple[int, int]
"""(block, quantity)."""


def scale_of(leaves: Sequence[Leaf], blocks: int) -> Scale:
    values = np.array([quantity for _, quantity in leaves] + [2**200], dtype=object)[:-1]
    low, high = split(values)
    return Scale.of(Quantities(low, high, np.array([block for block, _ in leaves], dtype=np.int32)), blocks)


def by_fractions(amounts: Sequence[Fraction]) -> list[int]:
    """Apportion the sum of `amounts`, which is whole, by the definition."""
    floors = [amount.numerator // amount.denominator for amount in amounts]
    missing = int(sum(amounts)) - sum(floors)
    order = sorted(range(len(amounts)), key=lambda i: (floors[i] - amounts[i], i))
    return [floor + (i in set(order[:missing])) for i, floor in enumerate(floors)]


@st.composite
def apportionments(draw: st.DrawFn) -> tuple[list[Leaf], list[Fraction], int]:
    """Leaves of up to four blocks, and factors under which they add up to a whole number."""
    biggest = draw(st.sampled_from([1, 3, 10, 1000, 2**40, 2**62, 2**63 - 1, 2**63 + 5, 2**100]))
    leaves = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, biggest)), min_size=1, max_size=40))
    total = draw(st.sampled_from([0, 1, 2, 7, 10**6, 10**18, 2**63 - 1]))
    weights = [
        Fraction(
            draw(st.integers(0, 10 ** draw(st.integers(0, 25)))), draw(st.integers(1, 10 ** draw(st.integers(0, 25))))
        )
        for _ in range(4)
    ]
    whole = sum(weights[block] * quantity for block, quantity in leaves)
    factors = [weight * total / whole if whole else Fraction(0) for weight in weights]
    return leaves, factors, total if whole else 0


@given(apportionments())
@settings(deadline=None, max_examples=150)
@example(([(0, 1)] * 3, [Fraction(1, 3)], 1))
@example(([(0, 2**63 - 1)], [Fraction(1)], 2**63 - 1))
@example(([(0, 2**63 - 1), (0, 0), (0, 2**63 - 1)], [Fraction(1, 2**64 - 2)], 1))
def test_the_integers_are_those_of_the_definition(case: tuple[list[Leaf], list[Fraction], int]) -> None:
    leaves, factors, total = case
    scale = scale_of(leaves, len(factors))

    _, integers = apportion(scale, factors, total)

    assert integers.tolist() == by_fractions([factors[block] * quantity for block, quantity in leaves])


@given(apportionments(), st.lists(st.fractions(0, 1), min_size=4, max_size=4))
@settings(deadline=None, max_examples=100)
def test_estimated_integers_are_rounded_half_to_even_and_never_above_the_leaf(
    case: tuple[list[Leaf], list[Fraction], int], shares: list[Fraction]
) -> None:
    leaves, factors, total = case
    estimated = [factor * share for factor, share in zip(factors, shares, strict=True)]
    scale = scale_of(leaves, len(factors))
    products, integers = apportion(scale, factors, total)

    rounded = estimated_integers(scale, factors, estimated, integers, products)

    exact = [min(round(estimated[block] * q), ug) for (block, q), ug in zip(leaves, integers.tolist(), strict=True)]
    assert rounded.tolist() == exact


@pytest.mark.parametrize("quantity", range(1, 12))
@pytest.mark.parametrize("denominator", [2, 4, 6])
def test_halves_go_to_the_even_neighbour(quantity: int, denominator: int) -> None:
    leaves = [(0, quantity), (0, 12 * denominator - quantity)]
    factors = [Fraction(1, denominator)]
    scale = scale_of(leaves, 1)
    products, integers = apportion(scale, factors, 12)

    rounded = estimated_integers(scale, factors, factors, integers, products)

    assert rounded.tolist() == [
        min(round(Fraction(q, denominator)), ug) for (_, q), ug in zip(leaves, integers.tolist(), strict=True)
    ]


@given(
    st.integers(1, 2**63 - 1),
    st.integers(-3, 3),
    st.integers(2, 2**130),
    st.integers(0, 2**62),
)
@settings(deadline=None, max_examples=150)
def test_products_next_to_whole_numbers_have_exact_floors(q: int, above: int, denominator: int, near: int) -> None:
    # q t is `near` plus or minus a few parts in `denominator`.
    factor = max(Fraction(near * denominator + above, denominator * q), Fraction(0))

    products = multiply(scale_of([(0, q), (0, 0)], 1), [factor])

    exact = factor * q
    floor = exact.numerator // exact.denominator
    part = (exact - floor) * 2**64
    assert products.whole.tolist() == [floor, 0]
    assert 0 <= part - int(products.fraction[0]) < SLACK


def test_remainders_that_differ_by_less_than_any_float_are_told_apart() -> None:
    # Both remainders are about 1/3; the second one is larger by one part in 10⁴⁰.
    tiny = Fraction(1, 10**40)
    third = Fraction(1, 3)
    factors = [third, third + tiny, third - tiny]
    leaves = [(0, 1), (1, 1), (2, 1)]

    _, integers = apportion(scale_of(leaves, 3), factors, 1)

    assert integers.tolist() == [0, 1, 0]


@pytest.mark.parametrize("beyond", [0, 1 << 70])
def test_remainders_are_grouped_by_block_and_fraction_and_nothing_else(beyond: int) -> None:
    factors = [Fraction(5, 7), Fraction(2, 7), Fraction(3, 7)]
    # Modulo 7, leaves of one block repeat, and the last of a block may be the first of the next.
    leaves = [(0, 1), (0, 8), (0, 3), (1, 3), (1, 10), (2, 3), (2, 0), (0, 15), (1, 2 + beyond)]
    quantities = scale_of(leaves, len(factors)).quantities
    found = exact_remainders(quantities, factors)
    fractions = [factors[block] * quantity % 1 for block, quantity in leaves]
    assert [found.fractions[group] for group in found.group] == fractions
    groups = {(block, fraction) for (block, _), fraction in zip(leaves, fractions, strict=True)}
    assert len(found.fractions) == len(groups)


def test_ties_across_blocks_go_to_the_first_leaf() -> None:
    # 1/2 of 1, 1/4 of 2 and 1/6 of 3 are all one half.
    factors = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 6)]
    leaves = [(2, 3), (1, 2), (0, 1), (1, 2)]

    _, integers = apportion(scale_of(leaves, 3), factors, 2)

    assert integers.tolist() == [1, 1, 0, 0]


def test_a_total_beyond_64_bits_is_shared_by_leaves_within() -> None:
    total = 9_510_000 * 10**12 + 1
    leaves = [(0, 1), (0, 1), (0, 1)]

    _, integers = apportion(scale_of(leaves, 1), [Fraction(total, 3)], total)

    assert sum(integers.tolist()) == total > INT64_MAX
    assert integers.tolist() == by_fractions([Fraction(total, 3)] * 3)


@pytest.mark.parametrize("amount", [2**63, 2**64, 10**30])
def test_a_leaf_beyond_64_bits_is_refused(amount: int) -> None:
    with pytest.raises(LeafTooLargeError) as refused:
        apportion(scale_of([(1, 5)], 2), [Fraction(0), Fraction(amount, 5)], amount)

    assert refused.value.block == 1


def test_amounts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="do not add up"):
        apportion(scale_of([(0, 1), (0, 1)], 1), [Fraction(1, 2)], 4)
    with pytest.raises(ArithmeticError, match="do not add up"):
        apportion(scale_of([(0, 1), (0, 1)], 1), [Fraction(2)], 3)


def test_sums_of_64_bit_integers_do_not_overflow() -> None:
    assert whole_sum(np.full(5, INT64_MAX, dtype=np.int64)) == 5 * INT64_MAX


def test_shares_are_rounded_half_to_even() -> None:
    factors = [Fraction(1)] * 5 + [Fraction(0)]
    halves = [Fraction(n, 2_000_000) for n in (0, 1, 3, 5, 2_000_000)] + [Fraction(0)]

    assert shares_ppm(factors, halves) == [0, 0, 2, 2, 1_000_000, 0]


@pytest.mark.parametrize(
    ("factor", "rounded"),
    [
        (Fraction(1, 2), 0),
        (Fraction(3, 2), 2),
        (Fraction(1, 2) + Fraction(1, 2**70), 1),
        (Fraction(1, 2) - Fraction(1, 2**70), 0),
        (Fraction(3, 2) - Fraction(1, 2**70), 1),
    ],
)
def test_halves_are_told_from_what_is_next_to_them(factor: Fraction, rounded: int) -> None:
    scale = scale_of([(0, 1)], 1)
    products, integers = apportion(scale, [Fraction(9)], 9)

    assert estimated_integers(scale, [Fraction(9)], [factor], integers, products).tolist() == [rounded]


def test_a_leaf_that_is_too_large_is_told_by_its_block() -> None:
    with pytest.raises(LeafTooLargeError, match=r"a leaf of block 1 is above 9223372036854775807") as error:
        apportion(scale_of([(0, 1), (1, 1)], 2), [Fraction(0), Fraction(2**63)], 2**63)

    assert error.value.block == 1


def test_the_largest_quantity_of_a_block_is_found_beyond_64_bits() -> None:
    low, high = split(np.array([2**63, 5, 3], dtype=object))

    scale = Scale.of(Quantities(low, high, np.array([0, 0, 1], dtype=np.int32)), 3)

    assert scale.largest() == [2**63, 3, 0]
