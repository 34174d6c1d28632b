"""Usage of one cluster: own and regional rows brought together, netted and clamped (section 3, usage.csv)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.engine.frames import Usage
from allocation.engine.leaves import INT64_MAX, Leaves, merge

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from allocation.engine.leaves import Integers

CORE_GROUP: Final = "(core services)"
_NAMED_LEAVES: Final = 5


def empty_usage() -> Usage:
    """Return the usage of a cluster without any."""
    nothing = np.zeros(0, dtype=np.int32)
    return Usage((), (), (), nothing, nothing, nothing, np.zeros(0, dtype=np.int64))


def combine(own: Usage, region: Usage, active_clusters: int) -> Usage:
    """Return the usage of a cluster from rows that name it and rows that name its region.

    A region's row is split equally over its `active_clusters`. Nothing is rounded: the result counts in fractions of
    the finer of the two units. Leaves that occur in both stand twice; `settle` adds them up before a negative net
    counts as 0. Either part may be unsummed rows.
    """
    if not len(region.service):
        return own
    decimals = max(own.decimals, region.decimals)
    divisor = int(np.lcm(own.divisor, region.divisor * active_clusters))
    own_factor = 10 ** (decimals - own.decimals) * (divisor // own.divisor)
    region_factor = 10 ** (decimals - region.decimals) * (divisor // (region.divisor * active_clusters))
    quantity = np.concatenate([_times(own.quantity, own_factor), _times(region.quantity, region_factor)])

    def index(name: str) -> npt.NDArray[np.int32]:
        shifted = getattr(region, name) + len(getattr(own, f"{name}s"))
        return np.concatenate([getattr(own, name), shifted]).astype(np.int32)

    return Usage(
        services=own.services + region.services,
        accounts=own.accounts + region.accounts,
        groups=own.groups + region.groups,
        service=index("service"),
        account=index("account"),
        group=index("group"),
        quantity=quantity,
        decimals=decimals,
        divisor=divisor,
    )


def _times(quantity: Integers, factor: int) -> Integers:
    """Return `quantity` x `factor`, as Python integers where int64 is too small."""
    if factor == 1 or not len(quantity):
        return quantity
    if quantity.dtype != object:
        largest = max(abs(int(quantity.min())), abs(int(quantity.max())))
        if largest * factor <= INT64_MAX:
            return quantity * factor
    return quantity.astype(object) * factor


@dataclass(frozen=True, slots=True)
class NetUsage:
    """Net usage by leaf, never below 0, in the order of the export; `block` is the index of the leaf's service.

    The quantity of a leaf is `quantity` x `unit` of its service. `negative` is the number of leaves that had less than
    nothing, `named` names the first of them.
    """

    leaves: Leaves
    unit: dict[str, Fraction]
    total: dict[str, Fraction]
    negative: int
    named: tuple[str, ...]


def net(usage: Usage, core_services: Collection[str]) -> NetUsage:
    """Add up the rows of every leaf, then let a negative net count as 0.

    Leaves of core services are in the group `(core services)`, whatever their rows say. Every service gets the largest
    unit in which its quantities are whole.
    """
    leaves = merge([_as_leaves(usage, core_services)]).leaves
    below = np.flatnonzero(leaves.quantity < 0)
    named = tuple("|".join(leaves.key(position)) for position in below[:_NAMED_LEAVES].tolist())
    quantity = leaves.quantity.copy()
    quantity[below] = 0
    quantity = _compact(quantity)  # 64 bits are quicker, where sums turned out small
    starts = np.flatnonzero(np.diff(leaves.service, prepend=-1))
    ends = np.append(starts, len(leaves))[1:]
    base = Fraction(1, 10**usage.decimals * usage.divisor)
    unit: dict[str, Fraction] = {}
    total: dict[str, Fraction] = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        service = leaves.services[leaves.service[start]]
        part = quantity[start:end]
        common = int(np.gcd.reduce(part)) or 1
        quantity[start:end] //= common
        unit[service] = base * common
        total[service] = unit[service] * _sum(quantity[start:end])
    quantity = _compact(quantity)
    netted = replace(leaves, block=leaves.service, quantity=quantity)
    return NetUsage(netted, unit, total, len(below), named)


def _compact(quantity: Integers) -> Integers:
    """Return whole numbers as int64 where all fit."""
    if quantity.dtype == object and max(quantity, default=0) <= INT64_MAX:
        return quantity.astype(np.int64)
    return quantity


def _sum(values: Integers) -> int:
    if values.dtype == object:
        return int(sum(values))
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def _as_leaves(usage: Usage, core_services: Collection[str]) -> Leaves:
    group = usage.group.astype(np.int32)
    core = np.array([service in core_services for service in usage.services], dtype=bool)
    groups = usage.groups
    if core.any():
        group = np.where(core[usage.service], np.int32(len(groups)), group)
        groups = (*groups, CORE_GROUP)
    return Leaves(
        usage.services,
        usage.accounts,
        groups,
        usage.service.astype(np.int32),
        usage.account.astype(np.int32),
        group,
        np.zeros(len(group), dtype=np.int32),
        usage.quantity,
    )
