"""Overhead racks pass on what they got (section 5, step 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from allocation.engine import quality as classes
from allocation.engine.columns import scaled, zeros
from allocation.engine.hardware import OVERHEAD_ROLES
from allocation.engine.racks import Basis
from allocation.engine.units import ONE, exact_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.engine.columns import Columns
    from allocation.engine.racks import Rates, Unit


class Cleared(NamedTuple):
    """The other racks after the overhead: their rates, and the classes of energy each of them got with it.

    `stranded` is what no rack could take, with its classes: it goes to the pool.
    """

    units: tuple[Unit, ...]
    rates: Rates
    classes: int
    stranded: Columns
    stranded_classes: int


def clear_overhead(units: Sequence[Unit], rates: Rates) -> Cleared:
    """Spread the overhead racks over all other racks, spare ones included, in proportion to p."""
    overhead = [unit for unit in units if unit.role in OVERHEAD_ROLES]
    others = tuple(unit for unit in units if unit.role not in OVERHEAD_ROLES)
    amount = rates.amount(Basis.of((unit, ONE) for unit in overhead))
    energy = classes.NO_CLASS
    for unit in overhead:
        if unit.p:
            energy |= classes.mask(unit.quality)
    takers_p = exact_sum(unit.p for unit in others)
    if not takers_p:
        return Cleared(others, rates, classes.NO_CLASS, amount, energy)
    nothing = zeros(len(amount) // 2)
    return Cleared(others, rates.raised(scaled(amount, ONE / takers_p)), energy, nothing, classes.NO_CLASS)
