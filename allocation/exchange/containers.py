"""Totals of containers from account totals, in arrays: places are numbers, and so is what is around them.

Sums are exact. A line that does not exist somewhere stays NULL there. Totals of accounts are never multiplied by their
ancestors: what stands directly in a place is added up first, and spread over the containers around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from psycopg import sql

from allocation.exchange.columns import Cells, read_bigints, write_columns
from allocation.exchange.sheet import Sheet, distinct, numbered, starts_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import numpy.typing as npt

    from allocation.exchange.sheet import FineTotals, Keys

_NONE: Final = 0
"""Stands for a group, a service or a cluster that there is not: ids begin with 1."""
_ACCOUNTS: Final = "accounts"
_GRAINS: Final = ((0, False, False), (1, True, False), (2, False, True), (3, True, True))
"""Number of a grain, and whether it keeps services and clusters."""

_PLACES: Final = sql.SQL("""
SELECT account_id, directory_id, COALESCE(group_id, 0)
FROM accounts_accountmembership
WHERE superseded_by_id IS NULL AND valid_from <= {month} AND (valid_to IS NULL OR valid_to > {month})
ORDER BY account_id
""")
_ANCESTORS: Final = sql.SQL("""
SELECT closure.descendant_id, closure.ancestor_id, COALESCE(edge.parent_id, 0)
FROM accounts_groupclosure closure JOIN accounts_groupedge edge ON edge.group_id = closure.ancestor_id
WHERE closure.valid_from <= {month} AND (closure.valid_to IS NULL OR closure.valid_to > {month})
  AND edge.superseded_by_id IS NULL
  AND edge.valid_from <= {month} AND (edge.valid_to IS NULL OR edge.valid_to > {month})
