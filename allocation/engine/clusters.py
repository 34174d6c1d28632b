"""Steps 2 to 5 for one cluster: from its source integers to the direct amounts of services and machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from allocation.engine import quality as classes
from allocation.engine.columns import zeros
from allocation.engine.embodied import LINE as EMBODIED
from allocation.engine.frames import ENERGY_LINE
from allocation.engine.machines import PlannedMachine, Taken, as_units, p_by_quality, subtract
from allocation.engine.overhead import clear_overhead
from allocation.engine.racks import Unit, rates_by_p, weight
from allocation.engine.units import exact_sum
from allocation.engine.unused import serve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from allocation.engine.columns import Columns
    from allocation.engine.embodied import RackAsset
    from allocation.engine.energy import SiteEnergy
    from allocation.engine.findings import Findings
    from allocation.engine.frames import Options
    from allocation.engine.hardware import Machine, Rack
    from allocation.engine.racks import Node
    from allocation.engine.reach import Place
    from allocation.engine.sources import Source


@dataclass(slots=True)
class ClusterActivity:
    """What stands in a cluster and posts to it.

    `flows` is what a service (first) delivers to another (second), `exports` what one delivers to other clusters.
    """

    cluster: str
    row: int
    sources: dict[str, Source] = field(default_factory=dict)
    sites: dict[str, SiteEnergy] = field(default_factory=dict)
    racks: list[Rack] = field(default_factory=list)
    machines: list[Machine] = field(default_factory=list)
    flows: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    exports: dict[tuple[str, Place], Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster before its usage is known.

    `lines` are by code point, the energy line included; `source_ug` and `line_quality` go with them. `direct` holds the
    columns of services and of machine groups, `pool` what is left for `(unused)`.
    """

    cluster: str
    row: int
    lines: tuple[str, ...]
    source_ug: tuple[int, ...]
    line_quality: tuple[int, ...]
    direct: Mapping[Node, Columns]
    classes: Mapping[Node, int]
    pool: Columns
    pool_classes: int
    cluster_classes: int
    machines: tuple[PlannedMachine, ...]
    flows: Mapping[tuple[str, str], Fraction]
    exports: Mapping[tuple[str, Place], Fraction] = field(default_factory=dict)

    @property
    def emission_lines(self) -> tuple[int, ...]:
        """Indexes of the lines that are emissions."""
        return tuple(index for index, line in enumerate(self.lines) if line != ENERGY_LINE)


@dataclass(frozen=True, slots=True)
class RackContents:
    """By rack code: theta by service, and the assets that belong to the rack."""

    theta: Mapping[str, Mapping[str, Fraction]]
    assets: Mapping[str, Sequence[RackAsset]]


def plan_cluster(
    activity: ClusterActivity, contents: RackContents, options: Options, findings: Findings
) -> ClusterPlan:
    """Run steps 2 to 5. Reports MACHINE_EXCEEDS_CLUSTER."""
    sources = activity.sources
    lines = tuple(sorted(line for line in sources if line == ENERGY_LINE or line in options.lines))
    machines = tuple(machines_of(activity, options))
    machine_weights = p_by_quality(machines)
    units = list(units_of(activity, contents, options))
    first = Taken(rest=_columns(sources, lines))
    if options.machines == "share":
        units += as_units(machine_weights)
    else:
        cluster_weight = cluster_weight_of(activity, options)
        _check_machines(activity.cluster, exact_sum(machine_weights.values()), cluster_weight, findings)
        first = subtract(first.rest, machine_weights, cluster_weight)

    total_p = exact_sum(unit.p for unit in units)
    rates = rates_by_p(first.rest, total_p, lines.index(EMBODIED) if EMBODIED in lines else None)
    to_pool = zeros(len(lines)) if total_p else first.rest
    served = serve(clear_overhead(units, rates), to_pool, options.unused)
    return ClusterPlan(
        cluster=activity.cluster,
        row=activity.row,
        lines=lines,
        source_ug=tuple(sources[line].total_ug for line in lines),
        line_quality=tuple(sources[line].quality for line in lines),
        direct=served.direct | first.direct,
        classes=served.classes | first.classes,
        pool=served.pool,
        pool_classes=served.pool_classes,
        cluster_classes=_classes(units, machine_weights),
        machines=machines,
        flows=activity.flows,
        exports=activity.exports,
    )


def _columns(sources: Mapping[str, Source], lines: Sequence[str]) -> Columns:
    """Return x of every line and the estimated part of it."""
    x = [Fraction(sources[line].x_ug) for line in lines]
    return (*x, *(amount * sources[line].estimated_share for amount, line in zip(x, lines, strict=True)))


def machines_of(activity: ClusterActivity, options: Options) -> Iterable[PlannedMachine]:
    """Yield the dedicated machines with their weights, in the order of the file."""
    for machine in activity.machines:
        p = weight(machine.kwh, machine.site, options.rack_weight, activity.sites)
        yield PlannedMachine(machine.service, machine.account, machine.group, p, machine.quality)


def units_of(activity: ClusterActivity, contents: RackContents, options: Options) -> Iterable[Unit]:
    """Yield the racks with their weights and contents, in the order of `activity.racks`."""
    for rack in activity.racks:
        assets = contents.assets.get(rack.code, ())
        yield Unit(
            role=rack.role,
            p=weight(rack.kwh, rack.site, options.rack_weight, activity.sites),
            quality=rack.quality,
            theta=dict(contents.theta.get(rack.code, {}).items()),
            assets_ug=sum(asset.amount_ug for asset in assets),
            estimated_assets_ug=sum(asset.amount_ug for asset in assets if classes.is_estimated(asset.quality)),
        )


def cluster_weight_of(activity: ClusterActivity, options: Options) -> Fraction:
    """Return W(k): IT kWh, or facility kWh, of the cluster's sites."""
    by_facility = options.rack_weight == "facility_kwh"
    return exact_sum(site.facility_kwh if by_facility else site.it_kwh for site in activity.sites.values())


def _check_machines(cluster: str, taken: Fraction, cluster_weight: Fraction, findings: Findings) -> None:
    if taken > cluster_weight:
        message = f"the machines of cluster {cluster} draw {float(taken)} kWh of its {float(cluster_weight)}"
        findings.reject("MACHINE_EXCEEDS_CLUSTER", "machines.csv", None, message)


def _classes(units: Iterable[Unit], machine_weights: Mapping[int, Fraction]) -> int:
    """Return every class of energy in the cluster, that of machines included."""
    found = classes.NO_CLASS
    for rank, p in [*((unit.quality, unit.p) for unit in units), *machine_weights.items()]:
        found |= classes.mask(rank) if p else classes.NO_CLASS
    return found
