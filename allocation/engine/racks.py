"""From a cluster to its racks: weights and shares (section 5, steps 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from allocation.engine import quality as classes
from allocation.engine.columns import added, scaled
from allocation.engine.units import ONE, ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from allocation.engine.columns import Columns
    from allocation.engine.energy import SiteEnergy

Node: TypeAlias = str | int
"""What hardware serves: a service by its code, or the dedicated machines of one quality by that quality."""

MACHINE_ROLE: Final = "machine"


@dataclass(frozen=True, slots=True)
class Unit:
    """A rack of one cluster, or its shared machines of one quality: p, quality, theta and own postings."""

    role: str
    p: Fraction
    quality: int
    theta: Mapping[Node, Fraction] = field(default_factory=dict)
    assets_ug: int = 0
    estimated_assets_ug: int = 0


def weight(kwh: Fraction, site: str | None, rack_weight: str, energy: Mapping[str, SiteEnergy]) -> Fraction:
    """Return p: the kWh of a rack or machine, times the PUE of its site if racks weigh facility energy."""
    pue = energy[site].pue if rack_weight == "facility_kwh" and site is not None else ONE
    return kwh * pue


class Basis(NamedTuple):
    """What the amount of some racks is made of: p of metered and of estimated racks, and their own postings.

    The columns of any set of racks follow from these four numbers, however many racks and lines there are.
    """

    metered_p: Fraction
    estimated_p: Fraction
    assets_ug: Fraction
    estimated_assets_ug: Fraction

    @classmethod
    def of(cls, parts: Iterable[tuple[Unit, Fraction]]) -> Basis:
        """Add up (unit, share of the unit)."""
        metered: list[Fraction] = []
        estimated: list[Fraction] = []
        assets: list[Fraction] = []
        estimated_assets: list[Fraction] = []
        for unit, share in parts:
            (estimated if classes.is_estimated(unit.quality) else metered).append(unit.p * share)
            if unit.assets_ug:
                assets.append(unit.assets_ug * share)
                estimated_assets.append(unit.estimated_assets_ug * share)
        return cls(exact_sum(metered), exact_sum(estimated), exact_sum(assets), exact_sum(estimated_assets))


@dataclass(frozen=True, slots=True)
class Rates:
    """Columns per unit of p, for metered and for estimated racks; `embodied` is the index of that line."""

    metered: Columns
    estimated: Columns
    embodied: int | None

    def amount(self, basis: Basis) -> Columns:
        """Return the columns of what `basis` stands for."""
        columns = list(added(scaled(self.metered, basis.metered_p), scaled(self.estimated, basis.estimated_p)))
        if self.embodied is not None:
            columns[self.embodied] += basis.assets_ug
            columns[len(columns) // 2 + self.embodied] += basis.estimated_assets_ug
        return tuple(columns)

    def raised(self, per_p: Columns) -> Rates:
        """Return the rates with `per_p` more for every unit of p."""
        return Rates(added(self.metered, per_p), added(self.estimated, per_p), self.embodied)


def arrival(x: Columns, *, estimated: bool) -> Columns:
    """Return what arrives of x by p: at an estimated rack or machine it is wholly estimated, else as estimated as x."""
    lines = len(x) // 2
    return x[:lines] * 2 if estimated else x


def rates_by_p(x: Columns, total_p: Fraction, embodied: int | None) -> Rates:
    """Return x / sum of p: y(r) = p(r) / sum of p x (x or the rest) + the rack's own postings."""
    share = ONE / total_p if total_p else ZERO
    return Rates(scaled(arrival(x, estimated=False), share), scaled(arrival(x, estimated=True), share), embodied)