""")


def write_container_totals(*, publication_id: int, month: dt.date, fine: FineTotals) -> None:
    """COPY the totals of a publication's containers, in four grains: the month's tree over a run's account totals.

    A place is a group, or a directory for what stands directly under it. What stands in a place counts in its
    directory, in the place itself, and in all groups above it.
    """
    lines = read_bigints(_PLACES.format(month=sql.Literal(month)), ("account", "directory", "group"))
    owner, directory, group = lines.values()
    found = np.searchsorted(owner, fine.account)
    found[found == len(owner)] = 0
    placed = np.flatnonzero(owner[found] == fine.account) if len(owner) else np.zeros(0, np.intp)
    if not len(placed):
        return
    places, place = np.unique(np.stack([directory, group]), axis=1, return_inverse=True)
    around = _Around.of(places[0], places[1], month)
    for grain, axes, direct, amounts in _direct(fine, placed, found[placed], place.reshape(-1)):
        in_place, service, cluster = axes.parts(direct)
        positions, container = around.spread(in_place)
        keys, spread = amounts.take(positions).added_up(axes.key(container, service[positions], cluster[positions]))
        _write(publication_id, grain, around, axes.parts(keys), axes, spread)


@dataclass(frozen=True, slots=True)
class _Axes:
    """Services and clusters as numbers that begin with 1, in the order of their ids; what is not there is 0."""

    services: Keys
    clusters: Keys

    def key(self, place: Keys, service: Keys, cluster: Keys) -> Keys:
        """Return one integer for each place, service and cluster."""
        return (place * (len(self.services) + 1) + service) * (len(self.clusters) + 1) + cluster

    def parts(self, keys: Keys) -> tuple[Keys, Keys, Keys]:
        """Return place, service and cluster of each key."""
        rest, cluster = np.divmod(keys, len(self.clusters) + 1)
        place, service = np.divmod(rest, len(self.services) + 1)
        return place, service, cluster


def _direct(
    fine: FineTotals, placed: npt.NDArray[np.intp], account: Keys, place_of: Keys
) -> Iterator[tuple[int, _Axes, Keys, Sheet]]:
    """Yield for each grain what stands directly in each place: keys, sums, and the number of accounts.

    Args:
        fine: account totals.
        placed: positions of those whose account stands somewhere.
        account: the numbers of their accounts.
        place_of: the place of each account, by its number.
    """
    services, service = numbered(fine.service[placed])
    clusters, cluster = numbered(fine.cluster[placed])
    axes = _Axes(services, clusters)
    place = place_of[account]
    finest, sums = fine.amounts.take(placed).added_up(axes.key(place, service + 1, cluster + 1))
    for grain, by_service, by_cluster in _GRAINS:
        in_place, of_service, of_cluster = axes.parts(finest)
        keys, amounts = sums.added_up(axes.key(in_place, of_service * by_service, of_cluster * by_cluster))
        # An account counts once, however many services and clusters it has.
        each, _ = distinct(axes.key(account, (service + 1) * by_service, (cluster + 1) * by_cluster))
        owner, of_service, of_cluster = axes.parts(each)
        _, count = distinct(axes.key(place_of[owner], of_service, of_cluster))
        values = {_ACCOUNTS: count, **amounts.values}
        yield grain, axes, keys, Sheet(values, {_ACCOUNTS: np.ones(len(keys), dtype=bool), **amounts.present})


@dataclass(frozen=True, slots=True)
class _Around:
    """The containers around each place: `container[first[place] : first[place] + count[place]]`.

    A container is a directory, a group of it with the group above it, or what stands directly under it.
    """

    directory: Keys
    group: Keys
    parent: Keys
    miscellaneous: npt.NDArray[np.bool_]
    first: Keys
    count: Keys
    container: Keys

    @classmethod
    def of(cls, directory: Keys, group: Keys, month: dt.date) -> _Around:
        """Look up what is around places, each given by its directory and its group, or none."""
        lines = read_bigints(_ANCESTORS.format(month=sql.Literal(month)), ("below", "group", "parent"))
        below, above, parent = lines.values()
        order = np.argsort(below, kind="stable")
        places = np.arange(len(group))
        begin, end = (np.searchsorted(below[order], group, side=side) for side in ("left", "right"))
        repeated, line = _stretches(begin, end - begin)
        line = order[line]
        alone = places[group == _NONE]
        place = np.concatenate([places, alone, repeated])
        rows = np.stack(
            [
                directory[place],
                np.concatenate([np.zeros(len(places) + len(alone), np.int64), above[line]]),
                np.concatenate([np.zeros(len(places) + len(alone), np.int64), parent[line]]),
                (np.arange(len(place)) >= len(places)) & (np.arange(len(place)) < len(places) + len(alone)),
            ]
        )
        containers, container = np.unique(rows, axis=1, return_inverse=True)
        order = np.argsort(place, kind="stable")
        first = starts_of(place[order])
        return cls(
            containers[0],
            containers[1],
            containers[2],
            containers[3].astype(bool),
            first,
            np.diff(np.append(first, len(place))),
            container.reshape(-1)[order],
        )

    def spread(self, place: Keys) -> tuple[npt.NDArray[np.intp], Keys]:
        """Return for all containers around each of the places: the position of the place, the container."""
        positions, at = _stretches(self.first[place], self.count[place])
        return positions, self.container[at]


def _stretches(first: Keys, count: Keys) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the numbers of stretches that begin at `first`, one after the other, and to which stretch each belongs."""
    stretch = np.repeat(np.arange(len(first)), count)
    step = np.arange(len(stretch)) - np.repeat(np.cumsum(count) - count, count)
    return stretch, first[stretch] + step


def _write(  # noqa: PLR0913, PLR0917 the columns of a table
    publication_id: int, grain: int, around: _Around, parts: tuple[Keys, Keys, Keys], axes: _Axes, amounts: Sheet
) -> None:
    container, service, cluster = parts
    rows = len(container)
    group, parent = around.group[container], around.parent[container]
    counts = amounts.values[_ACCOUNTS]
    cells = {
        "publication_id": Cells(">i8", np.full(rows, publication_id)),
        "directory_id": Cells(">i8", around.directory[container]),
        "group_id": Cells(">i8", group, group != _NONE),
        "parent_id": Cells(">i8", parent, parent != _NONE),
        "miscellaneous": Cells(">i1", around.miscellaneous[container].astype(np.int8)),
        "grain": Cells(">i2", np.full(rows, grain)),
        "service_id": Cells(">i8", np.append(_NONE, axes.services)[service], service != _NONE),
        "cluster_id": Cells(">i8", np.append(_NONE, axes.clusters)[cluster], cluster != _NONE),
    }
    write_columns(
        sql.Identifier("allocation_containertotal"), cells | amounts.cells() | {_ACCOUNTS: Cells(">i4", counts)}
    )
