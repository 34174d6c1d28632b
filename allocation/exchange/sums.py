"""Sums of usage: what a package's rows add up to, made once when it is loaded and read by every run.

A month of ten million rows has about a million leaves. The rows stay as they were loaded: they are what a figure is
explained by, and what `manage.py reproduce` adds up again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection
from psycopg import sql

from allocation.exchange.package.spool import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_ROWS: Final = 10**8
"""Of more rows than this no sums are kept: a number has up to 30 digits, and what adds them up 38."""

_EXACT: Final = pa.decimal128(38, 12)
_NOTHING: Final = pa.scalar(Decimal(0), type=_EXACT)
_LEAF: Final = SCHEMA.names[:4]
_HELD_AT_LEAST: Final = 1 << 20


class UsageSums:
    """Adds up usage rows by place, service, account and resource group, as they pass; exact.

    Holds as many sums as there are leaves, and not many more. `positive_quantity` leaves credits out: what was used,
    before anything was taken back.
    """

    def __init__(self, *, hold_at_least: int = _HELD_AT_LEAST) -> None:
        """`hold_at_least`: how many sums, of whatever leaves, are too few to be worth joining."""
        self._hold_at_least = hold_at_least
        self._parts: list[pa.Table] = []
        self._held = 0
        self._distinct = 0

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of `SCHEMA` as they come and add them up."""
        for batch in batches:
            self._add(batch)
            yield batch

    def table(self) -> pa.Table:
        """Return the sums, those of a place together: the columns of a leaf, `quantity` and `positive_quantity`."""
        self._join()
        return self._parts[0].sort_by(_LEAF[0])

    def _add(self, rows: pa.RecordBatch) -> None:
        quantity = rows.column("quantity").cast(_EXACT)
        columns = [rows.column(name) for name in _LEAF]
        part = _summed([*columns, quantity, pc.max_element_wise(quantity, _NOTHING)])
        self._parts.append(part)
        self._held += len(part)
        if self._held > 2 * self._distinct + self._hold_at_least:
            self._join()

    def _join(self) -> None:
        empty = pa.schema([*list(SCHEMA)[:4], ("quantity", _EXACT), ("positive_quantity", _EXACT)]).empty_table()
        self._parts = [_summed(pa.concat_tables([empty, *self._parts]).columns)]
        self._held = self._distinct = len(self._parts[0])


def _summed(columns: list[pa.Array] | list[pa.ChunkedArray]) -> pa.Table:
    rows = pa.table(columns, names=[*_LEAF, "quantity", "positive_quantity"])
    # One thread: others are at work on the same machine, and this takes a tenth of the time of loading.
    sums = rows.group_by(_LEAF, use_threads=False).aggregate([("quantity", "sum"), ("positive_quantity", "sum")])
    return sums.rename_columns(rows.column_names)


def usage_of(package_id: int, *, from_rows: bool = False) -> sql.Composed:
    """Return what to read a package's usage from, as an item of FROM: its sums, or its rows if it has none.

    Packages have no sums that were loaded before there were any. Rows and sums have the same columns (`package_id`,
    `cluster_id`, `region_id`, `service_id`, `account_id`, `resource_group_id`, `quantity`, `positive_quantity`) and the
    same sums.
    """
    return (_ROWS if from_rows or not has_sums(package_id) else _SUMS).format(sql.Literal(package_id))


_SUMS: Final = sql.SQL("(SELECT * FROM allocation_usagesum WHERE package_id = {})")
_ROWS: Final = sql.SQL(
    "(SELECT package_id, cluster_id, region_id, service_id, account_id, resource_group_id, quantity,"
    " greatest(quantity, 0) AS positive_quantity FROM allocation_usagerow WHERE package_id = {})"
)


def has_sums(package_id: int) -> bool:
    """Tell whether sums of a package's usage are kept."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"allocation_usagesum_{package_id:d}"])
        return bool(cursor.fetchone()[0])


def has_sums_of_region(package_id: int, region_id: int | None) -> bool:
    """Tell whether usage of a package that has sums is told for a region as such."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM allocation_usagesum"
            " WHERE package_id = %s AND cluster_id IS NULL AND region_id = %s)",
            [package_id, region_id],
        )
        return bool(cursor.fetchone()[0])
