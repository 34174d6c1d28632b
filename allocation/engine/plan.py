"""Steps 1 to 5 for every cluster: all that can be known of a month without its usage."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from allocation.engine import quality as classes
from allocation.engine.columns import scaled, zeros
from allocation.engine.electricity import post_electricity
from allocation.engine.embodied import LINE as EMBODIED
from allocation.engine.embodied import post_assets
from allocation.engine.energy import (
    check_closure,
    check_meters,
    check_sites_of_hardware,
    known_it_kwh_by_cluster,
    measure_sites,
    read_meters,
)
from allocation.engine.findings import Findings
from allocation.engine.frames import ENERGY_LINE
from allocation.engine.gases import post_gases
from allocation.engine.hardware import read_machines, read_racks
from allocation.engine.overhead import clear_overhead
from allocation.engine.places import Places
from allocation.engine.pools import drivers, post_pools
from allocation.engine.racks import MACHINE_ROLE, Unit, arrival, rates_by_p, weight
from allocation.engine.rows import rows
from allocation.engine.sources import Sources
from allocation.engine.units import ONE, ZERO, exact_sum
from allocation.engine.unused import serve
from allocation.engine.utilisation import read_utilisation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocation.engine.columns import Columns
    from allocation.engine.embodied import RackAsset
    from allocation.engine.energy import SiteEnergy
    from allocation.engine.frames import Activity, Finding, Options
    from allocation.engine.hardware import Machine, Rack
    from allocation.engine.racks import Node
    from allocation.engine.sources import Source


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A dedicated machine's leaf and its weight p. `quality` names the node whose amount it shares by p."""

    service: str
    account: str
    group: str
    p: Fraction
    quality: int


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster before its usage is known.

    `lines` are by code point, the energy line included; `source_ug` and `line_quality` go with them. `direct` holds the
    columns of services and of machine groups, `pool` what is left for `(unused)`, `flows` the quantity that a service
    (first) delivers to another (second).
    """

    cluster: str
    row: int
    lines: tuple[str, ...]
    source_ug: tuple[int, ...]
    line_quality: tuple[int, ...]
    direct: Mapping[Node, Columns]
    classes: Mapping[Node, int]
    pool: Columns
    cluster_classes: int
    machines: tuple[PlannedMachine, ...]
    flows: Mapping[tuple[str, str], Fraction]

    @property
    def emission_lines(self) -> tuple[int, ...]:
        """Indexes of the lines that are emissions."""
        return tuple(index for index, line in enumerate(self.lines) if line != ENERGY_LINE)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `settle` needs to know of a month. `findings` are the flags of the energy layer, `sites` what was measured."""

    options: Options
    core_services: frozenset[str]
    clusters: Mapping[str, ClusterPlan]
    regions: Mapping[str, tuple[str, ...]]
    findings: tuple[Finding, ...]
    sites: Mapping[str, SiteEnergy]


@dataclass(frozen=True, slots=True)
class _Hardware:
    """Racks and machines of all clusters with what they need to become units."""

    racks: tuple[Rack, ...]
    machines: tuple[Machine, ...]
    theta: Mapping[str, Mapping[str, Fraction]]
    assets: Mapping[str, list[RackAsset]]
    energy: Mapping[str, SiteEnergy]


def prepare(activity: Activity) -> Plan:
    """Run steps 1 to 5 for every cluster of a month.

    Raises:
        PackageRejectedError: the energy layer rejects the package; holds all findings of the layer.
    """
    findings = Findings()
    tables, options = activity.tables, activity.header.options
    places = Places.read(tables["clusters"], tables["sites"])
    tolerance = Fraction(options.closure_tolerance)

    meters = read_meters(tables["sites"])
    check_meters(meters, tolerance, findings)
    check_sites_of_hardware(tables, meters, places, options.rack_weight, findings)
    racks = read_racks(tables["racks"], activity.header.hours, places, known_it_kwh_by_cluster(meters), findings)
    machines = read_machines(tables["machines"], activity.header.hours, places, findings)
    energy = measure_sites(meters, racks, machines, findings)
    check_closure(places, meters, racks, machines, tolerance, findings)
    theta = read_utilisation(tables, findings)

    sources = Sources()
    driver = drivers(options.pool_driver, places, energy.values())
    post_electricity(activity, energy, sources, findings)
    post_gases(activity, sources, findings)
    post_pools(activity, places, driver, sources, findings)
    assets = post_assets(activity, places, driver, sources, findings)
    _flag_excluded_lines(sources, options, findings)
    _flag_ignored_dependencies(activity, findings)

    hardware = _Hardware(tuple(racks), tuple(machines), theta, assets, energy)
    flows = _flows(activity, places)
    clusters = {
        cluster: _plan_cluster(cluster, places, sources.of_cluster(cluster), hardware, flows, options, findings)
        for cluster in sorted(places.rows)
    }
    findings.raise_if_rejected()
    services = tables["services"]
    core = frozenset(str(row.service) for row in rows(services) if row.kind == "core")
    return Plan(options, core, clusters, places.regions, findings.as_tuple(), energy)


def _flag_excluded_lines(sources: Sources, options: Options, findings: Findings) -> None:
    for line, ug in sources.totals_by_line():
        if line != ENERGY_LINE and line not in options.lines:
            message = f"{ug} µg on the line {line} are not allocated: the methodology leaves it out"
            findings.flag("LINE_EXCLUDED", "package.toml", None, message, "lines")


