"""Distinct values are those that sorting finds, whichever way they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.exchange import distinct as module
from allocation.exchange.distinct import distinct, distinct_with_places

if TYPE_CHECKING:
    import numpy.typing as npt


@given(st.lists(st.integers(0, 99), max_size=60), st.sampled_from([100, 101, 1 << 17]))
def test_values_and_places_are_those_of_sorting(keys: list[int], bound: int) -> None:
    given_keys = np.array(keys, np.int32)
    found, places = distinct_with_places(given_keys, bound=bound)
    assert found.tolist() == sorted(set(keys)) == distinct(given_keys, bound=bound).tolist()
    assert found[places].tolist() == keys


@pytest.mark.parametrize("bound", [1 << 16, 1 << 17])
def test_both_ways_are_taken(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[int] = []
    mark = module._marked  # noqa: SLF001 which way is taken is not seen from outside

    def recorded(keys: module.Keys, bound: int) -> npt.NDArray[np.bool_]:
        marked.append(bound)
        return mark(keys, bound)

    monkeypatch.setattr(module, "_marked", recorded)
    distinct_with_places(np.arange(9, dtype=np.int64), bound=bound)
    assert marked == ([bound] if bound == 1 << 16 else [])


def test_a_key_beyond_the_bound_is_refused() -> None:
    with pytest.raises(IndexError):
        distinct(np.array([3], np.int64), bound=3)
