"""Electricity and IT energy of sites (section 3, sites.csv).

E is what the facility draws, IT what its hardware draws. The PUE multiplies IT energy once and never facility energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.engine.rows import rows
from allocation.engine.units import ONE, ZERO, exact, exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    import pandas as pd

    from allocation.engine.findings import Findings
    from allocation.engine.hardware import Machine, Rack
    from allocation.engine.places import Places


@dataclass(frozen=True, slots=True)
class SiteMeter:
    """What sites.csv says of a site's energy."""

    site: str
    cluster: str
    row: int
    facility_kwh: Fraction | None
    it_kwh: Fraction | None
    pue: Fraction | None

    @property
    def known_it_kwh(self) -> Fraction | None:
        """IT energy that does not depend on the racks, if there is one."""
        if self.it_kwh is not None:
            return self.it_kwh
        if self.facility_kwh is not None and self.pue:
            return self.facility_kwh / self.pue
        return None


@dataclass(frozen=True, slots=True)
class SiteEnergy:
    """Energy of a site in the month. `pue` is E / IT; where IT is 0 the stated one, else 1."""

    site: str
    cluster: str
    facility_kwh: Fraction
    it_kwh: Fraction
    pue: Fraction


def read_meters(sites: pd.DataFrame) -> list[SiteMeter]:
    """Return the energy columns of sites.csv."""
    return [
        SiteMeter(
            site=str(row.site),
            cluster=str(row.cluster),
            row=int(row.row),
            facility_kwh=exact(row.facility_kwh),
            it_kwh=exact(row.it_kwh),
            pue=exact(row.pue),
        )
        for row in rows(sites)
    ]


def check_meters(meters: Sequence[SiteMeter], tolerance: Fraction, findings: Findings) -> None:
    """Report NO_SITE_ENERGY, PUE_BELOW_ONE and CLOSURE_GAP of sites."""
    for meter in meters:
        facility, it, pue = meter.facility_kwh, meter.it_kwh, meter.pue
        if facility is None and pue is None:
            message = f"site {meter.site} has neither facility_kwh nor pue"
            findings.reject("NO_SITE_ENERGY", "sites.csv", meter.row, message)
        if pue is not None and pue < 1:
            message = f"site {meter.site} has a PUE of {float(pue)}"
            findings.reject("PUE_BELOW_ONE", "sites.csv", meter.row, message, "pue")
        if facility is not None and it is not None and facility < it:
            message = f"site {meter.site} has less facility energy than IT energy"
            findings.reject("PUE_BELOW_ONE", "sites.csv", meter.row, message, "facility_kwh")
        if facility is not None and it is not None and pue is not None:
            expected = pue * it
            if abs(facility - expected) > tolerance * expected:
                message = f"site {meter.site}: facility_kwh {float(facility)} against pue x it_kwh {float(expected)}"
                findings.flag("CLOSURE_GAP", "sites.csv", meter.row, message, "facility_kwh")


def known_it_kwh_by_cluster(meters: Sequence[SiteMeter]) -> dict[str, Fraction]:
    """Return the IT energy of those clusters all of whose sites know theirs without the racks."""
    known: dict[str, Fraction] = {}
    unknown: set[str] = set()
    for meter in meters:
        it_kwh = meter.known_it_kwh
        if it_kwh is None:
            unknown.add(meter.cluster)
        else:
            known[meter.cluster] = known.get(meter.cluster, ZERO) + it_kwh
    return {cluster: kwh for cluster, kwh in known.items() if cluster not in unknown}


def check_sites_of_hardware(
    tables: Mapping[str, pd.DataFrame],
    meters: Sequence[SiteMeter],
    places: Places,
    rack_weight: str,
    findings: Findings,
) -> None:
    """Report SITE_REQUIRED: hardware without a site where it matters in which site of the cluster it stands."""
    bottom_up = {meter.cluster for meter in meters if meter.known_it_kwh is None}
    for table, key in (("racks", "rack"), ("machines", "machine")):
        frame = tables[table]
        for code, cluster, site, row in zip(frame[key], frame["cluster"], frame["site"], frame["row"], strict=True):
            several = len(places.sites.get(cluster, ())) > 1
            if site is None and several and (rack_weight == "facility_kwh" or cluster in bottom_up):
                message = f"{key} {code} must name its site: cluster {cluster} has several"
                findings.reject("SITE_REQUIRED", f"{table}.csv", int(row), message, "site")


def measure_sites(meters: Sequence[SiteMeter], hardware: Sequence[Rack | Machine]) -> dict[str, SiteEnergy]:
    """Return the energy of every site by code."""
    drawn: dict[str, list[Fraction]] = {}
    for unit in hardware:
        if unit.site is not None:
            drawn.setdefault(unit.site, []).append(unit.kwh)
    sites: dict[str, SiteEnergy] = {}
    for meter in meters:
        it_kwh = meter.known_it_kwh
        if it_kwh is None:
            it_kwh = exact_sum(drawn.get(meter.site, ()))
        facility_kwh = meter.facility_kwh
        if facility_kwh is None:
            facility_kwh = it_kwh * (meter.pue or ONE)
        pue = facility_kwh / it_kwh if it_kwh else meter.pue or ONE
        sites[meter.site] = SiteEnergy(meter.site, meter.cluster, facility_kwh, it_kwh, pue)
    return sites


def flag_bottom_up(meters: Sequence[SiteMeter], findings: Findings) -> None:
    """Report BOTTOM_UP_SITE: E depends on the sum of racks and machines."""
    for meter in meters:
        if meter.facility_kwh is None and meter.known_it_kwh is None:
            message = f"the energy of site {meter.site} is the sum of its racks and machines times its PUE"
            findings.flag("BOTTOM_UP_SITE", "sites.csv", meter.row, message)


def check_closure(
    places: Places,
    meters: Sequence[SiteMeter],
    hardware: Sequence[Rack | Machine],
    tolerance: Fraction,
    findings: Findings,
) -> None:
    """Report CLOSURE_GAP of clusters: metered IT energy against the sum of racks and machines."""
    drawn: dict[str, list[Fraction]] = {}
    for unit in hardware:
        drawn.setdefault(unit.cluster, []).append(unit.kwh)
    for cluster, it_kwh in sorted(known_it_kwh_by_cluster(meters).items()):
        metered = exact_sum(drawn.get(cluster, ()))
        if abs(it_kwh - metered) > tolerance * metered:
            message = f"cluster {cluster}: {float(it_kwh)} kWh IT against {float(metered)} kWh of racks and machines"
            findings.flag("CLOSURE_GAP", "clusters.csv", places.rows[cluster], message)
