"""Roll-ups in SQL: account totals from the ledger, container totals from account totals and the tree of the month.

Sums are exact numerics. A line that does not exist somewhere stays NULL there. Ledger rows are never multiplied by
their ancestors: direct totals come first and go through the closure, which has one row per (container, descendant).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection
from psycopg import sql

from allocation.exchange.write import LINE_CODES
from allocation.services import partitions

if TYPE_CHECKING:
    import datetime as dt


def _amount_column(line: str) -> str:
    return line if line == "energy_wh" else f"{line}_ug"


def _estimated_column(line: str) -> str:
    return "energy_estimated_wh" if line == "energy_wh" else f"{line}_estimated_ug"


AMOUNT_COLUMNS: Final = tuple(
    [_amount_column(line) for line in LINE_CODES] + [_estimated_column(line) for line in LINE_CODES]
)
"""Columns of `LineAmounts`: amounts by line, then their estimated parts."""

_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(name) for name in AMOUNT_COLUMNS)
_SUMS: Final = sql.SQL(", ").join(sql.SQL("sum({0}) AS {0}").format(sql.Identifier(name)) for name in AMOUNT_COLUMNS)
_LINE_SUMS: Final = sql.SQL(", ").join(
    sql.SQL("sum({}) FILTER (WHERE line = {}) AS {}").format(
        sql.Identifier(source), sql.Literal(number), sql.Identifier(column(line))
    )
    for source, column in (("ug", _amount_column), ("estimated_ug", _estimated_column))
    for number, line in enumerate(LINE_CODES)
)

# Finest grain first: it is the only one that reads the ledger, the others read it.
_ACCOUNT_TOTALS: Final = sql.SQL("""
WITH fine AS MATERIALIZED (
    SELECT account_id, service_id, cluster_id, {line_sums}
    FROM {ledger}
    WHERE special = 0
    GROUP BY account_id, service_id, cluster_id
)
INSERT INTO {target} (account_id, grain, service_id, cluster_id, {columns})
SELECT account_id, 3, service_id, cluster_id, {columns} FROM fine
UNION ALL
SELECT account_id,
       CASE WHEN grouping(service_id) = 0 THEN 1 WHEN grouping(cluster_id) = 0 THEN 2 ELSE 0 END,
       service_id, cluster_id, {sums}
FROM fine
GROUP BY GROUPING SETS ((account_id, service_id), (account_id, cluster_id), (account_id))
""")

# `placed`: where each account with totals stands in the month. `direct`: totals of the accounts that stand directly in
# a group or directly under a directory. `below`: direct totals of every group added to each of its ancestors.
_CONTAINER_TOTALS: Final = sql.SQL("""
WITH placed AS MATERIALIZED (
    SELECT account_id, directory_id, group_id
    FROM accounts_accountmembership
    WHERE superseded_by_id IS NULL
      AND valid_from <= {month} AND (valid_to IS NULL OR valid_to > {month})
), direct AS MATERIALIZED (
    SELECT p.directory_id, p.group_id, t.grain, t.service_id, t.cluster_id, count(*)::integer AS accounts, {sums}
    FROM {totals} t JOIN placed p USING (account_id)
    GROUP BY p.directory_id, p.group_id, t.grain, t.service_id, t.cluster_id
), closure AS MATERIALIZED (
    SELECT ancestor_id, descendant_id
    FROM accounts_groupclosure
    WHERE valid_from <= {month} AND (valid_to IS NULL OR valid_to > {month})
)
INSERT INTO {target} (directory_id, group_id, miscellaneous, grain, service_id, cluster_id, accounts, {columns})
SELECT d.directory_id, c.ancestor_id, false, d.grain, d.service_id, d.cluster_id, sum(d.accounts), {sums}
FROM direct d JOIN closure c ON c.descendant_id = d.group_id
GROUP BY d.directory_id, c.ancestor_id, d.grain, d.service_id, d.cluster_id
UNION ALL
SELECT directory_id, NULL, false, grain, service_id, cluster_id, sum(accounts), {sums}
FROM direct
GROUP BY directory_id, grain, service_id, cluster_id
UNION ALL
SELECT directory_id, NULL, true, grain, service_id, cluster_id, accounts, {columns}
FROM direct
WHERE group_id IS NULL
""")


def fill_account_totals(run_id: int) -> None:
    """Compute the account totals of a run from its ledger, in four grains, and attach them.

    Special accounts have none: they are not nodes.
    """
    totals = partitions.account_totals_of(run_id)
    partitions.create(totals)
    with connection.cursor() as cursor:
        cursor.execute(
            _ACCOUNT_TOTALS.format(
                ledger=sql.Identifier(partitions.ledger_of(run_id).table),
                target=sql.Identifier(totals.table),
                columns=_COLUMNS,
                sums=_SUMS,
                line_sums=_LINE_SUMS,
            )
        )
    partitions.index(totals)
    partitions.attach(totals)


def fill_container_totals(*, publication_id: int, run_id: int, month: dt.date) -> None:
    """Compute the container totals of a publication with the current tree, in four grains, and attach them.

    The caller keeps the tree from changing (it has recorded its version with the publication).
    """
    containers = partitions.container_totals_of(publication_id)
    partitions.create(containers)
    with connection.cursor() as cursor:
        cursor.execute(
            _CONTAINER_TOTALS.format(
                totals=sql.Identifier(partitions.account_totals_of(run_id).table),
                target=sql.Identifier(containers.table),
                month=sql.Literal(month),
                columns=_COLUMNS,
                sums=_SUMS,
            )
        )
    partitions.index(containers)
    partitions.attach(containers)
