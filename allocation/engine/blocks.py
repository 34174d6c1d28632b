"""Leaves that share an exact rational: what step 9 apportions (section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from allocation.engine import quality as classes
from allocation.engine.columns import Columns, scaled, total
from allocation.engine.leaves import Leaves, merge
from allocation.engine.products import Quantities, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.engine.clusters import ClusterPlan
    from allocation.engine.leaves import Merged

_QUANTITY_BITS: Final = 126


@dataclass(frozen=True, slots=True)
class Block:
    """Leaves that share an exact rational per unit of quantity.

    `lines` are those on which the leaves exist; `None` for all.
    """

    columns: Columns
    classes: int
    lines: frozenset[int] | None = None


@dataclass(slots=True)
class Settlement:
    """Blocks and leaves of a cluster as they are put together."""

    place: ClusterPlan
    blocks: list[Block] = field(default_factory=list)
    parts: list[Leaves] = field(default_factory=list)
    block_of: dict[str, int] = field(default_factory=dict)
    """Block of every service with usage rows."""

    def add_block(self, block: Block) -> int:
        """Add a block and return its number."""
        self.blocks.append(block)
        return len(self.blocks) - 1

    def add_leaves(self, rows: Sequence[tuple[str, str, str, int, int]]) -> None:
        """Add a few leaves: (service, account, group, block, quantity)."""
        self.parts.append(Leaves.of(rows))

    def leaves(self) -> tuple[Leaves, Quantities]:
        """Return all leaves, distinct and in the order of the export, and their quantities."""
        merged = merge(self.parts)
        return merged.leaves, _quantities(self, merged)


def _quantities(settlement: Settlement, merged: Merged) -> Quantities:
    """Return quantities below 2¹²⁶; a leaf with more, or with parts of several blocks, becomes a block of its own."""
    block, quantity = merged.leaves.block, merged.leaves.quantity
    alone = dict(merged.mixed)
    if quantity.dtype == object:
        large = (i for i, q in enumerate(quantity) if q.bit_length() > _QUANTITY_BITS and i not in alone)
        alone |= {position: [(int(block[position]), int(quantity[position]))] for position in large}
    if alone:
        block, quantity = block.copy(), quantity.copy()
    for position, entries in alone.items():
        block[position] = settlement.add_block(_together(settlement, entries))
        quantity[position] = 1
    low, high = split(quantity)
    return Quantities(low, high, block)


def _together(settlement: Settlement, entries: Sequence[tuple[int, int]]) -> Block:
    """Return a block for the one leaf that adds up quantities of other blocks."""
    parts = [settlement.blocks[number] for number, _ in entries]
    amounts = [scaled(part.columns, Fraction(quantity)) for part, (_, quantity) in zip(parts, entries, strict=True)]
    reached = classes.NO_CLASS
    lines: frozenset[int] | None = frozenset()
    for part in parts:
        reached |= part.classes
        lines = None if lines is None or part.lines is None else lines | part.lines
    return Block(total(amounts, len(settlement.place.lines)), reached, lines)
