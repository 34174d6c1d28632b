"""Plant in the style `aws-v2`: regions with several sites, mixed racks, embodied carbon, instruments, dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.exchange.estate.plant.tables import (
    HOURS_PER_MEAN_MONTH,
    Meter,
    Tables,
    energy_shares,
    service_rows,
    thousandths,
)
from allocation.exchange.estate.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.exchange.estate.marginals import Product
    from allocation.exchange.estate.places import Places, Region

RESOURCES: Final = (("cpu", "0.5"), ("memory", "0.3"), ("disk", "0.2"))
PRODUCTS_PER_RACK = 4
RACK_KWH_USUAL = 9000.0
RACKS_MAX = 200
NETWORK_SHARE = Decimal("0.06")
CERTIFIED_SHARE = Decimal("0.30")
BUILDING_KG_PER_KW = Decimal(700)
BUILDING_LIFE_MONTHS = 600
EXPANSION_KG_PER_MONTH = "2500"
# Who is built on whom: (provider, consumer, part of what the provider's customers use). Logs and monitoring use each
# other, so there is a cycle.
DEPENDENCIES: Final = (
    ("compute", "containers", 0.20),
    ("compute", "database", 0.15),
    ("compute", "functions", 0.10),
    ("block-storage", "database", 0.25),
    ("block-storage", "compute", 0.10),
    ("object-storage", "logs", 0.15),
    ("logs", "monitoring", 0.10),
    ("monitoring", "logs", 0.05),
    ("monitoring", "compute", 0.10),
)


@dataclass(frozen=True, slots=True)
class Area:
    """A region that is one cluster of several sites."""

    region: Region
    it_kwh: float
    site_count: int = 2


class AreaPlant:
    """Regions whose racks each serve a few products by processor, memory and disk.

    Args:
        expected_units: (cluster code, product code) to about how many units customers use in a month; what services
            use of each other is a part of that.
    """

    preset = "aws-v2"

    def __init__(  # noqa: PLR0913 what a plant is made of
        self,
        *,
        seed: int,
        provider_order: int,
        areas: Sequence[Area],
        products: Sequence[Product],
        places: Places,
        expected_units: dict[tuple[str, str], float],
    ) -> None:
        self.clusters = tuple(area.region.code for area in areas)
        self._place = (seed, provider_order)
        self._areas = tuple(areas)
        self._products = tuple(products)
        self._places = places
        self._expected_units = expected_units

    def tables(self, month: int, first_of_month: str, hours: int) -> Tables:
        """The small tables of a month, `accounts` and `usage` apart."""
        names = (
            *("clusters", "sites", "instruments", "direct_gases", "assets", "racks", "rack_resources", "rack_use"),
            "service_use",
        )
        tables: Tables = {
            "services": service_rows(self._products),
            "gwp": [{"gwp_set": key, "gas": gas, "gwp": str(gwp)} for key, gas, gwp in self._places.gwp],
            "shared_pools": [
                {"pool": "expansion", "cluster": "", "line": "scope3_embodied", "kg_co2e": EXPANSION_KG_PER_MONTH}
            ],
            **{name: [] for name in names},
        }
        for order, area in enumerate(self._areas):
            meter = Meter(*self._place, order, month, hours)
            self._add_area(tables, area, meter, first_of_month)
            self._add_racks(tables, order, area, meter)
            self._add_dependencies(tables, area, meter)
        return tables

    def _add_area(self, tables: Tables, area: Area, meter: Meter, month: str) -> None:
        region = area.region
        tables["clusters"].append(
            {
                "cluster": region.code,
                "name": region.place,
                "kind": "region",
                "region": region.code,
                "country": region.country,
            }
        )
        factor = self._places.factor(region, int(month[:4])).g_per_kwh
        total_kwh = Decimal(0)
        for number in range(1, area.site_count + 1):
            it_kwh = meter.kwh(area.it_kwh / area.site_count)
            pue = meter.pue(self._places.pue["ccf_aws"])
            total_kwh += it_kwh * pue
            site = f"{region.code}-s{number}"
            tables["sites"].append(
                {
                    "site": site,
                    "cluster": region.code,
                    "boundary": "scope2",
                    "it_kwh": str(it_kwh),
                    "pue": str(pue),
                    "location_g_per_kwh": str(factor),
                    "quality": "metered",
                }
            )
            tables["direct_gases"].append(
                {"site": site, "source": "fuel", "gas": "CO2", "mass_kg": str(meter.share(40, 400))}
            )
            power_kw = Decimal(area.it_kwh) / area.site_count / Decimal(HOURS_PER_MEAN_MONTH)
            tables["assets"].append(
                _asset(
                    f"{site}/building",
                    "site",
                    site,
                    embodied_kg=power_kw * BUILDING_KG_PER_KW,
                    life_months=BUILDING_LIFE_MONTHS,
                    in_service="2018-01",
                )
            )
        tables["instruments"].append(
            {
                "instrument": f"{region.code}-certificates",
                "market": region.code,
                "type": "EAC",
                "kwh": f"{total_kwh * CERTIFIED_SHARE:.0f}",
                "g_per_kwh": "0",
                "vintage": month,
                "retired": "true",
            }
        )

    def _add_racks(self, tables: Tables, order: int, area: Area, meter: Meter) -> None:
        """Racks of a fixed make-up (drawn once), with this month's energy and use."""
        fixed = stream(self._place[0], Purpose.PLANT, 0, self._place[1], 1 << 32 | order)
        region = area.region.code
        count = int(np.clip(area.it_kwh / RACK_KWH_USUAL, area.site_count, RACKS_MAX))
        by_energy = np.array([float(share) for share in energy_shares(self._products)])
        site_kwh = {row["site"]: Decimal(row["it_kwh"]) for row in tables["sites"] if row["cluster"] == region}
        sites = sorted(site_kwh)
        racks_of_site = {site: range(place, count, len(sites)) for place, site in enumerate(sites)}
        for site in sites:
            network_kwh = site_kwh[site] * NETWORK_SHARE
            tables["racks"].append(_rack(f"{site}/network", region, site, "network", network_kwh))
            each_kwh = (site_kwh[site] - network_kwh) / len(racks_of_site[site])
            for number in racks_of_site[site]:
                rack = f"{site}/r{number:03}"
                tables["racks"].append(_rack(rack, region, site, "service", each_kwh))
                self._add_hardware(tables, rack, number)
                # The first racks see to it that every product has a place in the region.
                first = np.arange(number * PRODUCTS_PER_RACK, (number + 1) * PRODUCTS_PER_RACK)
                drawn = fixed.choice(len(by_energy), PRODUCTS_PER_RACK, replace=False, p=by_energy)
                chosen = first if first[-1] < len(by_energy) else drawn
                self._add_use(tables, rack, [self._products[int(index)] for index in chosen], meter)

    def _add_hardware(self, tables: Tables, rack: str, number: int) -> None:
        server = self._places.server
        servers = max(1, round(RACK_KWH_USUAL * 1000 / HOURS_PER_MEAN_MONTH / float(server.max_w + server.idle_w) * 2))
        bought = f"{2023 + number % 3}-{number % 12 + 1:02}"
        tables["assets"].append(
            _asset(
                f"{rack}/servers",
                "rack",
                rack,
                embodied_kg=servers * server.embodied_kg,
                life_months=server.life_months,
                in_service=bought,
            )
        )

    @staticmethod
    def _add_use(tables: Tables, rack: str, products: list[Product], meter: Meter) -> None:
        for resource, weight in RESOURCES:
            place = {"rack": rack, "resource": resource}
            tables["rack_resources"].append({**place, "weight": weight, "capacity": "1000"})
            tables["rack_use"].extend(
                {**place, "service": product.code, "used": f"{meter.share(0.05, 0.22) * 1000}"} for product in products
            )

    def _add_dependencies(self, tables: Tables, area: Area, meter: Meter) -> None:
        sold = {product.code for product in self._products}
        for provider, consumer, part in DEPENDENCIES:
            units = self._expected_units.get((area.region.code, provider), 0.0)
            if {provider, consumer} <= sold and units > 0:
                quantity = thousandths(units * part * float(meter.share(0.9, 1.1)))
                tables["service_use"].append(
                    {
                        "cluster": area.region.code,
                        "service": provider,
                        "consumer": consumer,
                        "quantity": str(quantity),
                    }
                )


def _rack(rack: str, cluster: str, site: str, role: str, kwh: Decimal) -> dict[str, str]:
    return {
        "rack": rack,
        "cluster": cluster,
        "site": site,
        "role": role,
        "it_kwh": f"{kwh:.3f}",
        "quality": "metered",
    }


def _asset(  # noqa: PLR0913 the columns of assets.csv
    asset: str, owner_kind: str, owner: str, *, embodied_kg: Decimal, life_months: int, in_service: str
) -> dict[str, str]:
    return {
        "asset": asset,
        "owner_kind": owner_kind,
        "owner": owner,
        "category": "building" if owner_kind == "site" else "it_hardware",
        "embodied_kg": f"{embodied_kg:.6f}",
        "life_months": str(life_months),
        "in_service": in_service,
    }
