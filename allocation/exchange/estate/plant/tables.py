"""What every way of building a provider's plant has in common."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import numpy as np

from allocation.exchange.estate.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.exchange.estate.marginals import Product

Tables = dict[str, list[dict[str, str]]]
"""Small tables of a package: name of the file without `.csv` to rows, every row with the same columns."""

WINTER_PUE_GAIN = 0.015
YEARLY_GROWTH = 0.08
METER_NOISE = 0.01
HOURS_PER_MEAN_MONTH = 730.0

# How much IT energy a product takes beside the others. Ours: no provider publishes it.
ENERGY_WEIGHTS = {
    "compute": 34.0,
    "database": 12.0,
    "block-storage": 11.0,
    "object-storage": 11.0,
    "containers": 8.0,
    "functions": 4.0,
    "logs": 4.0,
    "delivery": 3.0,
    "document-store": 3.0,
}
OTHER_ENERGY_WEIGHT = 1.5


class Plant(Protocol):
    """A provider's clusters, sites, racks and what hangs on them, month by month."""

    preset: str
    clusters: tuple[str, ...]

    def tables(self, month: int, first_of_month: str, hours: int) -> Tables:
        """The small tables of a month, `accounts` and `usage` apart.

        Args:
            month: its index in the estate.
            first_of_month: the month as `YYYY-MM`.
            hours: its exact length.
        """
        ...  # a protocol has no body


class Meter:
    """Monthly readings of one cluster: growth, season and noise that depend on nothing but the place and the month.

    Args:
        seed: of the estate.
        provider_order: place of the provider in the organisation.
        cluster: index of the cluster.
        month: index of the month.
        hours: length of the month.
    """

    def __init__(self, seed: int, provider_order: int, cluster: int, month: int, hours: int) -> None:
        self._random = stream(seed, Purpose.PLANT, month, provider_order, cluster)
        self._month = month
        self._hours = hours

    def kwh(self, usual: float) -> Decimal:
        """Energy of the month for a usual month's."""
        growth = (1 + YEARLY_GROWTH) ** (self._month / 12)
        noise = 1 + METER_NOISE * self._random.standard_normal()
        return thousandths(usual * growth * noise * self._hours / HOURS_PER_MEAN_MONTH)

    def pue(self, usual: Decimal) -> Decimal:
        """PUE of the month: a little better in winter (the estate begins in June)."""
        warm = np.cos(2 * np.pi * self._month / 12)
        return max(Decimal("1.02"), usual + thousandths(WINTER_PUE_GAIN * warm))

    def share(self, low: float, high: float) -> Decimal:
        """A share between two bounds."""
        return thousandths(self._random.uniform(low, high))


def thousandths(value: float) -> Decimal:
    """Three decimals: packages hold decimals, floats only drew them."""
    return Decimal(f"{value:.3f}")


def energy_shares(products: Sequence[Product]) -> list[Decimal]:
    """Shares of IT energy by product; they add up to 1 exactly."""
    weights = [ENERGY_WEIGHTS.get(product.code, OTHER_ENERGY_WEIGHT) for product in products]
    shares = [Decimal(f"{weight / sum(weights):.6f}") for weight in weights]
    shares[0] += 1 - sum(shares)
    return shares


def service_rows(products: Sequence[Product], core: frozenset[str] = frozenset()) -> list[dict[str, str]]:
    """`services.csv`."""
    return [
        {
            "service": product.code,
            "name": product.name,
            "kind": "core" if product.code in core else "standard",
            "unit": product.unit,
        }
        for product in products
    ]
