"""Exact sums of decimals as scaled integers: int64 while it is wide enough, Python integers where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

Integers = npt.NDArray[np.int64] | npt.NDArray[np.object_]
"""Exact whole numbers."""

_LIMIT: Final = 1 << 62
_DIGITS: Final = 38


def whole_numbers(texts: pa.ChunkedArray) -> tuple[Integers, int]:
    """Return decimals written as text (at most 18 digits before and 12 after the point), times 10 ** the second value.

    The second value is the largest number of decimals that any of them has.
    """
    array = texts.combine_chunks()
    if not len(array):
        return np.empty(0, np.int64), 0
    point = pc.find_substring(array, ".")
    places = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(pc.utf8_length(array), point), 1))
    decimals: int = pc.max(places).as_py()
    exact = pc.cast(array, pa.decimal128(_DIGITS, decimals))
    halves = np.frombuffer(exact.buffers()[1], dtype="<i8").reshape(-1, 2)[exact.offset : exact.offset + len(exact)]
    low, high = halves[:, 0], halves[:, 1]
    if (high == low >> 63).all():
        return low.copy(), decimals
    return (high.astype(object) << 64) + low.view("<u8").astype(object), decimals


def scaled(values: Integers, factor: int) -> Integers:
    """Return values times a positive factor."""
    if values.dtype != object and _largest(values) >= _LIMIT // factor:
        values = values.astype(object)
    return values * factor


def net_sums(keys: Sequence[npt.NDArray[np.int64]], values: Integers) -> tuple[npt.NDArray[np.int64], Integers]:
    """Sum values with equal keys. Returns for each key the place of one of its rows, and the sum."""
    if not len(values):
        return np.empty(0, np.int64), values
    if values.dtype != object and _largest(values) >= _LIMIT // len(values):
        values = values.astype(object)
    order = np.lexsort(tuple(keys))
    changed = np.zeros(len(order), dtype=np.bool_)
    changed[0] = True
    for key in keys:
        ordered = key[order]
        changed[1:] |= ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(changed)
    return order[starts], np.add.reduceat(values[order], starts)


def _largest(values: Integers) -> int:
    return max(abs(int(values.min())), abs(int(values.max()))) if len(values) else 0
