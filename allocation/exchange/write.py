"""A cluster's ledger into its run's partition: codes become ids set by set, rows go in by binary COPY."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from django.db import connection
from psycopg import sql

from allocation.engine.frames import ENERGY_LINE, LINES, QUALITIES
from allocation.exchange.columns import Cells, bigints, read_bigints, texts, write_columns
from allocation.exchange.distinct import distinct_with_places
from allocation.exchange.totals import write_account_totals
from allocation.models import SpecialAccount

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from allocation.engine.frames import Ledger

LINE_CODES: Final = (*LINES, ENERGY_LINE)
"""Codes of the lines by their number in the ledger table; energy, in Wh, is the last."""

QUALITY_CODES: Final = QUALITIES
"""Classes of quality by their number in the ledger table, from strongest to weakest."""

SPECIAL_ACCOUNTS: Final = {
    "(unallocated)": SpecialAccount.UNALLOCATED,
    "(provider)": SpecialAccount.PROVIDER,
}

ENGINE_SERVICES: Final = frozenset({"(unused)"})
ENGINE_GROUPS: Final = frozenset({"default", "Classic Infrastructure", "(core services)"})

_RUN_BITS: Final = 20
_CHUNK_BITS: Final = 12
_ROW_BITS: Final = 31


def last_ledger_id(run_id: int, ordinal: int) -> int:
    """Return the largest id that a row of a chunk can have."""
    return first_ledger_id(run_id, ordinal) + (1 << _ROW_BITS) - 1


def run_of_ledger_id(ledger_id: int) -> int:
    """Return the run that a ledger id begins with."""
    return ledger_id >> (_CHUNK_BITS + _ROW_BITS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cluster's ledger goes: its run and place in it, cluster, provider, and the partition's table.

    `totals_table`: where the totals of its accounts go, if they are wanted.
    """

    run_id: int
    ordinal: int
    cluster_id: int
    provider_id: int
    table: str
    totals_table: str | None = None


class UnknownCodeError(Exception):
    """The engine returned a code that the catalogue does not know."""


class LedgerIdError(Exception):
    """The run, the chunk or the row lies beyond the range of a ledger id."""


def first_ledger_id(run_id: int, ordinal: int) -> int:
    """Return the id of the first row of a chunk: 20 bits of run, 12 of chunk, 31 of row.

    Raises:
        LedgerIdError: more than 2²⁰ runs or 2¹² chunks.
    """
    if not (0 <= run_id < 1 << _RUN_BITS and 0 <= ordinal < 1 << _CHUNK_BITS):
        raise LedgerIdError(f"run {run_id}, chunk {ordinal}")
    return ((run_id << _CHUNK_BITS) + ordinal) << _ROW_BITS


def write_ledger(ledger: Ledger, place: Place) -> int:
    """COPY a cluster's ledger, in the order of the export, into a run's partition, and the totals of its accounts.

    Returns:
        The number of rows written.

    Raises:
        UnknownCodeError: a code is not in the catalogue.
        LedgerIdError: ids run out.
    """
    rows = len(ledger.ug)
    if rows >= 1 << _ROW_BITS:
        raise LedgerIdError(f"{rows} rows in one chunk")
    ids = first_ledger_id(place.run_id, place.ordinal) + np.arange(rows, dtype=np.int64)
    _add_engine_services(ledger, provider_id=place.provider_id)
    service_ids = _ids("allocation_service", "code", place.provider_id, ledger.services, ledger.service)
    special_of_code = np.array([SPECIAL_ACCOUNTS.get(code, SpecialAccount.NONE) for code in ledger.accounts], np.int16)
    special = special_of_code[ledger.account] if rows else np.empty(0, np.int16)
    lines = np.array([LINE_CODES.index(code) for code in ledger.lines], np.int16)
    ordinary = special == SpecialAccount.NONE
    account_ids = _ids("accounts_account", "external_id", place.provider_id, ledger.accounts, ledger.account[ordinary])
    target = sql.Identifier(place.table)
    group_ids = np.zeros(rows, np.int64)
    group_ids[ordinary] = _group_ids(ledger, account_ids, ordinary)
    write_columns(
        target,
        {
            "id": Cells(">i8", ids),
            "cluster_id": Cells(">i8", np.full(rows, place.cluster_id, np.int64)),
            "service_id": Cells(">i8", service_ids[ledger.service]),
            "special": Cells(">i2", special),
            "line": Cells(">i2", lines[ledger.line]),
            "quality": Cells(">i2", ledger.quality),
            "ug": Cells(">i8", ledger.ug),
            "estimated_ug": Cells(">i8", ledger.estimated_ug),
            "estimated_ppm": Cells(">i4", ledger.estimated_ppm),
            "account_id": Cells(">i8", account_ids[ledger.account], ordinary),
            "resource_group_id": Cells(">i8", group_ids, ordinary),
        },
    )
    if place.totals_table is not None:
        write_account_totals(
            place.totals_table,
            ledger,
            ordinary=ordinary,
            lines=lines,
            account_ids=account_ids,
            service_ids=service_ids,
            cluster_id=place.cluster_id,
        )
    return rows


