"""What a generated package must come to, worked out from what was drawn and by other code than the engine's.

`expected_sources.csv` holds source totals of lines that need no cascade and no splitting; `expected_usage.csv` the
rows and summed quantities by cluster and product. Loading ignores both.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from allocation.exchange.estate.plant.tables import Tables
    from allocation.exchange.estate.usage import Rows

UG_PER_G = 10**6
UG_PER_KG = 10**9


def source_totals_ug(tables: Tables) -> dict[tuple[str, str], int]:
    """Micrograms by (cluster, line), for location-based electricity and direct emissions.

    Args:
        tables: the small tables of a package whose sites give `facility_kwh`, or `it_kwh` and `pue`.
    """
    exact: dict[tuple[str, str], Fraction] = {}
    leased: dict[str, bool] = {}
    cluster_of: dict[str, str] = {}
    for site in tables["sites"]:
        leased[site["site"]] = site["boundary"] == "scope3_leased"
        cluster_of[site["site"]] = site["cluster"]
        facility = site.get("facility_kwh") or str(Decimal(site["it_kwh"]) * Decimal(site["pue"]))
        grams = Fraction(facility) * Fraction(site["location_g_per_kwh"])
        line = "scope3_leased_lbm" if leased[site["site"]] else "scope2_lbm"
        _add(exact, (site["cluster"], line), grams * UG_PER_G)
    gwp = {(row["gwp_set"], row["gas"]): Fraction(row["gwp"]) for row in tables.get("gwp", [])}
    for gas in tables.get("direct_gases", []):
        line = "scope3_other" if leased[gas["site"]] else "scope1"
        kg_co2e = Fraction(gas["mass_kg"]) * gwp["AR6", gas["gas"]]
        _add(exact, (cluster_of[gas["site"]], line), kg_co2e * UG_PER_KG)
    return {pair: round(amount) for pair, amount in sorted(exact.items())}  # a Fraction rounds half to even


def _add(sums: dict[tuple[str, str], Fraction], pair: tuple[str, str], amount: Fraction) -> None:
    sums[pair] = sums.get(pair, Fraction(0)) + amount


class UsageTruth:
    """Rows and exact sums by (cluster, product), collected while rows are written."""

    def __init__(self, product_count: int) -> None:
        self._count = product_count
        self.rows: dict[int, list[int]] = {}
        self.micro: dict[int, list[int]] = {}

    def add(self, cluster: int, rows: Rows) -> None:
        """Count a chunk of a cluster."""
        counts = self.rows.setdefault(cluster, [0] * self._count)
        sums = self.micro.setdefault(cluster, [0] * self._count)
        for product, count in enumerate(np.bincount(rows.product, minlength=self._count)):
            counts[product] += int(count)
        # Two halves whose sums over a chunk stay below 2**53, where doubles are whole numbers.
        high, low = np.divmod(rows.quantity_micro, 1 << 30)
        highs = np.bincount(rows.product, weights=high, minlength=self._count)
        lows = np.bincount(rows.product, weights=low, minlength=self._count)
        for product in range(self._count):
            sums[product] += (int(highs[product]) << 30) + int(lows[product])
