"""Account totals of the grains without a cluster, from those with one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from allocation.exchange.grains import write_grains
from allocation.exchange.sheet import numbered

if TYPE_CHECKING:
    from allocation.exchange.sheet import FineTotals

_TOTAL: Final = 0
_SERVICE: Final = 1


def write_coarse_totals(table: str, fine: FineTotals) -> None:
    """COPY the totals of accounts by service, and of accounts, into the table of a run's account totals."""
    accounts, account = numbered(fine.account)
    services, service = numbered(fine.service)
    pairs, amounts = fine.amounts.added_up(account * len(services) + service)
    write_grains(table, (_SERVICE, _TOTAL), pairs=pairs, amounts=amounts, account_ids=accounts, service_ids=services)
