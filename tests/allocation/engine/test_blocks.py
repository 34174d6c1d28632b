"""Leaves that add up what several blocks give them: amounts, classes and the lines on which they exist."""

from __future__ import annotations

from fractions import Fraction

import pytest

from allocation.engine.blocks import Block, Settlement
from allocation.engine.leaves import Leaves
from allocation.engine.plan import prepare
from allocation.engine.quality import mask
from tests.allocation.engine.test_settle import month

Lines = frozenset[int] | None


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (frozenset({0}), frozenset({1}), frozenset({0, 1})),
        (frozenset({0}), None, None),
        (None, frozenset({1}), None),
        (None, None, None),
    ],
)
def test_a_leaf_of_two_blocks_exists_where_either_does(one: Lines, other: Lines, both: Lines) -> None:
    settlement = Settlement(prepare(month([]).activity).clusters["k"])
    width = 2 * len(settlement.place.lines)
    first = settlement.add_block(Block((Fraction(1),) * width, mask(0), one))
    second = settlement.add_block(Block((Fraction(10),) * width, mask(3), other))
    settlement.add_leaves([("s", "a", "default", first, 2)])
    settlement.add_leaves([("s", "a", "default", second, 3)])

    leaves, quantities = settlement.leaves()

    block = settlement.blocks[int(quantities.block[0])]
    assert (len(leaves), quantities.whole(0)) == (1, 1)
    assert block == Block((Fraction(32),) * width, mask(0) | mask(3), both)


def test_leaves_that_are_taken_keep_their_blocks() -> None:
    leaves = Leaves.of([("s", "a", "g", 4, 1), ("s", "b", "g", 5, 2)])

    taken = leaves.take(leaves.quantity > 1)

    assert (taken.block.tolist(), taken.quantity.tolist(), taken.key(0)) == ([5], [2], ("s", "b", "g"))