def _flag_ignored_dependencies(activity: Activity, findings: Findings) -> None:
    ignored = len(activity.tables["service_use"])
    if activity.header.options.dependencies == "direct" and ignored:
        message = f"dependencies = direct: {ignored} rows are ignored"
        findings.flag("DEPENDENCIES_IGNORED", "service_use.csv", None, message)


def _flows(activity: Activity, places: Places) -> dict[str, dict[tuple[str, str], Fraction]]:
    """Return what services deliver to each other by cluster; a region's row is split equally over its clusters."""
    flows: dict[str, dict[tuple[str, str], Fraction]] = {}
    for row in rows(activity.tables["service_use"]):
        clusters = places.named_by(str(row.cluster))
        for cluster in clusters:
            of_cluster = flows.setdefault(cluster, {})
            key = (str(row.service), str(row.consumer))
            of_cluster[key] = of_cluster.get(key, ZERO) + Fraction(row.quantity) / len(clusters)
    return flows


def _plan_cluster(  # noqa: PLR0913 # one argument per stage before
    cluster: str,
    places: Places,
    sources: Mapping[str, Source],
    hardware: _Hardware,
    flows: Mapping[str, Mapping[tuple[str, str], Fraction]],
    options: Options,
    findings: Findings,
) -> ClusterPlan:
    lines = tuple(sorted(line for line in sources if line == ENERGY_LINE or line in options.lines))
    x = _columns(sources, lines)
    machines = tuple(
        PlannedMachine(
            m.service, m.account, m.group, weight(m.kwh, m.site, options.rack_weight, hardware.energy), m.quality
        )
        for m in hardware.machines
        if m.cluster == cluster
    )
    by_quality = _energy_by_quality(machines)
    racks = _units(cluster, hardware, options)
    direct: dict[Node, Columns] = {}
    energy_classes: dict[Node, int] = {}
    if options.machines == "share":
        racks += [Unit(MACHINE_ROLE, p, rank, {rank: ONE}) for rank, p in by_quality.items()]
    else:
        w = _cluster_weight(cluster, hardware.energy, options.rack_weight)
        taken = exact_sum(by_quality.values())
        if taken > w:
            message = f"the machines of cluster {cluster} draw {float(taken)} kWh of its {float(w)}"
            findings.reject("MACHINE_EXCEEDS_CLUSTER", "machines.csv", None, message)
        for rank, p in by_quality.items():
            share = p / w if w else ZERO
            direct[rank] = scaled(arrival(x, estimated=classes.is_estimated(rank)), share)
            energy_classes[rank] = classes.mask(rank) if p else classes.NO_CLASS
        x = scaled(x, ONE - taken / w) if w else x

    total_p = exact_sum(unit.p for unit in racks)
    rates = rates_by_p(x, total_p, lines.index(EMBODIED) if EMBODIED in lines else None)
    served = serve(clear_overhead(racks, rates), zeros(len(lines)) if total_p else x, options.unused)
    cluster_classes = classes.NO_CLASS
    for rank, p in [(unit.quality, unit.p) for unit in racks] + list(by_quality.items()):
        cluster_classes |= classes.mask(rank) if p else classes.NO_CLASS
    return ClusterPlan(
        cluster=cluster,
        row=places.rows[cluster],
        lines=lines,
        source_ug=tuple(sources[line].total_ug for line in lines),
        line_quality=tuple(sources[line].quality for line in lines),
        direct=served.direct | direct,
        classes=served.classes | energy_classes,
        pool=served.pool,
        cluster_classes=cluster_classes,
        machines=machines,
        flows=flows.get(cluster, {}),
    )


def _columns(sources: Mapping[str, Source], lines: tuple[str, ...]) -> Columns:
    """Return x of every line and the estimated part of it."""
    x = [Fraction(sources[line].x_ug) for line in lines]
    return (*x, *(amount * sources[line].estimated_share for amount, line in zip(x, lines, strict=True)))


def _energy_by_quality(machines: tuple[PlannedMachine, ...]) -> dict[int, Fraction]:
    energies: dict[int, list[Fraction]] = {}
    for machine in machines:
        energies.setdefault(machine.quality, []).append(machine.p)
    return {rank: exact_sum(parts) for rank, parts in sorted(energies.items())}


def _units(cluster: str, hardware: _Hardware, options: Options) -> list[Unit]:
    units: list[Unit] = []
    for rack in hardware.racks:
        if rack.cluster != cluster:
            continue
        assets = hardware.assets.get(rack.code, ())
        units.append(
            Unit(
                role=rack.role,
                p=weight(rack.kwh, rack.site, options.rack_weight, hardware.energy),
                quality=rack.quality,
                theta=dict(hardware.theta.get(rack.code, {})),
                assets_ug=sum(asset.amount_ug for asset in assets),
                estimated_assets_ug=sum(asset.amount_ug for asset in assets if classes.is_estimated(asset.quality)),
            )
        )
    return units


def _cluster_weight(cluster: str, energy: Mapping[str, SiteEnergy], rack_weight: str) -> Fraction:
    """Return W(k): IT kWh, or facility kWh, of the cluster's sites."""
    return exact_sum(
        site.facility_kwh if rack_weight == "facility_kwh" else site.it_kwh
        for site in energy.values()
        if site.cluster == cluster
    )
