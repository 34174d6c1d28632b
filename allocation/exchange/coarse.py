"""Account totals of the grains without a cluster, from those with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from psycopg import sql

from allocation.exchange.columns import Cells, write_columns
from allocation.exchange.sheet import joined, numbered

if TYPE_CHECKING:
    from allocation.exchange.sheet import FineTotals

_TOTAL: Final = 0
_SERVICE: Final = 1


def write_coarse_totals(table: str, fine: FineTotals) -> None:
    """COPY the totals of accounts by service, and of accounts, into the table of a run's account totals."""
    accounts, account = numbered(fine.account)
    services, service = numbered(fine.service)
    pairs, by_service = fine.amounts.added_up(account * len(services) + service)
    account_of_pair, service_of_pair = np.divmod(pairs, max(len(services), 1))
    owners, totals = by_service.added_up(account_of_pair)
    rows = len(pairs) + len(owners)
    is_by_service = np.arange(rows) < len(pairs)
    keys = {
        "account_id": Cells(">i8", accounts[np.concatenate([account_of_pair, owners])]),
        "grain": Cells(">i2", np.where(is_by_service, _SERVICE, _TOTAL)),
        "service_id": Cells(">i8", np.resize(services[service_of_pair], rows), is_by_service),
    }
    write_columns(sql.Identifier(table), keys | joined(by_service, totals).cells())
