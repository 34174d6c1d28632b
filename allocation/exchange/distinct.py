"""Distinct values of many small integers, marked in place of sorted: rows are millions, codes are thousands."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_SMALL: Final = 1 << 16
_MARKS_PER_KEY: Final = 8
"""How many marks for each key cost less than to sort the keys."""

Keys = npt.NDArray[np.integer[Any]]


def distinct(keys: Keys, *, bound: int) -> npt.NDArray[np.intp]:
    """Return the distinct values of integers from 0 to `bound` - 1, in order.

    Raises:
        IndexError: a key is not below `bound`.
    """
    if _is_sparse(keys, bound):
        return np.unique(keys).astype(np.intp)
    return np.flatnonzero(_marked(keys, bound))


def distinct_with_places(keys: Keys, *, bound: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the same, and where the value of each key stands among them.

    Raises:
        IndexError: a key is not below `bound`.
    """
    if _is_sparse(keys, bound):
        found, places = np.unique(keys, return_inverse=True)
        return found.astype(np.intp), places
    marked = _marked(keys, bound)
    return np.flatnonzero(marked), (np.cumsum(marked, dtype=np.intp) - 1)[keys]


def _is_sparse(keys: Keys, bound: int) -> bool:
    return bound > max(_SMALL, _MARKS_PER_KEY * keys.size)


def _marked(keys: Keys, bound: int) -> npt.NDArray[np.bool_]:
    marked = np.zeros(bound, dtype=bool)
    marked[keys] = True
    return marked
