"""The accounts of one provider as arrays: how much they use, where, from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allocation.exchange.estate.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from allocation.exchange.estate.marginals import Marginals
    from allocation.exchange.estate.organisation import Account

GROUPS_MAX = 12
CLUSTERS_MAX = 12
FOREVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Population:
    """Accounts of one provider, one entry each.

    Attributes:
        codes: external ids.
        weight: expected share of all rows, over clusters; adds up to 1.
        present: (account, cluster), where it has rows.
        home: the cluster in which it has a row in any case.
        group_count: resource groups that it tags rows with.
        growth: change of its quantities per month, natural logarithm.
        opened: first month index with usage.
        closed: first month index without, `FOREVER` if it never closes.
    """

    codes: tuple[str, ...]
    weight: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]
    home: npt.NDArray[np.int32]
    group_count: npt.NDArray[np.int32]
    growth: npt.NDArray[np.float64]
    opened: npt.NDArray[np.int32]
    closed: npt.NDArray[np.int32]

    @property
    def cluster_weights(self) -> npt.NDArray[np.float64]:
        """(account, cluster): expected share of all rows; an account's rows spread evenly over its clusters."""
        each = self.weight / self.present.sum(axis=1)
        shares: npt.NDArray[np.float64] = self.present * each[:, np.newaxis]
        return shares


def populate(  # noqa: PLR0913 what a population is
    *,
    seed: int,
    provider_order: int,
    accounts: Sequence[Account],
    enterprise_weights: npt.NDArray[np.float64],
    cluster_count: int,
    marginals: Marginals,
) -> Population:
    """Draw how accounts use a provider.

    Args:
        seed: of the estate.
        provider_order: place of the provider in the organisation.
        accounts: all accounts of the provider; those of one enterprise are ranked in this order.
        enterprise_weights: by enterprise number, any scale.
        cluster_count: clusters of the provider, the most popular first.
        marginals: the fitted distributions.
    """
    random = stream(seed, Purpose.ACCOUNTS, provider_order)
    count = len(accounts)
    popularity = marginals.cluster_weights(cluster_count)
    home = random.choice(cluster_count, size=count, p=popularity).astype(np.int32)
    present = np.zeros((count, cluster_count), dtype=bool)
    present[np.arange(count), home] = True
    more = np.minimum(random.poisson(marginals.regions_per_account - 1, count), CLUSTERS_MAX - 1)
    for step in range(int(more.max(initial=0))):
        drawn = random.choice(cluster_count, size=count, p=popularity)
        chosen = more > step
        present[np.flatnonzero(chosen), drawn[chosen]] = True
    return Population(
        codes=tuple(account.external_id for account in accounts),
        weight=_weights(accounts, enterprise_weights, marginals),
        present=present,
        home=home,
        group_count=np.clip(random.poisson(marginals.groups_per_account, count), 1, GROUPS_MAX).astype(np.int32),
        growth=random.normal(0.006, 0.02, count),
        opened=np.array([account.opened for account in accounts], dtype=np.int32),
        closed=np.array(
            [FOREVER if account.closed is None else account.closed for account in accounts], dtype=np.int32
        ),
    )


def _weights(
    accounts: Sequence[Account], enterprise_weights: npt.NDArray[np.float64], marginals: Marginals
) -> npt.NDArray[np.float64]:
    """Lognormal share of the enterprise, times Zipf-Mandelbrot share of the rank within it."""
    enterprise = np.array([account.enterprise for account in accounts], dtype=np.int64)
    weight = np.zeros(len(accounts))
    order = np.argsort(enterprise, kind="stable")
    starts = np.flatnonzero(np.diff(enterprise[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(accounts)], strict=True):
        members = order[start:stop]
        weight[members] = enterprise_weights[enterprise[members[0]]] * marginals.rank_weights(len(members))
    shares: npt.NDArray[np.float64] = weight / weight.sum()
    return shares
