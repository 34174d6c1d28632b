"""Straight-line depreciation in integers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from allocation.engine.embodied import posting_ug


@given(st.integers(0, 10**24), st.integers(1, 700))
def test_the_postings_of_a_life_add_up_to_the_asset(total_ug: int, life_months: int) -> None:
    postings = [posting_ug(total_ug, life_months, n, None, "continue") for n in range(-1, life_months + 3)]

    assert sum(postings) == total_ug
    assert postings[:2] == [0, 0]
    assert postings[-2:] == [0, 0]
    assert max(postings[2:-2]) - min(postings[2:-2]) <= 1


@given(st.integers(0, 10**24), st.integers(1, 60), st.integers(1, 70))
def test_early_retirement_writes_off_transfers_or_continues(total_ug: int, life_months: int, retired_in: int) -> None:
    def life(rule: str) -> list[int]:
        return [posting_ug(total_ug, life_months, n, retired_in, rule) for n in range(1, 80)]

    assert life("continue") == [posting_ug(total_ug, life_months, n, None, "continue") for n in range(1, 80)]
    assert life("transfer")[:retired_in] == life("continue")[:retired_in]
    assert sum(life("transfer")[retired_in:]) == 0
    assert sum(life("write_off")) == total_ug
    assert life("write_off")[: retired_in - 1] == life("continue")[: retired_in - 1]
    assert sum(life("write_off")[retired_in:]) == 0


def test_an_asset_of_ten_over_four_months() -> None:
    assert [posting_ug(10, 4, n, None, "continue") for n in range(1, 5)] == [2, 3, 2, 3]
    assert [posting_ug(10, 4, n, 2, "write_off") for n in range(1, 5)] == [2, 8, 0, 0]
    assert [posting_ug(10, 4, n, 2, "transfer") for n in range(1, 5)] == [2, 3, 0, 0]
