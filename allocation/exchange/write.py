"""A cluster's ledger into its run's partition: codes become ids set by set, rows go in by binary COPY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from django.db import connection
from psycopg import sql

from allocation.engine.frames import ENERGY_LINE, LINES
from allocation.exchange.columns import bigints, read_columns, texts, write_columns
from allocation.models import SpecialAccount

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from allocation.engine.frames import Ledger

LINE_CODES: Final = (*LINES, ENERGY_LINE)
"""Codes of the lines by their number in the ledger table."""

SPECIAL_ACCOUNTS: Final = {
    "(unallocated)": SpecialAccount.UNALLOCATED,
    "(provider)": SpecialAccount.PROVIDER,
}

_RUN_BITS: Final = 20
_CHUNK_BITS: Final = 12
_ROW_BITS: Final = 31


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


def prepare_codes(ledger: Ledger, *, provider_id: int) -> None:
    """Add the engine's own names (service `(unused)`, groups such as `(core services)`) to the catalogue.

    Runs in a transaction of its own, before the chunk's, so that chunks written side by side do not wait for each other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO allocation_service (provider_id, code, name, category)"
            " SELECT %s, code, '', '' FROM unnest(%s::text[]) code WHERE code LIKE '(%%' ORDER BY code"
            " ON CONFLICT DO NOTHING",
            [provider_id, sorted(set(ledger.services))],
        )
        accounts, groups = _account_group_pairs(ledger)
        for code in ("default", "Classic Infrastructure", "(core services)"):
            if code not in ledger.groups:
                continue
            owners = np.unique(accounts[groups == ledger.groups.index(code)])
            cursor.execute(
                "INSERT INTO accounts_resourcegroup (account_id, code, name)"
                " SELECT a.id, %s, '' FROM accounts_account a"
                " WHERE a.provider_id = %s AND a.external_id = ANY(%s::text[])"
                " AND NOT EXISTS (SELECT FROM accounts_resourcegroup g WHERE g.account_id = a.id AND g.code = %s)"
                " ORDER BY a.id ON CONFLICT DO NOTHING",
                [code, provider_id, [ledger.accounts[i] for i in owners], code],
            )


def write_ledger(ledger: Ledger, *, run_id: int, ordinal: int, cluster_id: int, provider_id: int, table: str) -> int:
    """COPY a cluster's ledger into a run's partition.

    Args:
        ledger: rows in the order of the export.
        run_id: the run, for the ids.
        ordinal: the chunk's place in the run, for the ids.
        cluster_id: the cluster.
        provider_id: whose codes the ledger names.
        table: the partition's table.

    Returns:
        The number of rows written.

    Raises:
        UnknownCodeError: a code is not in the catalogue.
        LedgerIdError: ids run out.
    """
    rows = len(ledger.ug)
    if rows >= 1 << _ROW_BITS:
        raise LedgerIdError(f"{rows} rows in one chunk")
    ids = first_ledger_id(run_id, ordinal) + np.arange(rows, dtype=np.int64)
    service_ids = _ids("allocation_service", "code", provider_id, ledger.services, ledger.service)
    special_of_code = np.array([SPECIAL_ACCOUNTS.get(code, SpecialAccount.NONE) for code in ledger.accounts], np.int16)
    special = special_of_code[ledger.account] if rows else np.empty(0, np.int16)
    lines = np.array([LINE_CODES.index(code) for code in ledger.lines], np.int16)
    ordinary = special == SpecialAccount.NONE
    account_ids = _ids(
        "accounts_account", "external_id", provider_id, ledger.accounts, ledger.account[ordinary]
    )
    common = {
        "id": (">i8", ids),
        "cluster_id": (">i8", np.full(rows, cluster_id, np.int64)),
        "service_id": (">i8", service_ids[ledger.service]),
        "special": (">i2", special),
        "line": (">i2", lines[ledger.line]),
        "quality": (">i2", ledger.quality),
        "ug": (">i8", ledger.ug),
        "estimated_ug": (">i8", ledger.estimated_ug),
        "estimated_ppm": (">i4", ledger.estimated_ppm),
    }
    target = sql.Identifier(table)
    owned = {name: (kind, values[ordinary]) for name, (kind, values) in common.items() if name != "special"}
    owned["account_id"] = (">i8", account_ids[ledger.account[ordinary]])
    owned["resource_group_id"] = (">i8", _group_ids(ledger, account_ids, ordinary))
    write_columns(target, owned)
    if not ordinary.all():
        write_columns(target, {name: (kind, values[~ordinary]) for name, (kind, values) in common.items()})
    return rows


def _ids(
    table: str, column: str, provider_id: int, codes: Sequence[str], used: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Return the id of every code in use, by its index; 0 where it is not used."""
    wanted = np.unique(used)
    ids = np.zeros(len(codes), np.int64)
    if not wanted.size:
        return ids
    found = read_columns(
        sql.SQL(
            "SELECT wanted.place, t.id FROM unnest({codes}) WITH ORDINALITY wanted (code, place)"
            " JOIN {table} t ON t.provider_id = {provider} AND t.{column} = wanted.code"
        ).format(
            codes=texts([codes[i] for i in wanted]),
            table=sql.Identifier(table),
            column=sql.Identifier(column),
            provider=sql.Literal(provider_id),
        ),
        {"place": ">i8", "id": ">i8"},
    )
    ids[wanted[found["place"] - 1]] = found["id"]
    missing = wanted[ids[wanted] == 0]
    if missing.size:
        raise UnknownCodeError(f"{table}: {codes[missing[0]]} and {missing.size - 1} more")
    return ids


def _account_group_pairs(ledger: Ledger) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct (account, group) pairs of ordinary accounts, as indexes."""
    keys = np.unique(ledger.account.astype(np.int64) * len(ledger.groups) + ledger.group)
    accounts, groups = np.divmod(keys, max(len(ledger.groups), 1))
    special = np.array([code in SPECIAL_ACCOUNTS for code in ledger.accounts], np.bool_)
    ordinary = ~special[accounts] if accounts.size else np.empty(0, np.bool_)
    return accounts[ordinary], groups[ordinary]


def _group_ids(
    ledger: Ledger, account_ids: npt.NDArray[np.int64], ordinary: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the id of the resource group of every ordinary row."""
    if not ordinary.any():
        return np.empty(0, np.int64)
    width = len(ledger.groups)
    key_of_row = ledger.account[ordinary].astype(np.int64) * width + ledger.group[ordinary]
    pairs, pair_of_row = np.unique(key_of_row, return_inverse=True)
    place_of_account = np.unique(pairs // width)
    found = read_columns(
        sql.SQL(
            "SELECT a.place, c.place, g.id"
            " FROM unnest({accounts}) WITH ORDINALITY a (id, place)"
            " JOIN accounts_resourcegroup g ON g.account_id = a.id"
            " JOIN unnest({codes}) WITH ORDINALITY c (code, place) ON c.code = g.code"
        ).format(accounts=bigints(account_ids[place_of_account].tolist()), codes=texts(ledger.groups)),
        {"account": ">i8", "group": ">i8", "id": ">i8"},
    )
    keys = place_of_account[found["account"] - 1] * width + (found["group"].astype(np.int64) - 1)
    order = np.argsort(keys)
    keys = keys[order]
    spots = np.searchsorted(keys, pairs)
    inside = spots < keys.size
    if not inside.all() or not (keys[spots] == pairs).all():
        raise UnknownCodeError("accounts_resourcegroup: a group of the ledger was never loaded")
    ids: npt.NDArray[np.int64] = found["id"].astype(np.int64)[order][spots][pair_of_row]
    return ids
