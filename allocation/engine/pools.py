"""Spreading over clusters what belongs to none or to many (section 3, shared_pools.csv; section 2, `pool_driver`)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from allocation.engine import quality
from allocation.engine.rows import rows
from allocation.engine.units import ONE, UG_PER_KG, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from allocation.engine.energy import SiteEnergy
    from allocation.engine.findings import Findings
    from allocation.engine.frames import Activity
    from allocation.engine.places import Places
    from allocation.engine.sources import Sources


def drivers(pool_driver: str, places: Places, energy: Iterable[SiteEnergy]) -> dict[str, Fraction]:
    """Return the driver of every active cluster: IT kWh, facility kWh or 1."""
    if pool_driver == "equal":
        return dict.fromkeys(places.active, ONE)
    driver = dict.fromkeys(places.active, ZERO)
    for site in energy:
        driver[site.cluster] += site.it_kwh if pool_driver == "it_kwh" else site.facility_kwh
    return driver


def spread(places: Places, driver: Mapping[str, Fraction], code: str | None) -> dict[str, Fraction] | None:
    """Return the shares of the active clusters that `code` stands for, which add up to 1.

    `None` if there is no active cluster or the drivers add up to 0.
    """
    clusters = places.active_named_by(code)
    total = sum((driver[cluster] for cluster in clusters), ZERO)
    return {cluster: driver[cluster] / total for cluster in clusters} if total else None


def reject_pool(file: str, row: int, code: str | None, findings: Findings) -> None:
    """Report NO_POOL_DRIVER."""
    message = f"{code or 'the provider'} has no active cluster, or the drivers of its clusters add up to 0"
    findings.reject("NO_POOL_DRIVER", file, row, message)


def post_pools(
    activity: Activity, places: Places, driver: Mapping[str, Fraction], sources: Sources, findings: Findings
) -> None:
    """Post every shared pool to its clusters. Reports NO_POOL_DRIVER and MIXED_GWP."""
    gwp_set = activity.header.gwp_set
    for row in rows(activity.tables["shared_pools"]):
        if row.gwp_set is not None and row.gwp_set != gwp_set:
            message = f"pool {row.pool} is by the GWP set {row.gwp_set} in a package that uses {gwp_set}"
            findings.reject("MIXED_GWP", "shared_pools.csv", int(row.row), message, "gwp_set")
        shares = spread(places, driver, row.cluster)
        if shares is None:
            reject_pool("shared_pools.csv", int(row.row), row.cluster, findings)
            continue
        for cluster, share in shares.items():
            amount_ug = Fraction(row.kg_co2e) * UG_PER_KG * share
            origin = "shared_pools", str(row.pool)
            sources.post(cluster, str(row.line), amount_ug, quality.rank(str(row.quality)), origin)
