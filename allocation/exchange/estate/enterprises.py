"""Draws enterprises, their directories, group trees and accounts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from allocation.exchange.estate.months import month_after
from allocation.exchange.estate.organisation import Account, Directory, Enterprise, Group, Organisation, Stay
from allocation.exchange.estate.streams import Purpose, stream

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy.typing as npt

    from allocation.exchange.estate.marginals import Marginals
    from allocation.exchange.estate.organisation import Provider

ACCOUNTS_PER_GROUP = 50
DEPTH_MAX = 5
# Shares of accounts whose history is not a straight line. Ours: nobody publishes them.
FATES = ("standalone", "internal", "ungrouped", "closed", "moved", "returned")
FATE_SHARES = (0.005, 0.01, 0.04, 0.005, 0.02, 0.005)
OPENED_LATE_SHARE = 0.03


def split_whole(total: int, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Split a whole number by weights (largest remainders), each part as near as can be."""
    exact = total * weights / weights.sum()
    parts: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - parts), kind="stable")
    parts[order[: total - int(parts.sum())]] += 1
    return parts


def enterprise_weights(seed: int, count: int, marginals: Marginals) -> npt.NDArray[np.float64]:
    """Lognormal shares of the enterprises; they add up to 1."""
    drawn = np.exp(marginals.enterprise_sigma * stream(seed, Purpose.ENTERPRISES).standard_normal(count))
    shares: npt.NDArray[np.float64] = drawn / drawn.sum()
    return shares


def draw_organisation(  # noqa: PLR0913 what an estate is
    *,
    seed: int,
    providers: Sequence[Provider],
    account_count: int,
    enterprise_count: int,
    first_month: dt.date,
    month_count: int,
    marginals: Marginals,
) -> Organisation:
    """Draw an organisation.

    Every enterprise has one directory at each provider at which it gets accounts; accounts are divided equally among
    providers and by lognormal weights among enterprises.

    Args:
        seed: of the estate.
        providers: where the accounts are.
        account_count: over all providers.
        enterprise_count: companies.
        first_month: first day of the first month.
        month_count: months of the estate; moves happen inside them.
        marginals: the fitted distributions.
    """
    organisation = Organisation(first_month, providers=list(providers))
    organisation.enterprises = [
        Enterprise(f"enterprise-{number:04}", f"Enterprise {number:04}") for number in range(1, enterprise_count + 1)
    ]
    weights = enterprise_weights(seed, enterprise_count, marginals)
    for order, count in enumerate(split_whole(account_count, np.ones(len(providers)))):
        sizes = split_whole(int(count), weights)
        serial = 0
        for number, size in enumerate(sizes):
            if size:
                _Drawing(organisation, seed, order, number, month_count).add(int(size), serial)
                serial += int(size)
    return organisation


class _Drawing:
    """Adds one enterprise's directory at one provider."""

    def __init__(self, organisation: Organisation, seed: int, order: int, number: int, month_count: int) -> None:
        self._into = organisation
        self._provider = organisation.providers[order]
        self._enterprise = organisation.enterprises[number]
        self._number = number
        self._months = month_count
        self._random = stream(seed, Purpose.TREE, order, number)
        self._directory = f"{self._provider.code}-{self._enterprise.external_id}"

    def add(self, size: int, serial: int) -> None:
        """Add `size` accounts, the first with number `serial`, and the directory and groups above them."""
        groups = self._add_groups(max(1, round(size / ACCOUNTS_PER_GROUP)))
        codes = [f"{self._provider.code}-{serial + rank:07}" for rank in range(size)]
        self._into.directories.append(
            Directory(
                self._directory,
                f"{self._enterprise.name} at {self._provider.name}",
                self._provider.code,
                self._enterprise.external_id,
                management_account=codes[0],
            )
        )
        fate, late = self._random.random(size), self._random.random(size)
        place = self._random.integers(0, len(groups), (size, 2))
        when = self._random.integers(1, max(2, self._months), size)
        # The management account stays where it is, at the top.
        self._into.accounts.append(self._account(codes[0], None))
        self._into.accounts.extend(
            self._with_fate(
                self._account(codes[rank], groups[place[rank, 0]]),
                float(fate[rank]),
                float(late[rank]),
                groups[place[rank, 1]],
                int(when[rank]),
            )
            for rank in range(1, size)
        )

    def _account(self, code: str, group: str | None) -> Account:
        stay = Stay(group, self._into.first_month)
        return Account(self._provider.code, code, f"Account {code}", self._number, self._directory, (stay,))

    def _with_fate(self, account: Account, fate: float, late: float, other: str, when: int) -> Account:
        """Give an account the history that a number in [0, 1) stands for."""
        shares = np.cumsum(FATE_SHARES)
        if fate >= shares[-1]:
            return dataclasses.replace(account, opened=when) if late < OPENED_LATE_SHARE else account
        name = FATES[int(np.searchsorted(shares, fate, side="right"))]
        group, begin = account.stays[0].group, self._into.first_month
        turn, back = month_after(begin, when), month_after(begin, when + 2)
        # Who would move to where it is stays.
        moved = () if other == group else (Stay(group, begin, turn), Stay(other, turn))
        returned = (*moved[:1], Stay(other, turn, back), Stay(group, back)) if moved else ()
        changes: dict[str, dict[str, Any]] = {
            "standalone": {"directory": None, "stays": ()},
            "internal": {"directory": None, "stays": (), "internal": True},
            "ungrouped": {"stays": (Stay(None, begin),)},
            "closed": {"closed": when},
            "moved": {"stays": moved or account.stays},
            "returned": {"stays": returned or account.stays},
        }
        return dataclasses.replace(account, **changes[name])

    def _add_groups(self, count: int) -> list[str]:
        """Add a forest of groups, at most `DEPTH_MAX` deep, each under a random earlier one or at the top."""
        codes = [f"{self._directory}-g{number:04}" for number in range(1, count + 1)]
        depths: list[int] = []
        for number, code in enumerate(codes):
            parent = int(self._random.integers(-1, number)) if number else -1
            if parent >= 0 and depths[parent] >= DEPTH_MAX:
                parent = -1
            depths.append(depths[parent] + 1 if parent >= 0 else 1)
            stay = Stay(codes[parent] if parent >= 0 else None, self._into.first_month)
            self._into.groups.append(Group(self._directory, code, f"Group {number + 1:04}", (stay,)))
        return codes
