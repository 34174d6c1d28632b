"""Roll-ups in SQL: account totals from the ledger, container totals from account totals and the tree of the month.

Sums are exact numerics. A line that does not exist somewhere stays NULL there. Ledger rows are never multiplied by
their ancestors: direct totals come first and go through the closure, which has one row per (container, descendant).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection
from psycopg import sql

from allocation.exchange.write import LINE_CODES, first_ledger_id, last_ledger_id
from allocation.models import RunChunk, Withheld
from allocation.selectors.amounts import LINES
from allocation.services import partitions
from allocation.services.withholding import withholds

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from allocation.selectors.amounts import Method


def _amount_column(line: str) -> str:
    return line if line == "energy_wh" else f"{line}_ug"


def _estimated_column(line: str) -> str:
    return "energy_estimated_wh" if line == "energy_wh" else f"{line}_estimated_ug"


_ALL: Final = sql.SQL("")
_BIGINT_MAX: Final = (1 << 63) - 1

AMOUNT_COLUMNS: Final = tuple(
    [_amount_column(line) for line in LINE_CODES] + [_estimated_column(line) for line in LINE_CODES]
)
"""Columns of `LineAmounts`: amounts by line, then their estimated parts."""

_WITHHELD: Final = {Withheld.BELOW_THRESHOLD: "below_threshold", Withheld.NOT_COVERED: "not_covered"}
"""Columns that count what is withheld."""

# The only grain that reads the ledger, one chunk at a time: a hash of one cluster's (account, service) fits in memory.
# Where nothing is withheld, chunks write it from their arrays, and that of clusters (`allocation.exchange.totals`).
_FINE: Final = sql.SQL("""
INSERT INTO {target} (account_id, grain, service_id, cluster_id, {columns})
SELECT account_id, 3, service_id, cluster_id, {line_sums}
FROM {ledger}
WHERE special = 0 AND {span}
GROUP BY account_id, service_id, cluster_id
""")
_BY_CLUSTER: Final = sql.SQL("""
INSERT INTO {target} (account_id, grain, cluster_id, {columns})
SELECT account_id, 2, cluster_id, {sums}
FROM {target}
WHERE grain = 3
GROUP BY account_id, cluster_id
""")
_COARSE: Final = sql.SQL("""
INSERT INTO {target} (account_id, grain, service_id, {columns})
SELECT account_id, CASE WHEN grouping(service_id) = 0 THEN 1 ELSE 0 END, service_id, {sums}
FROM {target}
WHERE grain = 3
GROUP BY GROUPING SETS ((account_id, service_id), (account_id))
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
    SELECT p.directory_id, p.group_id, t.grain, t.service_id, t.cluster_id, count(*)::integer AS accounts, {small_sums}
    FROM {totals} t JOIN placed p USING (account_id)
    GROUP BY p.directory_id, p.group_id, t.grain, t.service_id, t.cluster_id
), closure AS MATERIALIZED (
    SELECT ancestor_id, descendant_id
    FROM accounts_groupclosure
    WHERE valid_from <= {month} AND (valid_to IS NULL OR valid_to > {month})
), edge AS MATERIALIZED (
    SELECT group_id, parent_id
    FROM accounts_groupedge
    WHERE superseded_by_id IS NULL AND valid_from <= {month} AND (valid_to IS NULL OR valid_to > {month})
)
INSERT INTO allocation_containertotal
    (publication_id, directory_id, group_id, parent_id, miscellaneous, grain, service_id, cluster_id, accounts,
     {columns})
SELECT {publication}, d.directory_id, c.ancestor_id, e.parent_id, false, d.grain, d.service_id, d.cluster_id,
       sum(d.accounts), {sums}
