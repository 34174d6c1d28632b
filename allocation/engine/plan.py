"""Steps 1 to 5 for every cluster: all that can be known of a month without its usage."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from allocation.engine.clusters import ClusterActivity, RackContents, plan_cluster
from allocation.engine.electricity import post_electricity
from allocation.engine.embodied import post_assets
from allocation.engine.energy import (
    check_closure,
    check_meters,
    check_sites_of_hardware,
    flag_bottom_up,
    known_it_kwh_by_cluster,
    measure_sites,
    read_meters,
)
from allocation.engine.findings import Findings
from allocation.engine.frames import ENERGY_LINE
from allocation.engine.gases import post_gases
from allocation.engine.hardware import read_machines, read_racks
from allocation.engine.peaks import read_peaks
from allocation.engine.places import Places
from allocation.engine.pools import drivers, post_pools
from allocation.engine.rows import rows
from allocation.engine.sources import Sources
from allocation.engine.units import ZERO
from allocation.engine.utilisation import read_utilisation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocation.engine.clusters import ClusterPlan
    from allocation.engine.embodied import RackAsset
    from allocation.engine.energy import SiteEnergy
    from allocation.engine.frames import Activity, Finding, Options
    from allocation.engine.peaks import PeakServices


@dataclass(frozen=True, slots=True)
class Plan:
    """What `settle` needs to know of a month.

    `clusters` holds every cluster of the package by code point, `regions` the active clusters of each region, `sites`
    the energy of each site. `findings` are the flags of the energy layer.
    """

    options: Options
    core_services: frozenset[str]
    internal_accounts: frozenset[str]
    clusters: Mapping[str, ClusterPlan]
    regions: Mapping[str, tuple[str, ...]]
    findings: tuple[Finding, ...]
    sites: Mapping[str, SiteEnergy]
    peaks: PeakServices

    @property
    def spared_accounts(self) -> frozenset[str]:
        """Accounts that bear nothing of the pool where accounts bear it (`unused = account_pool`)."""
        return self.internal_accounts if self.options.pool_base == "external" else frozenset()


@dataclass(frozen=True, slots=True)
class Survey:
    """Step 1: what stands in each cluster and posts to it, ready for steps 2 to 5.

    `energy_is_known` is false if cells of sites, racks or machines leave the energy of something open.
    """

    places: Places
    energy_is_known: bool
    sites: Mapping[str, SiteEnergy]
    clusters: Mapping[str, ClusterActivity]
    contents: RackContents


def prepare(activity: Activity) -> Plan:
    """Run steps 1 to 5 for every cluster of a month.

    Raises:
        PackageRejectedError: the energy layer rejects the package; holds all findings of the layer.
    """
    findings = Findings()
    found = survey(activity, findings)
    options = activity.header.options
    plans: dict[str, ClusterPlan] = {}
    if found.energy_is_known:
        plans = {code: plan_cluster(it, found.contents, options, findings) for code, it in found.clusters.items()}
    services = rows(activity.tables["services"])
    core = frozenset(str(row.service) for row in services if row.kind == "core")
    peaks = read_peaks(activity.tables, core, Fraction(options.closure_tolerance), findings)
    findings.raise_if_rejected()
    internal = frozenset(str(row.account) for row in rows(activity.tables["accounts"]) if row.internal)
    return Plan(options, core, internal, plans, found.places.regions, findings.as_tuple(), found.sites, peaks)


def survey(activity: Activity, findings: Findings) -> Survey:
    """Measure the energy and post everything; what is wrong goes to `findings`."""
    places = Places.read(activity.tables["clusters"], activity.tables["sites"])
    clusters = {code: ClusterActivity(code, row) for code, row in sorted(places.rows.items())}
    sites = _measure(activity, places, clusters, findings)
    energy_is_known = not findings.rejected
    # Without energy the drivers are unknown, too: then only pools without any cluster can be told to be wrong.
    pool_driver = activity.header.options.pool_driver if energy_is_known else "equal"
    driver = drivers(pool_driver, places, sites.values())
    sources, assets = _post(activity, places, sites, driver, findings)
    for (cluster, line), source in sources.items():
        clusters[cluster].sources[line] = source
    contents = RackContents(read_utilisation(activity.tables, findings), assets)
    _add_flows(activity, places, clusters, findings)
    return Survey(places, energy_is_known, sites, clusters, contents)


def _measure(
    activity: Activity, places: Places, clusters: Mapping[str, ClusterActivity], findings: Findings
) -> dict[str, SiteEnergy]:
    """Return the energy of every site; put sites, racks and machines into their clusters."""
    tables, header = activity.tables, activity.header
    tolerance = Fraction(header.options.closure_tolerance)
    meters = read_meters(tables["sites"])
    check_meters(meters, tolerance, findings)
    check_sites_of_hardware(tables, meters, places, header.options.rack_weight, findings)
    racks = read_racks(tables["racks"], header.hours, places, known_it_kwh_by_cluster(meters), findings)
    machines = read_machines(tables["machines"], header.hours, places, findings)
    sites = measure_sites(meters, (*racks, *machines))
    if not findings.rejected:
        flag_bottom_up(meters, findings)
        check_closure(places, meters, (*racks, *machines), tolerance, findings)
    for rack in racks:
        clusters[rack.cluster].racks.append(rack)
    for machine in machines:
        clusters[machine.cluster].machines.append(machine)
    for code, site in sites.items():
        clusters[site.cluster].sites[code] = site
    return sites


def _post(
    activity: Activity,
    places: Places,
    sites: Mapping[str, SiteEnergy],
    driver: Mapping[str, Fraction],
    findings: Findings,
) -> tuple[Sources, dict[str, list[RackAsset]]]:
    """Post everything to (cluster, line); return the sources, and the assets of racks. Reports LINE_EXCLUDED."""
    sources = Sources()
    post_electricity(activity, sites, sources, findings)
    post_gases(activity, sources, findings)
    post_pools(activity, places, driver, sources, findings)
    assets = post_assets(activity, places, driver, sources, findings)
    for line, ug in sources.totals_by_line():
        if line != ENERGY_LINE and line not in activity.header.options.lines:
            message = f"{ug} µg on the line {line} are not allocated: the methodology leaves it out"
            findings.flag("LINE_EXCLUDED", "package.toml", None, message, "lines")
    return sources, assets


def _add_flows(activity: Activity, places: Places, clusters: Mapping[str, ClusterActivity], findings: Findings) -> None:
    """Add what services deliver to each other; a region's row is split equally. Reports DEPENDENCIES_IGNORED."""
    direct = activity.header.options.dependencies == "direct"
    for name in ("service_use", "cross_use"):
        if direct and len(activity.tables[name]):
            message = f"dependencies = direct: {len(activity.tables[name])} rows are ignored"
            findings.flag("DEPENDENCIES_IGNORED", f"{name}.csv", None, message)
    for row in rows(activity.tables["cross_use"]) if not direct else ():
        node = str(row.consumer_cluster), str(row.consumer)
        clusters[str(row.cluster)].exports[str(row.service), node] = Fraction(row.quantity)
    for row in rows(activity.tables["service_use"]):
        named = places.named_by(str(row.cluster))
        for cluster in named:
            flows = clusters[cluster].flows
            key = (str(row.service), str(row.consumer))
            flows[key] = flows.get(key, ZERO) + Fraction(row.quantity) / len(named)
