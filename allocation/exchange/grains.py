"""Account totals in two grains, with services and without, in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psycopg import sql

from allocation.exchange.columns import Cells, write_columns
from allocation.exchange.sheet import joined

if TYPE_CHECKING:
    from allocation.exchange.sheet import Keys, Sheet


def write_grains(  # noqa: PLR0913 what the numbers in a key stand for
    table: str,
    grains: tuple[int, int],
    *,
    pairs: Keys,
    amounts: Sheet,
    account_ids: Keys,
    service_ids: Keys,
    cluster_id: int | None = None,
) -> None:
    """COPY totals by account and service, and what they add up to by account, into a run's account totals.

    Args:
        table: the name of the table.
        grains: the number of the grain with services, and of that without.
        pairs: account x services + service, by place in the lists of ids; distinct, ascending.
        amounts: the totals of the pairs.
        account_ids: ids of the accounts.
        service_ids: ids of the services.
        cluster_id: the cluster that all of it belongs to, None for all clusters together.
    """
    account, service = np.divmod(pairs, max(len(service_ids), 1))
    owners, totals = amounts.added_up(account)
    rows = len(pairs) + len(owners)
    by_service = np.arange(rows) < len(pairs)
    keys = {
        "account_id": Cells(">i8", account_ids[np.concatenate([account, owners])]),
        "grain": Cells(">i2", np.where(by_service, *grains)),
        "service_id": Cells(">i8", np.resize(service_ids[service], rows), by_service),
    }
    if cluster_id is not None:
        keys["cluster_id"] = Cells(">i8", np.full(rows, cluster_id, np.int64))
    write_columns(sql.Identifier(table), keys | joined(amounts, totals).cells())
