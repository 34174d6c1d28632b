"""Unused capacity borne by accounts (docs/package-format.md, section 9, `unused = account_pool`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from allocation.engine.blocks import Block
from allocation.engine.columns import scaled, total
from allocation.engine.fallbacks import rate, with_overhead
from allocation.engine.units import ZERO

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from allocation.engine.blocks import Settlement
    from allocation.engine.columns import Columns
    from allocation.engine.leaves import Leaves


def spread_over_accounts(settlement: Settlement, spared: Collection[str]) -> Columns:
    """Spread the cluster's pool over the leaves of accounts, line by line in proportion to their amounts.

    Accounts that are `spared` bear none of it: the internal ones if `pool_base = external`, nobody's if it is `all`.

    Returns what no leaf can take: the pool on lines where these amounts are all 0.
    """
    place = settlement.place
    lines = len(place.lines)
    bearing = [_bearing(part, spared) for part in settlement.parts]
    quantities = [0] * len(settlement.blocks)
    for part, mask in zip(settlement.parts, bearing, strict=True):
        for number, quantity in zip(part.block[mask].tolist(), part.quantity[mask].tolist(), strict=True):
            quantities[number] += quantity
    base = total(
        [scaled(block.columns, ZERO + quantity) for block, quantity in zip(settlement.blocks, quantities, strict=True)],
        lines,
    )
    rates = rate(place.pool, base)
    # Each block gets a twin for the leaves that bear the pool.
    twins = np.array(
        [
            settlement.add_block(Block(with_overhead(block.columns, rates), block.classes | place.pool_classes))
            for block in tuple(settlement.blocks)
        ],
        dtype=np.int32,
    )
    settlement.parts = [
        replace(part, block=np.where(mask, twins[part.block], part.block))
        for part, mask in zip(settlement.parts, bearing, strict=True)
    ]
    return tuple(ZERO if base[index % lines] else amount for index, amount in enumerate(place.pool))


def _bearing(part: Leaves, spared: Collection[str]) -> npt.NDArray[np.bool_]:
    flags = np.array([account not in spared for account in part.accounts], dtype=bool)
    mask: npt.NDArray[np.bool_] = flags[part.account]
    return mask
