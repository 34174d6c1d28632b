"""Exact decimals: against Python's own fractions, on both sides of 64 bits."""

from __future__ import annotations

from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.exchange.decimals import whole_numbers

# Sums are longer than the numbers of a package, up to any length.
numbers = st.from_regex(r"-?([0-9]{1,18}|[0-9]{19,40})(\.[0-9]{1,12})?", fullmatch=True)


@given(st.lists(numbers))
def test_decimals_are_exact(texts: list[str]) -> None:
    values, decimals = whole_numbers(pa.chunked_array([pa.array(texts, type=pa.string())]))
    assert [Fraction(int(value)) for value in values] == [Fraction(text) * 10**decimals for text in texts]


@pytest.mark.parametrize(
    ("texts", "decimals", "exact"),
    [
        (["1", "-2.50", "0.0"], 2, [100, -250, 0]),
        (["9" * 18 + "." + "9" * 12], 12, [10**30 - 1]),
        (["-" + "9" * 40, "0.5"], 1, [-(10**41) + 10, 5]),
        ([], 0, []),
    ],
)
def test_the_fewest_decimals_that_hold_all(texts: list[str], decimals: int, exact: list[int]) -> None:
    values, found = whole_numbers(pa.chunked_array([pa.array(texts, type=pa.string())]))
    assert (values.tolist(), found) == (exact, decimals)
    assert [Fraction(text) * 10**found for text in texts] == exact
