"""Exact integers: Hamilton's method of largest remainders (section 5, step 9).

Floors of the exact amounts, then the missing units, one each, to the largest remainders; ties go to the leaf that
comes first. Certified 64-bit fractions decide all but the leaves at the threshold, exact integers decide those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.engine.products import INT64_MAX, SLACK, exact_remainders, multiply
from allocation.engine.units import PPM, ZERO, round_half_even

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    import numpy.typing as npt

    from allocation.engine.products import Int64s, Products, Quantities, Scale

_HALF: Final = 2**63
_WORD_MAX: Final = 2**64 - 1
_LOW_HALF: Final = 0xFFFFFFFF


class LeafTooLargeError(Exception):
    """An amount does not fit a 64-bit leaf; `block` is the index of its block."""

    def __init__(self, block: int) -> None:
        super().__init__(f"a leaf of block {block} is above {INT64_MAX}")
        self.block = block


def apportion(scale: Scale, factors: Sequence[Fraction], total: int) -> tuple[Products, Int64s]:
    """Return the products q t and the integers, which add up to `total`.

    The leaves must be in the order of their keys and the exact amounts add up to `total`.

    Raises:
        LeafTooLargeError: an integer is above 2⁶³ - 1.
        ArithmeticError: the exact amounts do not add up to `total`.
    """
    for block, (largest, factor) in enumerate(zip(scale.largest(), factors, strict=True)):
        if largest * factor > INT64_MAX:
            raise LeafTooLargeError(block)
    products = multiply(scale, factors)
    missing = total - whole_sum(products.whole)
    if not 0 <= missing <= len(products.whole):
        raise ArithmeticError(f"the exact amounts do not add up to {total}")
    if not missing:
        return products, products.whole
    integers = products.whole.copy()
    integers[_largest_remainders(scale.quantities, factors, products, missing)] += 1
    return products, integers


def whole_sum(values: Int64s) -> int:
    """Return the sum of non-negative integers, however large."""
    return (int((values >> 32).sum()) << 32) + int((values & _LOW_HALF).sum())


def _largest_remainders(
    quantities: Quantities, factors: Sequence[Fraction], products: Products, count: int
) -> npt.NDArray[np.intp]:
    """Return the positions of the `count` largest fractions, ties in order of position."""
    fraction = products.fraction
    threshold = int(np.partition(fraction, len(fraction) - count)[len(fraction) - count])
    # All true fractions that could change places with the threshold's lie less than SLACK units from it.
    upper, lower = threshold + SLACK - 1, threshold - SLACK + 1
    certain = fraction > np.uint64(upper) if upper <= _WORD_MAX else np.zeros(len(fraction), dtype=bool)
    near = np.flatnonzero((fraction >= np.uint64(max(lower, 0))) & ~certain)
    chosen = np.flatnonzero(certain)
    remainders = exact_remainders(quantities.take(near), factors)
    places = {part: place for place, part in enumerate(sorted(set(remainders.fractions), reverse=True))}
    rank = np.array([places[part] for part in remainders.fractions], dtype=np.int64)[remainders.group]
    best = np.argsort(rank, kind="stable")[: count - len(chosen)]
    return np.concatenate([chosen, near[best]])


def _rounded(scale: Scale, factors: Sequence[Fraction], products: Products) -> Int64s:
    """Return q t rounded half to even."""
    up = products.fraction > np.uint64(_HALF)
    near = np.flatnonzero((products.fraction > np.uint64(_HALF - SLACK)) & (products.fraction <= np.uint64(_HALF)))
    if len(near):
        remainders = exact_remainders(scale.quantities.take(near), factors)
        doubled = np.array([_compare_half(part) for part in remainders.fractions], dtype=np.int64)[remainders.group]
        odd = products.whole[near] % 2 == 1
        up[near] = (doubled > 0) | ((doubled == 0) & odd)
    return products.whole + up


def _compare_half(part: Fraction) -> int:
    """Return -1, 0 or 1 as `part` is below, at or above one half."""
    twice = 2 * part.numerator
    return (twice > part.denominator) - (twice < part.denominator)


def estimated_integers(
    scale: Scale, factors: Sequence[Fraction], estimated: Sequence[Fraction], integers: Int64s, products: Products
) -> Int64s:
    """Return the estimated part of every leaf, rounded half to even and at most the leaf's integer.

    `products` are those of `factors`.
    """
    if not any(estimated):
        return np.zeros_like(integers)
    if list(estimated) != list(factors):
        products = multiply(scale, estimated)
    return np.minimum(_rounded(scale, estimated, products), integers)


def shares_ppm(factors: Sequence[Fraction], estimated: Sequence[Fraction]) -> list[int]:
    """Return the estimated share of every block in 10⁻⁶, rounded half to even; 0 where the amount is 0."""
    return [
        round_half_even(PPM * (part / factor if factor else ZERO))
        for factor, part in zip(factors, estimated, strict=True)
    ]
