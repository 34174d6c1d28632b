"""Columns of whole numbers, some of them not there: read from account totals, added up by a key, written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from psycopg import sql

from allocation.engine.leaves import INT64_MAX
from allocation.exchange.columns import NUMERIC, Cells, bigints_of, read_arrays
from allocation.selectors.amounts import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from allocation.engine.leaves import Integers

    Keys = npt.NDArray[np.int64]

_ABSENT: Final = -1
"""What stands for NULL on the way from the database: no amount is negative."""
_LOW: Final = 10**18
_ACCOUNTS_IN_RECORD: Final = 1 << 14
_AMOUNTS: Final = frozenset(COLUMNS[:-2])


@dataclass(frozen=True, slots=True)
class Sheet:
    """Whole numbers by name of column, and by row whether they are there; where one is not, it is 0.

    `values`: int64, or Python integers where one is larger.
    """

    values: Mapping[str, Integers]
    present: Mapping[str, npt.NDArray[np.bool_]]

    def take(self, positions: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Sheet:
        """Return the rows at `positions`."""
        different = {id(there): there[positions] for there in self.present.values()}
        return Sheet(
            {name: values[positions] for name, values in self.values.items()},
            {name: different[id(there)] for name, there in self.present.items()},
        )

    def added_up(self, keys: Keys) -> tuple[Keys, Sheet]:
        """Return the distinct keys of the rows in ascending order, and the sums by them."""
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = starts_of(ordered)
        # Columns share what tells where they are: each is looked at once.
        different = {id(there): there for there in self.present.values()}
        known = {one: np.logical_or.reduceat(there[order], starts) for one, there in different.items()}
        return ordered[starts], Sheet(
            {name: _sums(values[order], starts) for name, values in self.values.items()},
            {name: known[id(there)] for name, there in self.present.items()},
        )

    def cells(self) -> dict[str, Cells]:
        """Return the columns as the tables of totals have them: amounts are numerics, counts bigints."""
        return {
            name: Cells(NUMERIC if name in _AMOUNTS else ">i8", values, self.present[name])
            for name, values in self.values.items()
        }


def _sums(values: Integers, starts: npt.NDArray[np.intp]) -> Integers:
    """Return the sums of stretches, as Python integers if one of them is larger than 64 bits."""
    if values.dtype != object and len(values) and int(values.max()) * len(values) > INT64_MAX:
        # A float tells how large a sum is, if not which: it is off by far less than a factor of two.
        about = np.add.reduceat(values.astype(np.float64), starts).max()
        values = values.astype(object) if about > INT64_MAX / 2 else values
    return np.add.reduceat(values, starts)


def distinct(keys: Keys) -> tuple[Keys, Keys]:
    """Return the distinct keys in ascending order, and how often each is there."""
    ordered = np.sort(keys)
    starts = starts_of(ordered)
    return ordered[starts], np.diff(np.append(starts, len(keys)))


def starts_of(ordered: Keys) -> npt.NDArray[np.intp]:
    """Return where the stretches of equal keys begin."""
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return np.flatnonzero(first)


def joined(first: Sheet, second: Sheet) -> Sheet:
    """Return the rows of two sheets with the same columns, one after the other."""
    there: dict[tuple[int, int], npt.NDArray[np.bool_]] = {}
    present = {}
    for name, ours in first.present.items():
        theirs = second.present[name]
        both = id(ours), id(theirs)
        if both not in there:
            there[both] = np.concatenate([ours, theirs])
        present[name] = there[both]
    return Sheet({name: np.concatenate([first.values[name], second.values[name]]) for name in first.values}, present)


@dataclass(frozen=True, slots=True)
class FineTotals:
    """A run's account totals of the finest grain, as ids and amounts."""

    account: Keys
    service: Keys
    cluster: Keys
    amounts: Sheet


def read_fine_totals(table: str, largest: Mapping[str, int]) -> FineTotals:
    """Read the account totals by service and cluster of a run.

    Args:
        table: the table of the run's account totals.
        largest: the columns wanted, and what each adds up to over all rows at most.

    Raises:
        DataError: an amount has more than 36 digits.
    """
    parts: list[sql.Composable] = [sql.Identifier(name) for name in ("account_id", "service_id", "cluster_id")]
    for name, most in largest.items():
        value = sql.SQL("COALESCE({}, {})").format(sql.Identifier(name), sql.Literal(_ABSENT))
        forms = ("div({}, {})", "mod({}, {})") if most > INT64_MAX else ("{}",)
        parts += [sql.SQL(form).format(value, sql.Literal(_LOW)) for form in forms]
    columns = iter(_read_arrays_of(table, parts))
    account, service, cluster = next(columns), next(columns), next(columns)
    values: dict[str, Integers] = {}
    present: dict[str, npt.NDArray[np.bool_]] = {}
    for name, most in largest.items():
        high = next(columns) if most > INT64_MAX else None
        low = next(columns)
        there = low != _ABSENT
        # Mostly all are there, or the same as of the column before.
        present[name] = next((one for one in present.values() if np.array_equal(one, there)), there)
        low[~there] = 0
        values[name] = low if high is None else high.astype(object) * _LOW + low.astype(object)
    return FineTotals(account, service, cluster, Sheet(values, present))


def _read_arrays_of(table: str, parts: Sequence[sql.Composable]) -> list[npt.NDArray[np.int64]]:
    """Read expressions of a table's rows of the finest grain as bigints, many rows in one record."""
    query = sql.SQL("SELECT {} FROM {} WHERE grain = 3 GROUP BY cluster_id, account_id / {}").format(
        sql.SQL(", ").join(sql.SQL("array_agg(({})::bigint)").format(part) for part in parts),
        sql.Identifier(table),
        sql.Literal(_ACCOUNTS_IN_RECORD),
    )
    records = [[bigints_of(field) for field in record] for record in read_arrays(query)]
    nothing = np.empty(0, np.int64)
    return [np.concatenate([nothing, *(record[place] for record in records)]) for place in range(len(parts))]


_INDEXED_AT_MOST: Final = 1 << 24


def numbered(ids: Keys) -> tuple[Keys, Keys]:
    """Return the distinct ids in ascending order, and the number of each one's place among them."""
    if not len(ids) or ids.min() < 0 or ids.max() >= _INDEXED_AT_MOST:
        distinct, place = np.unique(ids, return_inverse=True)
        return distinct, place
    seen = np.zeros(int(ids.max()) + 1, dtype=bool)
    seen[ids] = True
    distinct = np.flatnonzero(seen)
    places = np.zeros(len(seen), np.int64)
    places[distinct] = np.arange(len(distinct))
    return distinct, places[ids]
