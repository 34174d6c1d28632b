"""Fuel and refrigerants: mass x global warming potential (section 3, gwp.csv and direct_gases.csv)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from allocation.engine import quality
from allocation.engine.rows import rows
from allocation.engine.units import ONE, UG_PER_KG

if TYPE_CHECKING:
    from allocation.engine.findings import Findings
    from allocation.engine.frames import Activity
    from allocation.engine.sources import Sources

CO2E: Final = "CO2e"
LINE_BY_BOUNDARY: Final = {"scope2": "scope1", "scope3_leased": "scope3_other"}


def post_gases(activity: Activity, sources: Sources, findings: Findings) -> None:
    """Post every gas of every site. Reports NO_FACTOR and MIXED_GWP."""
    gwp_set = activity.header.gwp_set
    potentials = {str(row.gas): Fraction(row.gwp) for row in rows(activity.tables["gwp"]) if row.gwp_set == gwp_set}
    sites = {str(row.site): row for row in rows(activity.tables["sites"])}
    for row in rows(activity.tables["direct_gases"]):
        if row.gas == CO2E:
            potential = ONE
            if row.gwp_set != gwp_set:
                message = f"CO2e by the GWP set {row.gwp_set} in a package that uses {gwp_set}"
                findings.reject("MIXED_GWP", "direct_gases.csv", int(row.row), message, "gwp_set")
        elif row.gas in potentials:
            potential = potentials[str(row.gas)]
        else:
            message = f"gas {row.gas} has no GWP in the set {gwp_set}"
            findings.reject("NO_FACTOR", "direct_gases.csv", int(row.row), message, "gas")
            continue
        site = sites[str(row.site)]
        amount_ug = Fraction(row.mass_kg) * potential * UG_PER_KG
        line = LINE_BY_BOUNDARY[str(site.boundary)]
        origin = "direct_gases", str(row.site)
        sources.post(str(site.cluster), line, amount_ug, quality.rank(str(row.quality)), origin)
