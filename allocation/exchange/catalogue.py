"""Codes of a package to rows of the catalogue: what is missing is created, set by set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from django.db import connection
from psycopg import sql

from accounts.models.account import AccountKind
from accounts.models.enterprise import NodeStatus
from allocation.exchange.columns import read_columns
from allocation.exchange.copying import copy_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

Ids = dict[str, int]
"""Row ids by code."""

_LONGEST_NAME: Final = 200
_ACCOUNT_BITS: Final = 32

_KNOWN_GROUPS: Final = """
SELECT given.n, known.id FROM load_group given
  JOIN accounts_resourcegroup known ON known.account_id = given.account_id AND known.code = given.code
"""


def cluster_ids(provider_id: int, codes: Sequence[str]) -> Ids:
    """Return the clusters of a provider by code."""
    return _codes("allocation_cluster", provider_id, codes)


def region_ids(provider_id: int, codes: Sequence[str]) -> Ids:
    """Return the regions of a provider by code."""
    return _codes("allocation_region", provider_id, codes)


def service_ids(provider_id: int, services: pd.DataFrame) -> Ids:
    """Return the services of a provider by code; the names given are taken over."""
    codes = services["service"].to_list()
    names = [(name or "")[:_LONGEST_NAME] for name in services["name"]]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO allocation_service AS known (provider_id, code, name, category)
            SELECT %s, code, name, '' FROM unnest(%s::text[], %s::text[]) AS given (code, name)
            ON CONFLICT (provider_id, code) DO UPDATE SET name = excluded.name
             WHERE excluded.name <> '' AND known.name <> excluded.name
            """,
            [provider_id, codes, names],
        )
    return _ids("allocation_service", "code", provider_id, codes)


def account_ids(provider_id: int, accounts: pd.DataFrame) -> Ids:
    """Return the accounts of a provider by code. Missing ones stand alone until a directory claims them.

    Accounts that exist keep their name, kind and status: those belong to the hierarchy.
    """
    codes = accounts["account"].to_list()
    names = [(name or "")[:_LONGEST_NAME] for name in accounts["name"]]
    kinds = [str(AccountKind.INTERNAL if internal else AccountKind.CUSTOMER) for internal in accounts["internal"]]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO accounts_account (provider_id, external_id, name, kind, status)
            SELECT %s, code, name, kind, %s FROM unnest(%s::text[], %s::text[], %s::text[]) AS given (code, name, kind)
            ON CONFLICT (provider_id, external_id) DO NOTHING
            """,
            [provider_id, str(NodeStatus.ACTIVE), codes, names, kinds],
        )
    return _ids("accounts_account", "external_id", provider_id, codes)


class GroupPairs:
    """The distinct (account, resource group) pairs of a package, as indices into its lists of codes."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.int64]] = []
        self._held = 0
        self._distinct = 0

    def add(self, account: npt.NDArray[np.int32], group: npt.NDArray[np.int32]) -> None:
        """Add pairs, repeated ones too."""
        part = _distinct(_joined(account, group))
        self._parts.append(part)
        self._held += len(part)
        if self._held > 2 * self._distinct + (1 << 20):
            self.joined()

    def joined(self) -> npt.NDArray[np.int64]:
        """Return the pairs in ascending order: account × 2³² + group."""
        self._parts = [_distinct(np.concatenate([np.empty(0, np.int64), *self._parts]))]
        self._held = self._distinct = len(self._parts[0])
        return self._parts[0]


class GroupIds:
    """Ids of the resource groups of a package; missing groups are created."""

    def __init__(self, pairs: GroupPairs, accounts: npt.NDArray[np.int64], groups: Sequence[str]) -> None:
        """`accounts` are the ids of the package's accounts by index, `groups` its group codes."""
        self._pairs = pairs.joined()
        owner = accounts[self._pairs >> _ACCOUNT_BITS]
        codes = pa.array(groups, type=pa.string()).take(pa.array(self._pairs & ((1 << _ACCOUNT_BITS) - 1)))
        given = pa.table([pa.array(np.arange(len(owner))), pa.array(owner), codes], names=["n", "account_id", "code"])
        with connection.cursor() as cursor:
            cursor.execute(
                'CREATE TEMPORARY TABLE load_group (n integer, account_id bigint, code text COLLATE "C") ON COMMIT DROP'
            )
            copy_rows("load_group", given.column_names, [given])
            cursor.execute("ANALYZE load_group")
            # All that is missing is known before the first of it is inserted: looking for the next one in a table that
            # was empty would walk over everything inserted so far.
            cursor.execute(
                """
                CREATE TEMPORARY TABLE load_missing ON COMMIT DROP AS
                SELECT account_id, code FROM load_group given
                 WHERE NOT EXISTS (SELECT FROM accounts_resourcegroup known
                                    WHERE known.account_id = given.account_id AND known.code = given.code);
                INSERT INTO accounts_resourcegroup (account_id, code, name)
                SELECT account_id, code, '' FROM load_missing
                ON CONFLICT (account_id, code) DO NOTHING;
                DROP TABLE load_missing
                """
            )
            found = read_columns(sql.Composed([sql.SQL(_KNOWN_GROUPS)]), {"n": ">i4", "id": ">i8"})
            cursor.execute("DROP TABLE load_group")
        self._ids = np.zeros(len(owner), dtype=np.int64)
        self._ids[found["n"]] = found["id"]

    def of(self, account: npt.NDArray[np.int32], group: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the id of each pair."""
        return self._ids[np.searchsorted(self._pairs, _joined(account, group))]


def _distinct(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the distinct values in ascending order; sorting beats the hashing of `numpy.unique` here."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _joined(account: npt.NDArray[np.int32], group: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    return (account.astype(np.int64) << _ACCOUNT_BITS) + group


def _codes(table: str, provider_id: int, codes: Sequence[str]) -> Ids:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (provider_id, code) SELECT %s, unnest(%s::text[])"
            " ON CONFLICT (provider_id, code) DO NOTHING",
            [provider_id, list(codes)],
        )
    return _ids(table, "code", provider_id, codes)


def _ids(table: str, column: str, provider_id: int, codes: Sequence[str]) -> Ids:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column}, id FROM {table} WHERE provider_id = %s AND {column} = ANY(%s)",  # noqa: S608 - names of ours
            [provider_id, list(codes)],
        )
        return dict(cursor.fetchall())
