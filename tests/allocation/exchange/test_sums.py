"""Exact sums: against Python's own fractions, on both sides of 64 bits."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.exchange.sums import net_sums, scaled, whole_numbers

numbers = st.from_regex(r"-?[0-9]{1,18}(\.[0-9]{1,12})?", fullmatch=True)
rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), numbers))


@given(rows, st.integers(1, 40))
def test_sums_are_exact(given_rows: list[tuple[int, int, str]], factor: int) -> None:
    texts = pa.chunked_array([pa.array([text for *_, text in given_rows], type=pa.string())])
    values, decimals = whole_numbers(texts)
    first = np.array([a for a, _, _ in given_rows], dtype=np.int64)
    second = np.array([b for _, b, _ in given_rows], dtype=np.int64)
    places, sums = net_sums((first, second), scaled(values, factor))
    expected: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for a, b, text in given_rows:
        expected[a, b] += Fraction(text) * factor * 10**decimals
    got = {(int(first[i]), int(second[i])): int(total) for i, total in zip(places, sums, strict=True)}
    assert got == dict(expected)


@pytest.mark.parametrize(
    ("texts", "decimals", "exact"),
    [(["1", "-2.50", "0.0"], 2, [100, -250, 0]), (["9" * 18 + "." + "9" * 12], 12, [10**30 - 1]), ([], 0, [])],
)
def test_the_fewest_decimals_that_hold_all(texts: list[str], decimals: int, exact: list[int]) -> None:
    values, found = whole_numbers(pa.chunked_array([pa.array(texts, type=pa.string())]))
    assert (values.tolist(), found) == (exact, decimals)
    assert [Fraction(text) * 10**found for text in texts] == exact