def _ids(
    table: str, column: str, provider_id: int, codes: Sequence[str], used: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Return the id of every code in use, by its index; 0 where it is not used."""
    seen = np.zeros(len(codes), dtype=bool)
    seen[used] = True
    wanted = np.flatnonzero(seen)
    ids = np.zeros(len(codes), np.int64)
    if not wanted.size:
        return ids
    found = read_bigints(
        sql.SQL(
            "SELECT wanted.place, t.id FROM unnest({codes}) WITH ORDINALITY wanted (code, place)"
            " JOIN {table} t ON t.provider_id = {provider} AND t.{column} = wanted.code"
        ).format(
            codes=texts([codes[i] for i in wanted.tolist()]),
            table=sql.Identifier(table),
            column=sql.Identifier(column),
            provider=sql.Literal(provider_id),
        ),
        ("place", "id"),
    )
    ids[wanted[found["place"] - 1]] = found["id"]
    missing = wanted[ids[wanted] == 0]
    if missing.size:
        raise UnknownCodeError(f"{table}: {codes[int(missing[0])]} and {missing.size - 1} more")
    return ids


def _group_ids(
    ledger: Ledger, account_ids: npt.NDArray[np.int64], ordinary: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the id of the resource group of every ordinary row."""
    if not ordinary.any():
        return np.empty(0, np.int64)
    width = len(ledger.groups)
    key_of_row = ledger.account[ordinary].astype(np.int64) * width + ledger.group[ordinary]
    pairs, pair_of_row = distinct_with_places(key_of_row, bound=len(ledger.accounts) * width)
    ids = _find_groups(ledger, account_ids, pairs)
    missing = pairs[ids == 0]
    if missing.size:
        _add_engine_groups(ledger, account_ids, missing)
        ids = _find_groups(ledger, account_ids, pairs)
    return ids[pair_of_row]


def _find_groups(
    ledger: Ledger, account_ids: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the id of each (account, group) pair, 0 where there is none."""
    width = len(ledger.groups)
    accounts = np.unique(pairs // width)
    found = read_bigints(
        sql.SQL(
            "SELECT a.place, c.place, g.id"
            " FROM unnest({accounts}) WITH ORDINALITY a (id, place)"
            " JOIN accounts_resourcegroup g ON g.account_id = a.id"
            " JOIN unnest({codes}) WITH ORDINALITY c (code, place) ON c.code = g.code"
        ).format(accounts=bigints(account_ids[accounts].tolist()), codes=texts(ledger.groups)),
        ("account", "group", "id"),
    )
    keys = accounts[found["account"] - 1] * width + (found["group"] - 1)
    places = np.searchsorted(pairs, keys)
    known = (places < pairs.size) & (pairs[np.minimum(places, pairs.size - 1)] == keys)
    ids = np.zeros(pairs.size, np.int64)
    ids[places[known]] = found["id"][known]
    return ids


def _add_engine_groups(ledger: Ledger, account_ids: npt.NDArray[np.int64], missing: npt.NDArray[np.int64]) -> None:
    """Create the groups that only the engine makes; loading has created all others.

    In one order for everybody, so that chunks written side by side may wait for each other but never in a circle.
    """
    accounts, groups = np.divmod(missing, len(ledger.groups))
    strangers = {ledger.groups[i] for i in groups} - ENGINE_GROUPS
    if strangers:
        raise UnknownCodeError(f"accounts_resourcegroup: {min(strangers)} and {len(strangers) - 1} more")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_resourcegroup (account_id, code, name)"
            " SELECT account, code, '' FROM unnest(%s::bigint[], %s::text[]) pair (account, code)"
            " ORDER BY account, code ON CONFLICT DO NOTHING",
            [account_ids[accounts].tolist(), [ledger.groups[i] for i in groups]],
        )


def _add_engine_services(ledger: Ledger, *, provider_id: int) -> None:
    """Create the services that only the engine knows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO allocation_service (provider_id, code, name, category)"
            " SELECT %s, wanted, '', '' FROM unnest(%s::text[]) wanted"
            " WHERE NOT EXISTS (SELECT FROM allocation_service WHERE provider_id = %s AND code = wanted)"
            " ON CONFLICT DO NOTHING",
            [provider_id, sorted(ENGINE_SERVICES.intersection(ledger.services)), provider_id],
        )
