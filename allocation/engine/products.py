"""Integers times rationals, many at once: certified floors and fractions.

Every leaf is a whole number q times the exact rational t of its block. `Products` gives floor(q t) exactly and the
fraction of q t in 2⁻⁶⁴, from below, to less than `SLACK` units: enough to decide almost every comparison. What is
nearer is decided by `exact_remainders`, on integers; leaves of a block with equal q modulo the denominator of t have
equal remainders, so only a handful is ever looked at.

The method: t is cut to a 128-bit integer T with so many binary places that q' T has its point at bit 128, where q' is q
shifted to the top of 64 bits. The product is taken in 32-bit limbs and the bits below the fraction are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    UInt64s: TypeAlias = npt.NDArray[np.uint64]
    Int64s: TypeAlias = npt.NDArray[np.int64]

SLACK: Final = 4
"""The fraction of a product, times 2⁶⁴, lies in [fraction, fraction + SLACK)."""

HIGH_BITS: Final = 63
"""A quantity is high x 2⁶³ + low; both parts are non-negative int64."""

INT64_MAX: Final = 2**63 - 1

_WORD: Final = 64
_HALF: Final = np.uint64(32)
_LOW_HALF: Final = np.uint64(0xFFFFFFFF)
_TOP: Final = 2**_WORD
_BEYOND_INT64: Final = 2**63
_STRETCH: Final = 2**14
_MIDDLE: Final = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Quantities:
    """Whole numbers 0 ≤ q < 2¹²⁶ and the block of each. `high` is `None` where all are below 2⁶³."""

    low: Int64s
    high: Int64s | None
    block: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.low)

    def take(self, positions: npt.NDArray[np.intp]) -> Quantities:
        """Return the quantities at `positions`."""
        high = None if self.high is None else self.high[positions]
        return Quantities(self.low[positions], high, self.block[positions])

    def are_zero(self) -> npt.NDArray[np.bool_]:
        """Return which quantities are 0."""
        zero: npt.NDArray[np.bool_] = self.low == 0
        return zero if self.high is None else zero & (self.high == 0)

    def whole(self, position: int) -> int:
        """Return one quantity."""
        high = 0 if self.high is None else int(self.high[position])
        return (high << HIGH_BITS) + int(self.low[position])


def split(values: Int64s | npt.NDArray[np.object_]) -> tuple[Int64s, Int64s | None]:
    """Return (low, high) of non-negative integers below 2¹²⁶."""
    if values.dtype != object:
        return values.astype(np.int64, copy=False), None
    low = np.array([value & INT64_MAX for value in values], dtype=np.int64)
    high = np.array([value >> HIGH_BITS for value in values], dtype=np.int64)
    return low, high if high.any() else None


@dataclass(frozen=True, slots=True)
class _Limb:
    """One part of the quantities, shifted to the top of 64 bits block by block, whatever the factors will be."""

    shifted: UInt64s
    bits: tuple[int, ...]
    """Bit length of the largest part in each block; 0 where all are 0."""

    offset: int
    """The part counts times 2^offset."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Quantities made ready to be multiplied by the factors of any number of lines."""

    quantities: Quantities
    limbs: tuple[_Limb, ...]
    blocks: int

    @classmethod
    def of(cls, quantities: Quantities, blocks: int) -> Scale:
        """Prepare `quantities` whose blocks are numbered below `blocks`."""
        limbs = [_limb(quantities.low, quantities.block, blocks, 0)]
        if quantities.high is not None:
            limbs.append(_limb(quantities.high, quantities.block, blocks, HIGH_BITS))
        return cls(quantities, tuple(limbs), blocks)

    def largest(self) -> list[int]:
        """Return the largest quantity of every block; 0 for a block without any."""
        quantities = self.quantities
        if quantities.high is None:
            return [int(low) for low in _maxima(quantities.low, quantities.block, self.blocks)]
        highs = _maxima(quantities.high, quantities.block, self.blocks)
        lows = np.where(quantities.high == highs[quantities.block], quantities.low, 0)
        pairs = zip(highs.tolist(), _maxima(lows, quantities.block, self.blocks).tolist(), strict=True)
        return [(high << HIGH_BITS) + low for high, low in pairs]


def _maxima(values: Int64s, block: npt.NDArray[np.int32], blocks: int) -> Int64s:
    largest = np.zeros(blocks, dtype=np.int64)
    np.maximum.at(largest, block, values)
    return largest


def _limb(part: Int64s, block: npt.NDArray[np.int32], blocks: int, offset: int) -> _Limb:
    bits = [value.bit_length() for value in _maxima(part, block, blocks).tolist()]
    shift = np.array([_WORD - max(count, 1) for count in bits], dtype=np.uint64)
    return _Limb(part.astype(np.uint64) << shift[block], tuple(bits), offset)


@dataclass(frozen=True, slots=True)
class Products:
    """floor(q t), and the fraction of q t in 2⁻⁶⁴ from below (see `SLACK`)."""

    whole: Int64s
    fraction: UInt64s


