"""Electricity of sites to emission lines: E x factor, location-based and market-based (sections 3 and 4)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from allocation.engine import quality
from allocation.engine.frames import ENERGY_LINE
from allocation.engine.hourly import check_hours, cover_hours, market_grams, read_instrument_hours, read_site_hours
from allocation.engine.instruments import cover, read_instruments
from allocation.engine.rows import rows
from allocation.engine.units import ONE, UG_PER_G, WH_PER_KWH, exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from allocation.engine.energy import SiteEnergy
    from allocation.engine.findings import Findings
    from allocation.engine.frames import Activity
    from allocation.engine.instruments import Instrument
    from allocation.engine.sources import Sources

LOCATION_LINE: Final = {"scope2": "scope2_lbm", "scope3_leased": "scope3_leased_lbm"}
MARKET_LINE: Final = {"scope2": "scope2_mbm", "scope3_leased": "scope3_leased_mbm"}


def post_electricity(
    activity: Activity, energy: Mapping[str, SiteEnergy], sources: Sources, findings: Findings
) -> None:
    """Post the electricity of every site. Reports NO_FACTOR, NO_RESIDUAL_MIX and what instruments and hours give."""
    check_hours(activity.tables, activity.header, findings)
    bought = _bought_grams(activity, energy, findings)
    for row in rows(activity.tables["sites"]):
        cluster, kwh, rank = str(row.cluster), energy[str(row.site)].facility_kwh, quality.rank(str(row.quality))
        origin = "sites", str(row.site)
        sources.post(cluster, ENERGY_LINE, kwh * WH_PER_KWH, rank, origin)
        location = exact(row.location_g_per_kwh)
        if location is None:
            message = f"site {row.site} has no location-based factor"
            findings.reject("NO_FACTOR", "sites.csv", int(row.row), message, "location_g_per_kwh")
            continue
        if row.residual_g_per_kwh is None:
            message = f"site {row.site} has no residual mix: its location-based factor is used"
            findings.flag("NO_RESIDUAL_MIX", "sites.csv", int(row.row), message, "residual_g_per_kwh")
        upstream = (
            ("scope3_fera_lbm", exact(row.fera_lbm_g_per_kwh)),
            ("scope3_fera_mbm", exact(row.fera_mbm_g_per_kwh)),
        )
        grams = {LOCATION_LINE[str(row.boundary)]: kwh * location}
        grams[MARKET_LINE[str(row.boundary)]] = bought.get(str(row.site), Fraction())
        grams |= {line: kwh * g_per_kwh for line, g_per_kwh in upstream if g_per_kwh is not None}
        for line, amount_g in grams.items():
            sources.post(cluster, line, amount_g * UG_PER_G, rank, origin)


def _bought_grams(activity: Activity, energy: Mapping[str, SiteEnergy], findings: Findings) -> dict[str, Fraction]:
    """Return the market-based grams of every site: its green share, its market's instruments, the residual mix.

    A site without a base factor, or with incomplete hours, is left out: such a package is rejected.
    """
    markets = read_instruments(
        activity.tables["instruments"],
        activity.header.month,
        activity.header.options.vintage_window_months,
        findings,
    )
    by_hour = activity.header.options.matching == "hourly"
    rest = (_hourly_grams if by_hour else _monthly_grams)(activity, energy, markets, findings)
    return {
        str(row.site): energy[str(row.site)].facility_kwh * Fraction(row.green_ratio) * Fraction(row.green_g_per_kwh)
        + rest[str(row.site)]
        for row in rows(activity.tables["sites"])
        if str(row.site) in rest
    }


def _base_factor(site: Any) -> Fraction | None:  # noqa: ANN401 # a row of sites.csv
    """Return the market-based factor of what no instrument covers; the location factor stands in for it."""
    return exact(site.location_g_per_kwh if site.residual_g_per_kwh is None else site.residual_g_per_kwh)


def _monthly_grams(
    activity: Activity, energy: Mapping[str, SiteEnergy], markets: Mapping[str, list[Instrument]], findings: Findings
) -> dict[str, Fraction]:
    """Return, by site, the grams of what remains after its green share, by the totals of the month."""
    remaining: dict[str, list[Fraction]] = {}
    for row in rows(activity.tables["sites"]):
        rest_kwh = (ONE - Fraction(row.green_ratio)) * energy[str(row.site)].facility_kwh
        remaining.setdefault(str(row.market or row.cluster), []).append(rest_kwh)
    coverages = cover(remaining, markets, findings)
    grams: dict[str, Fraction] = {}
    for row in rows(activity.tables["sites"]):
        covered, base = coverages[str(row.market or row.cluster)], _base_factor(row)
        if base is not None:
            rest_kwh = (ONE - Fraction(row.green_ratio)) * energy[str(row.site)].facility_kwh
            grams[str(row.site)] = rest_kwh * (covered.g_per_remaining_kwh + (ONE - covered.share) * base)
    return grams


def _hourly_grams(
    activity: Activity, energy: Mapping[str, SiteEnergy], markets: Mapping[str, list[Instrument]], findings: Findings
) -> dict[str, Fraction]:
    """Return the same hour by hour."""
    hours = read_site_hours(activity.tables, activity.header, energy, findings)
    remaining: dict[str, list[list[Fraction]]] = {}
    for row in rows(activity.tables["sites"]):
        if str(row.site) in hours:
            share = ONE - Fraction(row.green_ratio)
            parts = [share * hour.kwh for hour in hours[str(row.site)]]
            remaining.setdefault(str(row.market or row.cluster), []).append(parts)
    generated = read_instrument_hours(activity.tables["instrument_hours"])
    coverages = cover_hours(remaining, markets, generated, findings)
    grams: dict[str, Fraction] = {}
    for row in rows(activity.tables["sites"]):
        base = _base_factor(row)
        if base is not None and str(row.site) in hours:
            share = ONE - Fraction(row.green_ratio)
            covered = coverages[str(row.market or row.cluster)]
            grams[str(row.site)] = market_grams(hours[str(row.site)], covered, share, base)
    return grams