FROM direct d JOIN closure c ON c.descendant_id = d.group_id JOIN edge e ON e.group_id = c.ancestor_id
GROUP BY d.directory_id, c.ancestor_id, e.parent_id, d.grain, d.service_id, d.cluster_id
UNION ALL
SELECT {publication}, directory_id, NULL, NULL, false, grain, service_id, cluster_id, sum(accounts), {sums}
FROM direct
GROUP BY directory_id, grain, service_id, cluster_id
UNION ALL
SELECT {publication}, directory_id, NULL, NULL, true, grain, service_id, cluster_id, accounts, {columns}
FROM direct
WHERE group_id IS NULL
""")


def fill_account_totals(run_id: int) -> None:
    """Compute the account totals of a run in four grains and attach them.

    What has a cluster was written with the chunks, or is added up from the ledger: where something is withheld, and
    for a ledger that nobody wrote in chunks. Special accounts have no totals: they are not nodes.
    """
    totals = partitions.account_totals_of(run_id)
    written = partitions.exists(totals)
    if not written:
        partitions.create(totals)
    line_totals = _line_totals_ug(run_id)
    lines = [line for line in LINE_CODES if line in line_totals]
    columns = _columns_of(line_totals)
    counted = _WITHHELD.values() if withholds(run_id) else ()
    names = {
        "target": sql.Identifier(totals.table),
        "ledger": sql.Identifier(partitions.ledger_of(run_id).table),
        "columns": _identifiers([*columns, *counted]),
        "sums": _sums([*columns, *counted], line_totals),
        "line_sums": _told_sums(lines) if counted else _line_sums(lines),
    }
    with connection.cursor() as cursor:
        if lines:
            cursor.execute("SET LOCAL work_mem = '128MB'")
            if not written:
                for span in _spans(run_id):
                    cursor.execute(_FINE.format(span=span, **names))
                cursor.execute(_BY_CLUSTER.format(**names))
            cursor.execute(_COARSE.format(**names))
    partitions.index(totals)
    partitions.attach(totals)


def account_sums(run_id: int) -> dict[tuple[int, str], tuple[int, int]]:
    """Add a run's account totals up by cluster and line: micrograms (Wh of energy), and their estimated part."""
    line_totals = _line_totals_ug(run_id)
    lines = [line for line in LINE_CODES if line in line_totals]
    if not lines:
        return {}
    statement = sql.SQL("SELECT cluster_id, {sums} FROM {totals} WHERE grain = 3 GROUP BY cluster_id").format(
        sums=_sums(_columns_of(line_totals), line_totals),
        totals=sql.Identifier(partitions.account_totals_of(run_id).table),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return {
            (cluster_id, line): (int(ug), int(estimated_ug))
            for cluster_id, *sums in cursor.fetchall()
            for line, ug, estimated_ug in zip(lines, sums[: len(lines)], sums[len(lines) :], strict=True)
            if ug is not None
        }


def _columns_of(line_totals_ug: Mapping[str, int | None]) -> list[str]:
    """Return the columns of the lines that a run has; the others stay NULL without being asked for."""
    lines = [line for line in LINE_CODES if line in line_totals_ug]
    return [_amount_column(line) for line in lines] + [_estimated_column(line) for line in lines]


def _line_totals_ug(run_id: int) -> dict[str, int | None]:
    """Return the source total of each line of a run over all clusters, None if unknown.

    A ledger that nobody wrote in chunks may have any line.
    """
    sources = list(RunChunk.objects.filter(run_id=run_id).values_list("source_ug", flat=True))
    if not sources:
        return dict.fromkeys(LINE_CODES)
    totals: dict[str, int | None] = {}
    for line in LINE_CODES:
        amounts = [int(source[line]) for source in sources if line in source]
        if amounts:
            totals[line] = sum(amounts)
    return totals


def _spans(run_id: int) -> list[sql.Composable]:
    """Return conditions that cut the ledger into its chunks; the block range index finds their rows."""
    ordinals = RunChunk.objects.filter(run_id=run_id).values_list("ordinal", flat=True)
    spans: list[sql.Composable] = [
        sql.SQL("id BETWEEN {} AND {}").format(
            sql.Literal(first_ledger_id(run_id, ordinal)), sql.Literal(last_ledger_id(run_id, ordinal))
        )
        for ordinal in ordinals
    ]
    return spans or [sql.SQL("true")]


def total_ug(run_id: int, method: Method) -> sql.Composed:
    """Write the total of a row of a run's account totals by one method, in micrograms: over the lines of the run alone.

    In bigints where all of the run together is one, as `_sums`. What is not there counts as 0.
    """
    of_run = _line_totals_ug(run_id)
    lines = [line.name for line in LINES if line.method in {None, method} and line.name in of_run]
    known = [total for total in (of_run[line] for line in lines) if total is not None]
    kind = sql.SQL("bigint" if len(known) == len(lines) and sum(known) <= _BIGINT_MAX else "numeric")
    parts = [sql.SQL("COALESCE({}::{}, 0)").format(sql.Identifier(_amount_column(line)), kind) for line in lines]
    return sql.SQL(" + ").join([sql.SQL("0::{}").format(kind), *parts])


def _identifiers(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def _sums(columns: Sequence[str], line_totals_ug: Mapping[str, int | None], *, narrow: bool = False) -> sql.Composed:
    """Return the sums of columns of totals; `narrow` leaves them in bigints where they are, to be added up again.

    Adding up bigints is several times faster than adding up numerics, and as exact (128 bits inside). A column may be
    read as bigint where the total of its line over the whole run is one: no part of it is larger.
    """
    small = {
        column(line)
        for line, total_ug in line_totals_ug.items()
        if total_ug is not None and total_ug <= _BIGINT_MAX
        for column in (_amount_column, _estimated_column)
    }
    of_small = "sum({0}::bigint)::bigint AS {0}" if narrow else "sum({0}::bigint) AS {0}"
    return sql.SQL(", ").join(
        sql.SQL(of_small if name in small else "sum({0}) AS {0}").format(sql.Identifier(name)) for name in columns
    )


def _told_sums(lines: Sequence[str]) -> sql.Composed:
    """Return the sums of what is not withheld, and the counts of what is; null where there is none of it."""
    counts = sql.SQL(", ").join(
        sql.SQL("CASE WHEN bool_or(withheld = {}) THEN 1 END").format(sql.Literal(int(reason))) for reason in _WITHHELD
    )
    return sql.SQL(", ").join([_line_sums(lines, sql.SQL(" AND withheld IS NULL")), counts])


def _line_sums(lines: Sequence[str], told: sql.SQL = _ALL) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("sum({}) FILTER (WHERE line = {}{})").format(
            sql.Identifier(source), sql.Literal(LINE_CODES.index(line)), told
        )
        for source in ("ug", "estimated_ug")
        for line in lines
    )


def fill_container_totals(*, publication_id: int, run_id: int, month: dt.date) -> None:
    """Compute the container totals of a publication with the current tree, in four grains.

    The caller keeps the tree from changing (it has recorded its version with the publication).
    """
    line_totals = _line_totals_ug(run_id)
    columns = [*_columns_of(line_totals), *(_WITHHELD.values() if withholds(run_id) else ())]
    if not columns:
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(
            _CONTAINER_TOTALS.format(
                totals=sql.Identifier(partitions.account_totals_of(run_id).table),
                publication=sql.Literal(publication_id),
                month=sql.Literal(month),
                columns=_identifiers(columns),
                small_sums=_sums(columns, line_totals, narrow=True),
                sums=_sums(columns, line_totals),
            )
        )
