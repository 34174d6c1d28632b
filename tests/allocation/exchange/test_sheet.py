"""Sums of columns by keys."""

from __future__ import annotations

import numpy as np
import pytest

from allocation.engine.leaves import INT64_MAX
from allocation.exchange.sheet import Sheet


@pytest.mark.parametrize("largest", [1, INT64_MAX // 2, INT64_MAX // 2 + 2, INT64_MAX])
def test_sums_are_exact_where_they_leave_64_bits_and_where_they_do_not(largest: int) -> None:
    values = [largest, 5, largest, 7, largest - 1]
    present = np.array([True, True, False, False, True])
    keys, sums = Sheet({"one": np.array(values)}, {"one": present}).added_up(np.array([3, 1, 3, 2, 3]))
    assert keys.tolist() == [1, 2, 3]
    assert sums.values["one"].tolist() == [5, 7, 3 * largest - 1]
    assert sums.present["one"].tolist() == [True, False, True]
