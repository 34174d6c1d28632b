"""Electricity of sites to emission lines: E x factor, location-based and market-based (sections 3 and 4)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from allocation.engine import quality
from allocation.engine.frames import ENERGY_LINE
from allocation.engine.instruments import cover, read_instruments
from allocation.engine.rows import rows
from allocation.engine.units import ONE, UG_PER_G, WH_PER_KWH, exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocation.engine.energy import SiteEnergy
    from allocation.engine.findings import Findings
    from allocation.engine.frames import Activity
    from allocation.engine.sources import Sources

LOCATION_LINE: Final = {"scope2": "scope2_lbm", "scope3_leased": "scope3_leased_lbm"}
MARKET_LINE: Final = {"scope2": "scope2_mbm", "scope3_leased": "scope3_leased_mbm"}


def post_electricity(
    activity: Activity, energy: Mapping[str, SiteEnergy], sources: Sources, findings: Findings
) -> None:
    """Post the electricity of every site. Reports NO_FACTOR, NO_RESIDUAL_MIX and what the instruments give."""
    sites = activity.tables["sites"]
    options = activity.header.options
    remaining: dict[str, list[Fraction]] = {}
    for row in rows(sites):
        rest = (ONE - Fraction(row.green_ratio)) * energy[str(row.site)].facility_kwh
        remaining.setdefault(str(row.market or row.cluster), []).append(rest)
    markets = read_instruments(
        activity.tables["instruments"], activity.header.month, options.vintage_window_months, findings
    )
    coverages = cover(remaining, markets, findings)
    for row in rows(sites):
        cluster, kwh, rank = str(row.cluster), energy[str(row.site)].facility_kwh, quality.rank(str(row.quality))
        sources.post(cluster, ENERGY_LINE, kwh * WH_PER_KWH, rank)
        location = exact(row.location_g_per_kwh)
        if location is None:
            message = f"site {row.site} has no location-based factor"
            findings.reject("NO_FACTOR", "sites.csv", int(row.row), message, "location_g_per_kwh")
            continue
        residual = exact(row.residual_g_per_kwh)
        if residual is None:
            residual = location
            message = f"site {row.site} has no residual mix: its location-based factor is used"
            findings.flag("NO_RESIDUAL_MIX", "sites.csv", int(row.row), message, "residual_g_per_kwh")
        green = Fraction(row.green_ratio)
        covered = coverages[str(row.market or row.cluster)]
        market_g_per_kwh = green * Fraction(row.green_g_per_kwh) + (ONE - green) * (
            covered.g_per_remaining_kwh + (ONE - covered.share) * residual
        )
        factors = {
            LOCATION_LINE[str(row.boundary)]: location,
            MARKET_LINE[str(row.boundary)]: market_g_per_kwh,
            "scope3_fera_lbm": exact(row.fera_lbm_g_per_kwh),
            "scope3_fera_mbm": exact(row.fera_mbm_g_per_kwh),
        }
        for line, g_per_kwh in factors.items():
            if g_per_kwh is not None:
                sources.post(cluster, line, kwh * g_per_kwh * UG_PER_G, rank)
