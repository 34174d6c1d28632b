"""A stored ledger back as the engine's arrays, to be compared with what was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psycopg import sql

from accounts.models import Account, ResourceGroup
from allocation.engine.frames import Ledger
from allocation.exchange.columns import read_columns
from allocation.exchange.write import LINE_CODES, first_ledger_id, last_ledger_id
from allocation.models import Service, SpecialAccount

if TYPE_CHECKING:
    import numpy.typing as npt
    from django.db.models import QuerySet

    from allocation.models import AllocationRun, RunChunk

_COLUMNS = {
    "service": ">i8",
    "account": ">i8",
    "group": ">i8",
    "special": ">i2",
    "line": ">i2",
    "quality": ">i2",
    "ug": ">i8",
    "estimated_ug": ">i8",
    "estimated_ppm": ">i4",
}


def stored_ledger(run: AllocationRun, chunk: RunChunk) -> Ledger:
    """Read the ledger of one chunk as it is stored, in the order of the export."""
    rows = read_columns(
        sql.SQL(
            "SELECT service_id, coalesce(account_id, 0), coalesce(resource_group_id, 0), special, line, quality, ug,"
            " estimated_ug, estimated_ppm FROM allocation_ledgerrow"
            " WHERE run_id = {run} AND cluster_id = {cluster} AND id BETWEEN {first} AND {last} ORDER BY id"
        ).format(
            run=sql.Literal(run.pk),
            cluster=sql.Literal(chunk.cluster_id),
            first=sql.Literal(first_ledger_id(run.pk, chunk.ordinal)),
            last=sql.Literal(last_ledger_id(run.pk, chunk.ordinal)),
        ),
        _COLUMNS,
    )
    # Special accounts have no id: negative numbers stand for them here.
    account = np.where(rows["special"] == 0, rows["account"], -rows["special"].astype(np.int64))
    accounts, account_index = _coded(account, Account.objects.all(), "external_id", _SPECIAL_CODES)
    groups, group_index = _grouped(rows["group"].astype(np.int64))
    services, service_index = _coded(rows["service"].astype(np.int64), Service.objects.all(), "code", {})
    return Ledger(
        cluster=chunk.cluster.code,
        services=services,
        accounts=accounts,
        groups=groups,
        lines=LINE_CODES,
        service=service_index,
        account=account_index,
        group=group_index,
        line=rows["line"].astype(np.int16),
        ug=rows["ug"].astype(np.int64),
        estimated_ug=rows["estimated_ug"].astype(np.int64),
        estimated_ppm=rows["estimated_ppm"].astype(np.int32),
        quality=rows["quality"].astype(np.int16),
    )


_SPECIAL_CODES = {
    -int(SpecialAccount.UNALLOCATED): "(unallocated)",
    -int(SpecialAccount.PROVIDER): "(provider)",
}


def _coded(
    ids: npt.NDArray[np.int64], rows: QuerySet[Account] | QuerySet[Service], field: str, special: dict[int, str]
) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Return the codes of the ids in use, and each row's index into them."""
    used, index = np.unique(ids, return_inverse=True)
    codes = special | dict(rows.filter(pk__in=[int(i) for i in used if i > 0]).values_list("pk", field))
    return tuple(codes.get(int(i), f"#{i}") for i in used), index.astype(np.int32)


def _grouped(ids: npt.NDArray[np.int64]) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Return the distinct codes of the resource groups in use, and each row's index into them; 0 is `default`."""
    used, index = np.unique(ids, return_inverse=True)
    found = dict(ResourceGroup.objects.filter(pk__in=[int(i) for i in used if i > 0]).values_list("pk", "code"))
    found[0] = "default"
    codes = sorted(set(found.values()))
    place = {code: i for i, code in enumerate(codes)}
    of_id = np.array([place[found[int(i)]] for i in used], np.int32)
    return tuple(codes), of_id[index] if ids.size else np.empty(0, np.int32)
