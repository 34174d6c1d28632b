"""Partitions of usage and its sums, of the ledger and of account totals: made alone, attached when complete.

A partition is filled and indexed as a table of its own. `attach` then takes SHARE UPDATE EXCLUSIVE on the parent, which
waits for no reader and for no writer; the CHECK on the key spares it the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: the rows of `parent` whose `key_column` is `key`."""

    parent: str
    key_column: str
    key: int

    @property
    def table(self) -> str:
        """Name of the partition's own table."""
        return f"{self.parent}_{self.key}"


def ledger_of(run_id: int) -> Partition:
    """Return the ledger partition of a run."""
    return Partition("allocation_ledgerrow", "run_id", run_id)


def account_totals_of(run_id: int) -> Partition:
    """Return the account totals of a run."""
    return Partition("allocation_accounttotal", "run_id", run_id)


def usage_of(package_id: int) -> Partition:
    """Return the usage rows of a package."""
    return Partition("allocation_usagerow", "package_id", package_id)


def usage_sums_of(package_id: int) -> Partition:
    """Return the sums of a package's usage rows."""
    return Partition("allocation_usagesum", "package_id", package_id)


class PartitionInUseError(Exception):
    """The partition is attached: it is complete and is not made again."""


# What readers ask for: the ledger by account, account totals by account and grain, usage one cluster at a time.
_WITHHELD: Final = ("below_threshold", "not_covered")
_INDEXES: Final[dict[str, Sequence[str]]] = {
    "allocation_usagerow": ("USING btree (cluster_id, region_id)",),
    "allocation_usagesum": ("USING btree (cluster_id, region_id)",),
    "allocation_ledgerrow": ("USING btree (account_id)",),
    "allocation_accounttotal": ("USING btree (account_id, grain, service_id, cluster_id)",),
}
# Ledger ids grow within a chunk, so a block range index finds the rows of one.
_BY_CHUNK: Final = "USING brin (id)"
_BY_CHUNK_NUMBER: Final = 1

# What rows are looked up, joined and grouped by: of these the planner is told. Amounts are only added up.
_LEAF: Final = ("cluster_id", "service_id", "account_id", "resource_group_id")
_ASKED_BY: Final[dict[str, Sequence[str]]] = {
    "allocation_usagerow": ("package_id", *_LEAF, "region_id", "quantity"),
    "allocation_usagesum": ("package_id", *_LEAF, "region_id", "positive_quantity"),
    "allocation_ledgerrow": ("run_id", "id", *_LEAF, "special", "line", "withheld"),
    "allocation_accounttotal": ("run_id", "account_id", "grain", "service_id", "cluster_id", *_WITHHELD),
}


def is_attached(partition: Partition) -> bool:
    """Tell whether readers of the parent see the partition."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%s) AND inhparent = to_regclass(%s))",
            [partition.table, partition.parent],
        )
        return bool(cursor.fetchone()[0])


def create(partition: Partition) -> None:
    """Make the partition's table, empty and alone; what was left of an earlier try is dropped.

    Raises:
        PartitionInUseError: it is attached already.
    """
    if is_attached(partition):
        raise PartitionInUseError(partition.table)
    names = _names(partition)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {table}").format(**names))
        cursor.execute(
            sql.SQL(
                "CREATE TABLE {table} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS,"
                " CONSTRAINT {check} CHECK ({column} = {key})) WITH (autovacuum_enabled = false)"
            ).format(**names)
        )
        # Every row has this key, so COPY need not repeat it.
        cursor.execute(sql.SQL("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {key}").format(**names))


def index(partition: Partition) -> None:
    """Build the partition's indexes and statistics, after it was filled; indexes that are there already stay."""
    for number, definition in enumerate(_INDEXES[partition.parent]):
        _create_index(partition, number, definition)
    with connection.cursor() as cursor:
        columns = sql.SQL(", ").join(map(sql.Identifier, _ASKED_BY[partition.parent]))
        cursor.execute(sql.SQL("ANALYZE {table} ({columns})").format(columns=columns, **_names(partition)))


def index_chunks(run_id: int) -> None:
    """Let the rows of a chunk be found in the ledger of a run, if they cannot be yet.

    Readers never ask for a chunk. Who checks a month does, and who withholds something of it: so the index is made by
    the first of them, and no other month waits for it.
    """
    ledger = ledger_of(run_id)
    with transaction.atomic(), connection.cursor() as cursor:
        # Two at once would both make it. The run itself stays free for its worker's signs of life.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [ledger.table])
        if exists(ledger):
            _create_index(ledger, _BY_CHUNK_NUMBER, _BY_CHUNK)


def _create_index(partition: Partition, number: int, definition: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE INDEX IF NOT EXISTS {name} ON {table} {definition}").format(
                name=sql.Identifier(f"{partition.table}_by_{number}"),
                definition=sql.SQL(definition),
                **_names(partition),
            )
        )


def attach(partition: Partition) -> None:
    """Let readers of the parent see the partition; nothing happens if they do already.

    From now on it is vacuumed as any other table. Before, that would read and write it beside those who fill it.
    """
    if is_attached(partition):
        return
    names = _names(partition)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("ALTER TABLE {table} RESET (autovacuum_enabled)").format(**names))
        cursor.execute(sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ({key})").format(**names))


def drop(partition: Partition) -> None:
    """Drop the partition and its rows, attached or not.

    An attached one is detached first within the same transaction; that waits for readers of the parent.
    """
    names = _names(partition)
    with connection.cursor() as cursor:
        if is_attached(partition):
            cursor.execute(sql.SQL("ALTER TABLE {parent} DETACH PARTITION {table}").format(**names))
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {table}").format(**names))


def exists(partition: Partition) -> bool:
    """Tell whether the partition's table is there, attached or not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [partition.table])
        return bool(cursor.fetchone()[0])


def _names(partition: Partition) -> dict[str, sql.Composable]:
    return {
        "parent": sql.Identifier(partition.parent),
        "table": sql.Identifier(partition.table),
        "check": sql.Identifier(f"{partition.table}_key"),
        "column": sql.Identifier(partition.key_column),
        "key": sql.Literal(partition.key),
    }
