"""Exact decimals as scaled integers: int64 while it is wide enough, Python integers where it is not."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64] | npt.NDArray[np.object_]
"""Exact whole numbers."""

_DIGITS: Final = 38


def whole_numbers(texts: pa.ChunkedArray) -> tuple[Integers, int]:
    """Return decimals written as `-?digits[.digits]`, times 10 ** the second value.

    The second value is the largest number of decimals that any of them has.
    """
    array = texts.combine_chunks()
    if not len(array):
        return np.empty(0, np.int64), 0
    point = pc.find_substring(array, ".")
    lengths = pc.utf8_length(array)
    places = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(lengths, point), 1))
    decimals: int = pc.max(places).as_py()
    longest: int = pc.max(pc.subtract(lengths, places)).as_py()
    if longest + decimals > _DIGITS:
        return np.array([_scaled(text, decimals) for text in array.to_pylist()], dtype=object), decimals
    exact = pc.cast(array, pa.decimal128(_DIGITS, decimals))
    halves = np.frombuffer(exact.buffers()[1], dtype="<i8").reshape(-1, 2)[exact.offset : exact.offset + len(exact)]
    low, high = halves[:, 0], halves[:, 1]
    if (high == low >> 63).all():
        return low.copy(), decimals
    return (high.astype(object) << 64) + low.view("<u8").astype(object), decimals


def _scaled(text: str, decimals: int) -> int:
    """Return a decimal times 10 ** decimals."""
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(decimals, "0"))
