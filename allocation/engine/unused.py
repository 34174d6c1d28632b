"""Racks to services, and what becomes of unused capacity (section 5, step 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from allocation.engine import quality as classes
from allocation.engine.columns import added, total, zeros
from allocation.engine.quality import NO_CLASS
from allocation.engine.racks import Basis
from allocation.engine.units import ONE, ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from allocation.engine.columns import Columns
    from allocation.engine.overhead import Cleared
    from allocation.engine.racks import Node, Unit


_APART: Final = frozenset({"provider", "account_pool"})
"""Policies that keep the pool apart from the services."""


@dataclass(slots=True)
class Served:
    """Direct amounts of services and machines, their classes of energy, and the pool that was not spread."""

    direct: dict[Node, Columns] = field(default_factory=dict)
    classes: dict[Node, int] = field(default_factory=dict)
    pool: Columns = ()
    pool_classes: int = NO_CLASS


@dataclass(slots=True)
class _Use:
    """Hardware by node: (unit, share of it) that a node bears, and its used energy w."""

    borne: dict[Node, list[tuple[Unit, Fraction]]] = field(default_factory=dict)
    energy: dict[Node, list[Fraction]] = field(default_factory=dict)
    unused: list[tuple[Unit, Fraction]] = field(default_factory=list)


def serve(cleared: Cleared, direct_to_pool: Columns, unused: str) -> Served:
    """Give the racks' amounts to the services that use them; spread or keep the pool of unused capacity.

    `direct_to_pool` is what no rack took in step 3. The pool that comes back is one that stays apart (`provider`,
    `account_pool`), or that of a cluster without used energy.
    """
    lines = len(direct_to_pool) // 2
    use = _use(cleared, unused)
    served = Served(pool=zeros(lines))
    for node, parts in use.borne.items():
        served.direct[node] = cleared.rates.amount(Basis.of(parts))
        served.classes[node] = _classes(parts, cleared.classes)
    w = {node: exact_sum(energies) for node, energies in use.energy.items()}
    pool = total([direct_to_pool, cleared.stranded, cleared.rates.amount(Basis.of(use.unused))], lines)
    total_w = exact_sum(w.values())
    pool_classes = cleared.stranded_classes | _classes(use.unused, cleared.classes)
    if unused in _APART or not total_w:
        served.pool, served.pool_classes = pool, pool_classes
        return served
    by_w = {node: energy / total_w for node, energy in w.items()}
    shares = _shares_by_line(served.direct, by_w, lines, by_emissions=unused == "service_pool")
    for node, share in shares.items():
        extra = tuple(amount * part for amount, part in zip(pool, share * 2, strict=True))
        served.direct[node] = added(served.direct[node], extra)
        if w[node]:
            served.classes[node] |= pool_classes
    return served


def _use(cleared: Cleared, unused: str) -> _Use:
    use = _Use()
    for unit in cleared.units:
        booked = sum(unit.theta.values(), ZERO)
        local = unused == "rack_local" and booked > 0
        for node, theta in unit.theta.items():
            borne = theta / booked if local else theta
            use.borne.setdefault(node, []).append((unit, borne))
            use.energy.setdefault(node, []).append(unit.p * theta)
        if not local and booked < 1:
            use.unused.append((unit, ONE - booked))
    return use


def _classes(parts: list[tuple[Unit, Fraction]], overhead: int) -> int:
    """Return the classes of energy that reach through some parts of racks: their own and those of the overhead."""
    found = classes.NO_CLASS
    for unit, share in parts:
        if unit.p and share:
            found |= classes.mask(unit.quality) | overhead
    return found


def _shares_by_line(
    direct: Mapping[Node, Columns], by_w: Mapping[Node, Fraction], lines: int, *, by_emissions: bool
) -> dict[Node, tuple[Fraction, ...]]:
    """Return every node's share of the pool on each line: by used energy, or by emissions already used if any are."""
    used = total(direct.values(), lines)
    shares: dict[Node, tuple[Fraction, ...]] = {}
    for node, by_energy in by_w.items():
        shares[node] = tuple(
            direct[node][line] / used[line] if by_emissions and used[line] else by_energy for line in range(lines)
        )
    return shares
