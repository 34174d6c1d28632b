"""Leaves: (service, account, resource group) of one cluster in the order of the export, whole numbers and blocks.

The leaf key `cluster|service|account|resource_group` is compared by code point. Codes hold no `|`, so within a cluster
that is the order of (service + "|", account + "|", group): dictionaries sorted that way turn keys into integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Int32s: TypeAlias = npt.NDArray[np.int32]
    Integers: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.object_]

INT64_MAX: Final = 2**63 - 1
_MIXED: Final = -1
"""Block of a leaf that adds up quantities of several blocks."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """Codes of one part of the key, in its order, and where each code of a dictionary stands in it."""

    codes: tuple[str, ...]

    @classmethod
    def of(cls, codes: set[str], separator: str) -> Codebook:
        """Order `codes` as they compare with `separator` after them."""
        continued = sorted([code + separator for code in codes])
        return cls(tuple(code.removesuffix(separator) for code in continued) if separator else tuple(continued))

    def places(self, dictionary: Sequence[str]) -> Int32s:
        """Return the place of every code of `dictionary`; -1 for codes that are not here."""
        place = {code: index for index, code in enumerate(self.codes)}
        return np.array([place.get(code, -1) for code in dictionary], dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Leaves as integer codes, with a whole number `quantity` (int64 or Python integers) in units of `block`.

    `service`, `account` and `group` index into the tuples of codes, which may come in any order.
    """

    services: tuple[str, ...]
    accounts: tuple[str, ...]
    groups: tuple[str, ...]
    service: Int32s
    account: Int32s
    group: Int32s
    block: Int32s
    quantity: Integers
    ordered: bool = False
    """The keys are distinct and in their order, and the dictionaries hold what is used, in its order."""

    def __len__(self) -> int:
        return len(self.service)

    @classmethod
    def of(cls, rows: Sequence[tuple[str, str, str, int, int]]) -> Leaves:
        """Return a few leaves given as (service, account, group, block, quantity)."""
        services, service = _coded([row[0] for row in rows])
        accounts, account = _coded([row[1] for row in rows])
        groups, group = _coded([row[2] for row in rows])
        block = np.array([row[3] for row in rows], dtype=np.int32)
        quantity = compact([row[4] for row in rows])
        return cls(services, accounts, groups, service, account, group, block, quantity)

    def take(self, positions: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Leaves:
        """Return the leaves at `positions`."""
        return Leaves(
            self.services,
            self.accounts,
            self.groups,
            self.service[positions],
            self.account[positions],
            self.group[positions],
            self.block[positions],
            self.quantity[positions],
        )

    def key(self, position: int) -> tuple[str, str, str]:
        """Return (service, account, group) of one leaf."""
        return (
            self.services[self.service[position]],
            self.accounts[self.account[position]],
            self.groups[self.group[position]],
        )


def _coded(codes: Sequence[str]) -> tuple[tuple[str, ...], Int32s]:
    """Return the distinct codes and the index of each."""
    place: dict[str, int] = {}
    index = [place.setdefault(code, len(place)) for code in codes]
    return tuple(place), np.array(index, dtype=np.int32)


def compact(values: Sequence[int]) -> Integers:
    """Return integers as int64, or as Python integers where one does not fit."""
    if all(-INT64_MAX <= value <= INT64_MAX for value in values):
        return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _used(codes: tuple[str, ...], index: Int32s) -> set[str]:
    seen = np.zeros(len(codes), dtype=bool)
    seen[index] = True
    return {codes[place] for place in np.flatnonzero(seen).tolist()}


@dataclass(frozen=True, slots=True)
class Merged:
    """Leaves with distinct keys in the order of their keys.

    `mixed` holds, by position, what a leaf adds up whose entries belong to different blocks: (block, quantity); the
    leaf itself has block -1.
    """

    leaves: Leaves
    mixed: dict[int, list[tuple[int, int]]]


def merge(parts: Sequence[Leaves]) -> Merged:
    """Bring leaves together: one per key, quantities of the same block added."""
    parts = parts or [Leaves.of(())]
    if len(parts) == 1 and parts[0].ordered:
        return Merged(parts[0], {})
    services = Codebook.of(set().union(*(_used(part.services, part.service) for part in parts)), "|")
    accounts = Codebook.of(set().union(*(_used(part.accounts, part.account) for part in parts)), "|")
    groups = Codebook.of(set().union(*(_used(part.groups, part.group) for part in parts)), "")
    service = np.concatenate([services.places(part.services)[part.service] for part in parts])
    account = np.concatenate([accounts.places(part.accounts)[part.account] for part in parts])
    group = np.concatenate([groups.places(part.groups)[part.group] for part in parts])
    block = np.concatenate([part.block for part in parts])
    quantity = np.concatenate([part.quantity for part in parts])
    order = key_order(service, account, group, (len(services.codes), len(accounts.codes), len(groups.codes)))
    service, account, group, block, quantity = (array[order] for array in (service, account, group, block, quantity))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (service[1:] != service[:-1]) | (account[1:] != account[:-1]) | (group[1:] != group[:-1])
    starts = np.flatnonzero(first)
    ends = np.append(starts, len(order))[1:]
    mixed: dict[int, list[tuple[int, int]]] = {}
    blocks = block[starts]
    if len(starts) < len(order):
        differs = np.minimum.reduceat(block, starts) != np.maximum.reduceat(block, starts)
        for position in np.flatnonzero(differs).tolist():
            entries = slice(int(starts[position]), int(ends[position]))
            mixed[position] = list(zip(block[entries].tolist(), map(int, quantity[entries]), strict=True))
            blocks[position] = _MIXED
        quantity = sums(quantity, starts)
    leaves = Leaves(
        services.codes,
        accounts.codes,
        groups.codes,
        service[starts],
        account[starts],
        group[starts],
        blocks,
        quantity,
        ordered=True,
    )
    return Merged(leaves, mixed)


def key_order(service: Int32s, account: Int32s, group: Int32s, sizes: tuple[int, int, int]) -> npt.NDArray[np.intp]:
    """Return the order of keys below `sizes`, as one integer per key if that fits 64 bits."""
    if sizes[0] * sizes[1] * sizes[2] <= INT64_MAX:
        key = (service.astype(np.int64) * sizes[1] + account) * sizes[2] + group
        return np.argsort(key)
    return np.lexsort((group, account, service))


def sums(values: Integers, starts: npt.NDArray[np.intp]) -> Integers:
    """Return the sums of consecutive stretches that begin at `starts`, as Python integers where int64 is too small."""
    if not len(starts):
        return values
    if values.dtype != object:
        longest = int(np.diff(np.append(starts, len(values))).max())
        largest = max(abs(int(values.min())), abs(int(values.max())))
        if longest * largest > INT64_MAX:
            values = values.astype(object)
    return np.add.reduceat(values, starts)
