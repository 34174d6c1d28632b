"""Usage rows, drawn chunk by chunk; any chunk of any month can be drawn alone and gives the same rows.

A row (account, product, resource group, base quantity) belongs to its chunk and stays from month to month; a month adds
season, the account's growth and a little noise. Rows of accounts that are not open in a month are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from allocation.exchange.estate.enterprises import split_whole
from allocation.exchange.estate.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from allocation.exchange.estate.marginals import Marginals, Product
    from allocation.exchange.estate.population import Population

CHUNK_ROWS: Final = 1 << 17
DECIMALS: Final = 6
MICRO: Final = 10**DECIMALS
# A bill's row is one hour of one resource; a package's row is a month of an account's resources.
QUANTITY_SCALE: Final = 720.0 * 1000
QUANTITY_MICRO_MAX: Final = 10**17
MONTHLY_NOISE: Final = 0.05
SEASON: Final = 0.06
GROUP_NAMES: Final = (
    "",  # untagged: the package's `default`
    *("production", "staging", "development", "data-platform", "web", "batch", "analytics", "backup"),
    *("identity", "payments", "experiments"),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one chunk and month, integer-coded. `quantity_micro` is the quantity in 10**-6 of the product's unit."""

    account: npt.NDArray[np.int32]
    product: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    quantity_micro: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Base:
    """What a chunk has in every month."""

    account: npt.NDArray[np.int32]
    product: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    quantity: npt.NDArray[np.float64]


class Demand:
    """Draws the usage of one provider.

    Args:
        seed: of the estate.
        provider_order: place of the provider in the organisation.
        clusters: codes, in the order of the population's columns.
        population: the accounts.
        products: what is sold.
        marginals: the fitted distributions.
        row_count: rows a month while all accounts are open; exactly that many then.
        spread: factor on the standard deviation of the logarithms of quantities; 1 is as fitted.
    """

    def __init__(  # noqa: PLR0913 what usage depends on
        self,
        *,
        seed: int,
        provider_order: int,
        clusters: Sequence[str],
        population: Population,
        products: Sequence[Product],
        marginals: Marginals,
        row_count: int,
        spread: float = 1.0,
    ) -> None:
        self.clusters = tuple(clusters)
        self.products = tuple(products)
        self.population = population
        self._seed = seed
        self._order = provider_order
        self._marginals = marginals
        self._spread = spread
        weights = population.cluster_weights
        self.row_counts = split_whole(row_count, weights.sum(axis=0))
        self._members = [np.flatnonzero(weights[:, cluster]) for cluster in range(len(self.clusters))]
        self._shares = [
            weights[members, cluster] / weights[members, cluster].sum() for cluster, members in enumerate(self._members)
        ]
        self._homes = [np.flatnonzero(population.home == cluster) for cluster in range(len(self.clusters))]
        rows = np.array([product.rows for product in products], dtype=np.float64)
        self._product_bounds = np.cumsum(rows / rows.sum())[:-1]
        self._codes = pa.array(population.codes)
        self._product_codes = pa.array([product.code for product in products])
        self._group_names = pa.array(GROUP_NAMES)

    def chunks(self, cluster: int) -> range:
        """Numbers of the chunks of a cluster."""
        return range(-(-int(self.row_counts[cluster]) // CHUNK_ROWS))

    def rows(self, cluster: int, chunk: int, month: int) -> Rows:
        """Draw one chunk of one month.

        Args:
            cluster: its index.
            chunk: one of `chunks(cluster)`.
            month: index of the month.
        """
        base = self._base(cluster, chunk)
        random = stream(self._seed, Purpose.MONTHLY_NOISE, month, self._order << 32 | cluster, chunk)
        count = len(base.account)
        population = self.population
        trend = np.exp(population.growth * month)[base.account]
        noise = np.exp(MONTHLY_NOISE * random.standard_normal(count))
        season = 1 + SEASON * np.cos(2 * np.pi * month / 12)
        quantity = np.minimum(base.quantity * trend * noise * season * QUANTITY_SCALE * MICRO, QUANTITY_MICRO_MAX)
        sign = np.where(random.random(count) < self._marginals.credit_share, -1, 1)
        is_open = (population.opened <= month) & (month < population.closed)
        kept = is_open[base.account]
        micro = np.rint(quantity).astype(np.int64) * sign
        return Rows(base.account[kept], base.product[kept], base.group[kept], micro[kept])

    def table(self, cluster: int, rows: Rows) -> pa.Table:
        """The rows as columns of `usage.csv`."""
        count = len(rows.account)
        words = np.empty((count, 2), dtype=np.int64)  # decimal128, little-endian: low word, sign
        words[:, 0] = rows.quantity_micro
        words[:, 1] = rows.quantity_micro >> 63
        quantity = pa.Array.from_buffers(pa.decimal128(24, DECIMALS), count, [None, pa.py_buffer(words)])
        return pa.table(
            {
                "cluster": pa.repeat(self.clusters[cluster], count),
                "service": self._product_codes.take(pa.array(rows.product)),
                "account": self._codes.take(pa.array(rows.account)),
                "resource_group": self._group_names.take(pa.array(rows.group)),
                "quantity": quantity,
            }
        )

    def _base(self, cluster: int, chunk: int) -> Base:
        random = stream(self._seed, Purpose.USAGE, 0, self._order << 32 | cluster, chunk)
        begin = chunk * CHUNK_ROWS
        count = min(CHUNK_ROWS, int(self.row_counts[cluster]) - begin)
        # The first rows of a cluster see to it that every account has a row in its home cluster.
        certain = self._homes[cluster][begin : begin + count]
        others = random.multinomial(count - len(certain), self._shares[cluster])
        account = np.concatenate([certain, np.repeat(self._members[cluster], others)]).astype(np.int32)
        product = np.searchsorted(self._product_bounds, random.random(count), side="right").astype(np.int32)
        tagged = random.random(count) < self._marginals.tagged_share
        group = (random.random(count) * self.population.group_count[account]).astype(np.int32)
        group = np.where(tagged, np.minimum(group + 1, len(GROUP_NAMES) - 1), 0).astype(np.int32)
        return Base(account, product, group, self._quantities(random, product))

    def _quantities(self, random: np.random.Generator, product: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Base quantities by the unit of each row's product."""
        quantity = np.empty(len(product))
        units = sorted({product.unit for product in self.products})
        unit_of_product = np.array([units.index(each.unit) for each in self.products])
        unit_of_row = unit_of_product[product]
        for number, unit in enumerate(units):
            where = np.flatnonzero(unit_of_row == number)
            quantity[where] = self._marginals.quantities[unit].draw(random, len(where), self._spread)
        return quantity
