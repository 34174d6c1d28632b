"""Dedicated machines: racks with a single leaf (section 3, machines.csv; section 5, step 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from allocation.engine import quality as classes
from allocation.engine.columns import scaled
from allocation.engine.racks import MACHINE_ROLE, Unit, arrival
from allocation.engine.units import ONE, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from allocation.engine.columns import Columns
    from allocation.engine.racks import Node


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A dedicated machine's leaf and its weight p. Machines of one `quality` share the amount of that node by p."""

    service: str
    account: str
    group: str
    p: Fraction
    quality: int


def p_by_quality(machines: Iterable[PlannedMachine]) -> dict[int, Fraction]:
    """Return the sum of p of the machines of each quality, strongest first."""
    weights: dict[int, list[Fraction]] = {}
    for machine in machines:
        weights.setdefault(machine.quality, []).append(machine.p)
    return {rank: exact_sum(parts) for rank, parts in sorted(weights.items())}


def as_units(weights: Mapping[int, Fraction]) -> list[Unit]:
    """Return machines that share with the racks: a service rack with one leaf, one for each quality."""
    return [Unit(MACHINE_ROLE, p, rank, {rank: ONE}) for rank, p in weights.items()]


@dataclass(slots=True)
class Taken:
    """What machines take before the racks: their columns and classes of energy, and the `rest` of x."""

    rest: Columns
    direct: dict[Node, Columns] = field(default_factory=dict)
    classes: dict[Node, int] = field(default_factory=dict)


def subtract(x: Columns, weights: Mapping[int, Fraction], cluster_weight: Fraction) -> Taken:
    """Give each machine p / W(k) of x. `weights` must not add up to more than `cluster_weight`."""
    share = ONE / cluster_weight if cluster_weight else cluster_weight
    taken = Taken(rest=scaled(x, ONE - exact_sum(weights.values()) * share))
    for rank, p in weights.items():
        taken.direct[rank] = scaled(arrival(x, estimated=classes.is_estimated(rank)), p * share)
        taken.classes[rank] = classes.mask(rank) if p else classes.NO_CLASS
    return taken
