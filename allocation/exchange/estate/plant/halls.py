"""Plant in the style `ibm`: data centres grouped in regions, host pools, dedicated machines, zero-emission sites."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from allocation.exchange.estate.plant.tables import Meter, Tables, energy_shares, service_rows
from allocation.exchange.estate.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.exchange.estate.marginals import Product
    from allocation.exchange.estate.places import Places, Region
    from allocation.exchange.estate.population import Population

CORE = frozenset({"monitoring", "management", "logs"})
NETWORK_SHARE = Decimal("0.05")
# Power that is metered for a region only, where it has several data centres.
REGIONAL_SHARE = Decimal("0.03")
MACHINES_PER_ACCOUNT = 0.05
MACHINES_ENERGY_SHARE_MAX = Decimal("0.10")


@dataclass(frozen=True, slots=True)
class Hall:
    """A data centre with one site."""

    code: str
    region: Region
    it_kwh: float
    zero_emission: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """A dedicated machine of one account, in every month in which the account is open."""

    code: str
    hall: int
    account: int
    power_w: int


class HallPlant:
    """Data centres with one host pool per product, a network rack, and dedicated ("classic") machines."""

    preset = "ibm"

    def __init__(  # noqa: PLR0913 what a plant is made of
        self,
        *,
        seed: int,
        provider_order: int,
        halls: Sequence[Hall],
        products: Sequence[Product],
        places: Places,
        population: Population,
    ) -> None:
        self.clusters = tuple(hall.code for hall in halls)
        self._place = (seed, provider_order)
        self._halls = tuple(halls)
        self._products = tuple(products)
        self._places = places
        self._population = population
        self._machines = self._draw_machines()

    def tables(self, month: int, first_of_month: str, hours: int) -> Tables:
        """The small tables of a month, `accounts` and `usage` apart."""
        tables: Tables = {
            "clusters": [
                {
                    "cluster": hall.code,
                    "name": f"{hall.region.place}, {hall.code}",
                    "kind": "data_center",
                    "region": hall.region.code,
                    "country": hall.region.country,
                }
                for hall in self._halls
            ],
            "services": service_rows(self._products, CORE),
            **{name: [] for name in ("sites", "racks", "machines")},
        }
        regional: dict[str, Decimal] = {}
        for order, hall in enumerate(self._halls):
            meter = Meter(*self._place, order, month, hours)
            it_kwh = meter.kwh(hall.it_kwh)
            tables["sites"].append(self._site(hall, it_kwh, meter, int(first_of_month[:4])))
            machines_kwh = self._add_machines(tables, order, month, hours)
            shared = it_kwh * REGIONAL_SHARE if self._has_sisters(hall) else Decimal(0)
            regional[hall.region.code] = regional.get(hall.region.code, Decimal(0)) + shared
            self._add_pools(tables, hall, it_kwh - machines_kwh - shared)
        tables["racks"].extend(
            _rack(f"{region}/network", region, "network", kwh, quality="extrapolated")
            for region, kwh in regional.items()
            if kwh
        )
        return tables

    def _has_sisters(self, hall: Hall) -> bool:
        return sum(other.region == hall.region for other in self._halls) > 1

    def _site(self, hall: Hall, it_kwh: Decimal, meter: Meter, year: int) -> dict[str, str]:
        return {
            "site": f"{hall.code}-site",
            "cluster": hall.code,
            "boundary": "scope2",
            "it_kwh": str(it_kwh),
            "pue": str(meter.pue(self._places.pue["ccf_azure"])),
            "location_g_per_kwh": str(self._places.factor(hall.region, year).g_per_kwh),
            "green_ratio": "1" if hall.zero_emission else "0",
            "quality": "metered",
        }

    def _add_pools(self, tables: Tables, hall: Hall, it_kwh: Decimal) -> None:
        network_kwh = it_kwh * NETWORK_SHARE
        tables["racks"].append(_rack(f"{hall.code}/network", hall.code, "network", network_kwh))
        tables["racks"].extend(
            _rack(
                f"{hall.code}/{product.code}",
                hall.code,
                "service",
                (it_kwh - network_kwh) * share,
                service=product.code,
            )
            for product, share in zip(self._products, energy_shares(self._products), strict=True)
        )

    def _draw_machines(self) -> list[Machine]:
        """Machines in the accounts' home halls, few enough that the pools keep most of the energy."""
        random = stream(self._place[0], Purpose.PLANT, 0, self._place[1], 1 << 32)
        population, server = self._population, self._places.server
        owners = np.flatnonzero(random.random(len(population.codes)) < MACHINES_PER_ACCOUNT)
        powers = random.integers(int(server.idle_w), int(server.max_w), len(owners))
        room_w = [hall.it_kwh * float(MACHINES_ENERGY_SHARE_MAX) * 1000 / 730 for hall in self._halls]
        machines: list[Machine] = []
        for account, power in zip(owners, powers, strict=True):
            hall = int(population.home[account])
            if power <= room_w[hall]:
                room_w[hall] -= power
                code = f"{self._halls[hall].code}-m{len(machines) + 1:05}"
                machines.append(Machine(code, hall, int(account), int(power)))
        return machines

    def _add_machines(self, tables: Tables, hall: int, month: int, hours: int) -> Decimal:
        """Add a hall's machines; returns their kWh."""
        population, total_kwh = self._population, Decimal(0)
        for machine in self._machines:
            if (
                machine.hall == hall
                and population.opened[machine.account] <= month < population.closed[machine.account]
            ):
                total_kwh += Decimal(machine.power_w) * hours / 1000
                tables["machines"].append(
                    {
                        "machine": machine.code,
                        "cluster": self._halls[hall].code,
                        "service": self._products[0].code,
                        "account": population.codes[machine.account],
                        "avg_power_w": str(machine.power_w),
                        "hours": str(hours),
                    }
                )
        return total_kwh


def _rack(  # noqa: PLR0913 the columns of racks.csv
    rack: str, cluster: str, role: str, kwh: Decimal, *, service: str = "", quality: str = "metered"
) -> dict[str, str]:
    return {
        "rack": rack,
        "cluster": cluster,
        "role": role,
        "service": service,
        "it_kwh": f"{kwh:.3f}",
        "quality": quality,
    }