def multiply(scale: Scale, factors: Sequence[Fraction]) -> Products:
    """Return q t for every quantity, `factors` holding the t of every block.

    Every q t must lie below 2⁶³.
    """
    quantities = scale.quantities
    whole = np.zeros(len(quantities), dtype=np.uint64)
    fraction = np.zeros(len(quantities), dtype=np.uint64)
    for limb in scale.limbs:
        more_whole, more_fraction = _multiply_limb(limb, quantities.block, factors)
        fraction += more_fraction
        whole += more_whole + (fraction < more_fraction)
    _settle_floors(quantities, factors, whole, fraction)
    return Products(whole.astype(np.int64), fraction)


def _multiply_limb(limb: _Limb, block: npt.NDArray[np.int32], factors: Sequence[Fraction]) -> tuple[UInt64s, UInt64s]:
    """Return whole and fraction of q' T / 2¹²⁸, with the bits below the fraction dropped."""
    cut = [
        (t.numerator << (_WORD + bits + limb.offset)) // t.denominator if bits else 0
        for t, bits in zip(factors, limb.bits, strict=True)
    ]
    low = np.array([value % _TOP for value in cut], dtype=np.uint64)
    high = np.array([value // _TOP for value in cut], dtype=np.uint64)
    whole = np.empty(len(block), dtype=np.uint64)
    fraction = np.empty(len(block), dtype=np.uint64)
    # Stretches whose intermediate results stay in the processor's cache.
    for start in range(0, len(block), _STRETCH):
        part = slice(start, start + _STRETCH)
        shifted, number = limb.shifted[part], block[part]
        factor = high[number]
        carried = _high_word(shifted, low[number])
        fraction[part] = shifted * factor
        fraction[part] += carried
        whole[part] = _high_word(shifted, factor)
        whole[part] += fraction[part] < carried
    return whole, fraction


def _high_word(a: UInt64s, b: UInt64s) -> UInt64s:
    """Return the upper 64 bits of the 128-bit products a b."""
    a_high, a_low = a >> _HALF, a & _LOW_HALF
    b_high, b_low = b >> _HALF, b & _LOW_HALF
    middle = a_high * b_low + (a_low * b_low >> _HALF)
    other = a_low * b_high + (middle & _LOW_HALF)
    result: UInt64s = a_high * b_high + (middle >> _HALF) + (other >> _HALF)
    return result


def _settle_floors(quantities: Quantities, factors: Sequence[Fraction], whole: UInt64s, fraction: UInt64s) -> None:
    """Correct, in place, those products that have reached the next whole number although their cut ones have not."""
    near = np.flatnonzero(fraction >= np.uint64(_TOP - SLACK))
    if not len(near):
        return
    remainders = exact_remainders(quantities.take(near), factors)
    # The cut fraction is just below 1. The true one is either that, too, or just past the whole number, hence small.
    passed = np.array([part < _MIDDLE for part in remainders.fractions], dtype=bool)[remainders.group]
    whole[near] += passed
    fraction[near[passed]] = 0


@dataclass(frozen=True, slots=True)
class Remainders:
    """Quantities grouped by block and fraction of q t: each one's `group`, and the exact `fractions` of the groups."""

    group: npt.NDArray[np.intp]
    fractions: tuple[Fraction, ...]


def exact_remainders(quantities: Quantities, factors: Sequence[Fraction]) -> Remainders:
    """Return the exact fractions of q t.

    Within a block they are equal exactly where q is equal modulo the denominator of t, which is how they are grouped.
    """
    if quantities.high is not None:
        return _remainders_one_by_one(quantities, factors)
    denominators = np.array([min(t.denominator, _BEYOND_INT64) for t in factors], dtype=np.uint64)
    residues = quantities.low.astype(np.uint64) % denominators[quantities.block]
    order = np.lexsort((residues, quantities.block))
    ordered, blocks = residues[order], quantities.block[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]) | (blocks[1:] != blocks[:-1])
    group = np.empty(len(order), dtype=np.intp)
    group[order] = np.cumsum(starts) - 1
    pairs = zip(ordered[starts].tolist(), blocks[starts].tolist(), strict=True)
    return Remainders(group, tuple(_fraction(residue, factors[block]) for residue, block in pairs))


def _remainders_one_by_one(quantities: Quantities, factors: Sequence[Fraction]) -> Remainders:
    """Do the same for quantities beyond 64 bits."""
    groups: dict[tuple[int, int], int] = {}
    group = np.empty(len(quantities), dtype=np.intp)
    for position, block in enumerate(quantities.block.tolist()):
        key = (quantities.whole(position) % factors[block].denominator, block)
        group[position] = groups.setdefault(key, len(groups))
    return Remainders(group, tuple(_fraction(residue, factors[block]) for residue, block in groups))


def _fraction(q: int, t: Fraction) -> Fraction:
    return Fraction(q * t.numerator % t.denominator, t.denominator)
