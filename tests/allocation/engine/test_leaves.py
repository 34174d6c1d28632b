"""Leaves in the order of their joined keys, quantities without overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.leaves import Leaves, compact, key_order, merge, sums

CODES = st.text(st.sampled_from(["a", "b", "!", "{", "~", "é", "\U0001d538", " "]), min_size=1, max_size=4)
ROWS = st.lists(st.tuples(CODES, CODES, CODES, st.integers(0, 2), st.integers(-5, 2**64)), max_size=20)


def listed(leaves: Leaves) -> list[tuple[str, str, str]]:
    return [leaves.key(position) for position in range(len(leaves))]


@given(st.lists(ROWS, min_size=1, max_size=3))
@settings(deadline=None)
def test_keys_are_distinct_and_in_the_order_of_the_joined_key(
    parts: list[list[tuple[str, str, str, int, int]]],
) -> None:
    merged = merge([Leaves.of(rows) for rows in parts]).leaves

    keys = listed(merged)
    assert set(keys) == {row[:3] for rows in parts for row in rows}
    assert keys == sorted(set(keys), key="|".join)


@given(st.lists(ROWS, min_size=1, max_size=3))
@settings(deadline=None)
def test_quantities_of_a_block_are_added_and_those_of_several_kept_apart(
    parts: list[list[tuple[str, str, str, int, int]]],
) -> None:
    merged = merge([Leaves.of(rows) for rows in parts])

    for position, key in enumerate(listed(merged.leaves)):
        rows = [row for part in parts for row in part if row[:3] == key]
        if len({row[3] for row in rows}) == 1:
            assert merged.leaves.block[position] == rows[0][3]
            assert merged.leaves.quantity[position] == sum(row[4] for row in rows)
        else:
            assert sorted(merged.mixed[position]) == sorted(row[3:] for row in rows)


def test_a_code_that_continues_below_the_separator_is_compared_joined() -> None:
    # "a!" < "a" + "|" although "a" < "a!".
    rows = [("a", "x", "g", 0, 1), ("a!", "x", "g", 0, 1), ("a~", "x", "g", 0, 1)]

    assert [key[0] for key in listed(merge([Leaves.of(rows)]).leaves)] == ["a!", "a", "a~"]


def coded(
    dictionaries: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]],
    indexes: list[list[int]],
    quantity: list[int],
) -> Leaves:
    service, account, group = (np.array(index, dtype=np.int32) for index in indexes)
    return Leaves(*dictionaries, service, account, group, np.zeros(len(quantity), dtype=np.int32), compact(quantity))


def test_dictionaries_hold_what_is_used_whatever_their_order() -> None:
    one = coded((("b", "unused", "a"), ("y", "x"), ("g",)), [[0, 2], [0, 1], [0, 0]], [1, 2])
    other = coded((("a", "b"), ("x", "y"), ("h", "g")), [[0, 1], [0, 1], [1, 1]], [2, 1])

    merged, again = merge([one]).leaves, merge([other]).leaves

    assert merged.services == again.services == ("a", "b")
    assert merged.groups == again.groups == ("g",)
    assert merged.service.tolist() == again.service.tolist()
    assert merged.quantity.tolist() == again.quantity.tolist() == [2, 1]


@pytest.mark.parametrize("size", [3, 2**21, 2**30])
def test_keys_are_ordered_alike_whether_or_not_64_bits_can_number_them(size: int) -> None:
    top = size - 1
    keys = [(top, 0, 0), (0, top, top), (0, top, 0), (0, 0, top), (top, 0, top)]
    service, account, group = (np.array(part, dtype=np.int32) for part in zip(*keys, strict=True))

    order = key_order(service, account, group, (size, size, size))

    assert [keys[position] for position in order] == sorted(keys)


@pytest.mark.parametrize("value", [2**62, -(2**63), 2**63 - 1])
def test_sums_beyond_64_bits_are_exact(value: int) -> None:
    starts = np.array([0, 1, 5])

    total = sums(np.full(7, value, dtype=np.int64), starts)

    assert [int(part) for part in total] == [value, 4 * value, 2 * value]
