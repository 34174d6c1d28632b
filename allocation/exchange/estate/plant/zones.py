"""Plant in the style `alibaba`: availability zones with one site each, one pool per product, some sites leased."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from allocation.exchange.estate.plant.tables import (
    HOURS_PER_MEAN_MONTH,
    Meter,
    Tables,
    energy_shares,
    service_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.exchange.estate.marginals import Product
    from allocation.exchange.estate.places import Places, Region

SHARED_SHARE = Decimal("0.07")
# The pool of this product has no meter of its own: its energy is estimated from a hardware profile.
PROFILED = "delivery"
PROFILE_UTILISATION = Decimal("0.35")
REFRIGERANT_KG_PER_GWH = Decimal("0.9")
DIESEL_CO2_KG_PER_GWH = Decimal(260)


@dataclass(frozen=True, slots=True)
class Zone:
    """An availability zone and its only site."""

    code: str
    region: Region
    it_kwh: float
    leased: bool = False
    green_ratio: Decimal = Decimal(0)


class ZonePlant:
    """Zones, each with a pool per product and a management rack for what all products share."""

    preset = "alibaba"

    def __init__(
        self, *, seed: int, provider_order: int, zones: Sequence[Zone], products: Sequence[Product], places: Places
    ) -> None:
        self.clusters = tuple(zone.code for zone in zones)
        self._place = (seed, provider_order)
        self._zones = tuple(zones)
        self._products = tuple(products)
        self._places = places

    def tables(self, month: int, first_of_month: str, hours: int) -> Tables:
        """The small tables of a month, `accounts` and `usage` apart."""
        tables: Tables = {
            "clusters": [self._cluster(zone) for zone in self._zones],
            "services": service_rows(self._products),
            "gwp": [{"gwp_set": key, "gas": gas, "gwp": str(gwp)} for key, gas, gwp in self._places.gwp],
            **{name: [] for name in ("sites", "direct_gases", "assets", "racks", "rack_resources", "rack_use")},
        }
        for order, zone in enumerate(self._zones):
            meter = Meter(*self._place, order, month, hours)
            self._add_zone(tables, zone, meter, int(first_of_month[:4]), hours)
        return tables

    def _cluster(self, zone: Zone) -> dict[str, str]:
        return {
            "cluster": zone.code,
            "name": f"{zone.region.place}, {zone.code}",
            "kind": "availability_zone",
            "region": zone.region.code,
            "country": zone.region.country,
        }

    def _add_zone(self, tables: Tables, zone: Zone, meter: Meter, year: int, hours: int) -> None:
        site, it_kwh = f"{zone.code}-dc", meter.kwh(zone.it_kwh)
        pue = meter.pue(self._places.pue["ccf_azure" if zone.leased else "ccf_aws"])
        facility_kwh = it_kwh * pue
        tables["sites"].append(
            {
                "site": site,
                "cluster": zone.code,
                "boundary": "scope3_leased" if zone.leased else "scope2",
                "facility_kwh": f"{facility_kwh:.3f}",
                "it_kwh": str(it_kwh),
                "pue": str(pue),
                "location_g_per_kwh": str(self._places.factor(zone.region, year).g_per_kwh),
                "green_ratio": str(zone.green_ratio),
                "quality": "invoice" if zone.leased else "metered",
            }
        )
        for source, gas, kg_per_gwh in (
            ("fuel", "CO2", DIESEL_CO2_KG_PER_GWH),
            ("refrigerant", "HFC-134a", REFRIGERANT_KG_PER_GWH),
        ):
            mass_kg = facility_kwh / 10**6 * kg_per_gwh * meter.share(0.5, 1.5)
            tables["direct_gases"].append({"site": site, "source": source, "gas": gas, "mass_kg": f"{mass_kg:.6f}"})
        self._add_racks(tables, zone, it_kwh, meter, hours)

    def _add_racks(self, tables: Tables, zone: Zone, it_kwh: Decimal, meter: Meter, hours: int) -> None:
        shared_kwh = (it_kwh * SHARED_SHARE).quantize(Decimal("0.001"))
        tables["racks"].append(_rack(f"{zone.code}/shared", zone.code, "management", it_kwh=str(shared_kwh)))
        for product, share in zip(self._products, energy_shares(self._products), strict=True):
            rack = f"{zone.code}/{product.code}"
            kwh = ((it_kwh - shared_kwh) * share).quantize(Decimal("0.001"))
            tables["racks"].append(self._pool(rack, zone.code, product, kwh, hours))
            self._add_asset(tables, rack, zone, share)
            # The capacity stands for what could be sold; how much was is the utilisation.
            capacity = Decimal(1000)
            resource = {"rack": rack, "resource": product.unit}
            tables["rack_resources"].append({**resource, "weight": "1", "capacity": str(capacity)})
            sold = capacity * meter.share(0.55, 0.9)
            tables["rack_use"].append({**resource, "service": product.code, "used": str(sold)})

    def _pool(self, rack: str, cluster: str, product: Product, kwh: Decimal, hours: int) -> dict[str, str]:
        if product.code != PROFILED:
            return _rack(rack, cluster, "service", it_kwh=str(kwh))
        server = self._places.server
        mean_w = server.idle_w + PROFILE_UTILISATION * (server.max_w - server.idle_w)
        return _rack(
            rack,
            cluster,
            "service",
            servers=str(max(1, round(kwh * 1000 / hours / mean_w))),
            idle_w=str(server.idle_w),
            max_w=str(server.max_w),
            utilisation=str(PROFILE_UTILISATION),
            quality="estimated_profile",
        )

    def _add_asset(self, tables: Tables, rack: str, zone: Zone, share: Decimal) -> None:
        """The servers of a pool, bought two years before the first month of the demo: in life for all of it."""
        server = self._places.server
        watts = Decimal(zone.it_kwh) * share * 1000 / Decimal(HOURS_PER_MEAN_MONTH)
        mean_w = server.idle_w + PROFILE_UTILISATION * (server.max_w - server.idle_w)
        tables["assets"].append(
            {
                "asset": f"{rack}/servers",
                "owner_kind": "rack",
                "owner": rack,
                "category": "it_hardware",
                "embodied_kg": f"{max(1, round(watts / mean_w)) * server.embodied_kg}",
                "life_months": str(server.life_months),
                "in_service": "2023-09",
            }
        )


def _rack(rack: str, cluster: str, role: str, **values: str) -> dict[str, str]:
    empty = dict.fromkeys(("it_kwh", "servers", "idle_w", "max_w", "utilisation"), "")
    return {"rack": rack, "cluster": cluster, "role": role, **empty, "quality": "metered", **values}
