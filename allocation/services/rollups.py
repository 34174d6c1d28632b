"""Roll-ups: account totals from the ledger, container totals from account totals and the tree of the month.

Sums are exact. A line that does not exist somewhere stays NULL there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import connection
from psycopg import sql

from allocation.exchange.coarse import write_coarse_totals
from allocation.exchange.containers import write_container_totals
from allocation.exchange.sheet import read_fine_totals
from allocation.exchange.write import LINE_CODES, first_ledger_id, last_ledger_id
from allocation.models import RunChunk, Withheld
from allocation.services import partitions
from allocation.services.withholding import withholds

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from allocation.exchange.sheet import FineTotals


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


def fill_account_totals(run_id: int) -> None:
    """Compute the account totals of a run in four grains and attach them."""
    complete_account_totals(run_id)
    partitions.attach(partitions.account_totals_of(run_id))


def complete_account_totals(run_id: int) -> FineTotals:
    """Compute what is missing of a run's account totals and index them; done again, it does the same.

    What has a cluster was written with the chunks, or is added up from the ledger: where something is withheld, and
    for a ledger that nobody wrote in chunks. Special accounts have no totals: they are not nodes.

    Returns:
        The finest grain.
    """
    totals = partitions.account_totals_of(run_id)
    withheld = withholds(run_id)
    if withheld or not partitions.exists(totals):
        partitions.create(totals)
        _fill_from_ledger(run_id, withheld=withheld)
    else:
        with connection.cursor() as cursor:
            # Of an attempt that came as far as this.
            cursor.execute(sql.SQL("DELETE FROM {} WHERE grain < 2").format(sql.Identifier(totals.table)))
    with connection.cursor() as cursor:
        # Of a table that nobody has analysed the rows are sorted to be read.
        cursor.execute("SET LOCAL work_mem = '128MB'")
    fine = fine_totals(run_id)
    write_coarse_totals(totals.table, fine)
    partitions.index(totals)
    return fine


def _fill_from_ledger(run_id: int, *, withheld: bool) -> None:
    line_totals = _line_totals_ug(run_id)
    lines = [line for line in LINE_CODES if line in line_totals]
    if not lines:
        return
    columns = [*_columns_of(line_totals), *(_WITHHELD.values() if withheld else ())]
    names = {
        "target": sql.Identifier(partitions.account_totals_of(run_id).table),
        "ledger": sql.Identifier(partitions.ledger_of(run_id).table),
        "columns": _identifiers(columns),
        "sums": _sums(columns, line_totals),
        "line_sums": _told_sums(lines) if withheld else _line_sums(lines),
    }
    partitions.index_chunks(run_id)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        for span in _spans(run_id):
            cursor.execute(_FINE.format(span=span, **names))
        cursor.execute(_BY_CLUSTER.format(**names))


def fine_totals(run_id: int) -> FineTotals:
    """Read the account totals of a run by service and cluster."""
    table = partitions.account_totals_of(run_id).table
    line_totals = _line_totals_ug(run_id)
    largest = {
        column(line): total_ug
        for column in (_amount_column, _estimated_column)
        for line, total_ug in line_totals.items()
    }
    unknown = [name for name, total_ug in largest.items() if total_ug is None]
    if unknown:
        statement = sql.SQL("SELECT {} FROM {} WHERE grain = 3").format(
            sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(name)) for name in unknown),
            sql.Identifier(table),
        )
        with connection.cursor() as cursor:
            cursor.execute(statement)
            largest |= dict(zip(unknown, cursor.fetchone(), strict=True))
    # A line that is nowhere has no sum.
    known = {name: int(total_ug) for name, total_ug in largest.items() if total_ug is not None}
    return read_fine_totals(table, known | (dict.fromkeys(_WITHHELD.values(), 0) if withholds(run_id) else {}))


def account_sums(fine: FineTotals) -> dict[tuple[int, str], tuple[int, int]]:
    """Add stored account totals up by cluster and line: micrograms (Wh of energy), and their estimated part."""
    clusters, sums = fine.amounts.added_up(fine.cluster)
    found = {}
    for line in LINE_CODES:
        amount, estimated = _amount_column(line), _estimated_column(line)
        if amount in sums.values:
            told = sums.present[amount].tolist()
            columns = clusters.tolist(), sums.values[amount].tolist(), sums.values[estimated].tolist()
            for there, cluster_id, *both in zip(told, *columns, strict=True):
                if there:
                    found[cluster_id, line] = (both[0], both[1])
    return found


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
    """Return conditions that cut the ledger into its chunks."""
    ordinals = RunChunk.objects.filter(run_id=run_id).values_list("ordinal", flat=True)
    spans: list[sql.Composable] = [
        sql.SQL("id BETWEEN {} AND {}").format(
            sql.Literal(first_ledger_id(run_id, ordinal)), sql.Literal(last_ledger_id(run_id, ordinal))
        )
        for ordinal in ordinals
    ]
    return spans or [sql.SQL("true")]


def _identifiers(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)


def _sums(columns: Sequence[str], line_totals_ug: Mapping[str, int | None]) -> sql.Composed:
    """Return the sums of columns of totals.

    Adding up bigints is several times faster than adding up numerics, and as exact (128 bits inside). A column may be
    read as bigint where the total of its line over the whole run is one: no part of it is larger.
    """
    small = {
        column(line)
        for line, total_ug in line_totals_ug.items()
        if total_ug is not None and total_ug <= _BIGINT_MAX
        for column in (_amount_column, _estimated_column)
    }
    return sql.SQL(", ").join(
        sql.SQL("sum({}::bigint)" if name in small else "sum({})").format(sql.Identifier(name)) for name in columns
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
    fine = fine_totals(run_id)
    if fine.amounts.values:
        write_container_totals(publication_id=publication_id, month=month, fine=fine)
