"""The same roll-up by plain Django: `get_objects_for_user` and an aggregate over the ledger.

It knows neither months nor inheritance: only grants on accounts count, in every month. It does less than the API, which
asks the policies for each (node, month).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Sum
from guardian.shortcuts import get_objects_for_user

from accounts.models import Account
from allocation.models import LedgerRow
from tests.benchmarks.figure import Figure
from tests.benchmarks.stopwatch import repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.models import User
    from tests.benchmarks.enterprise import LargeEnterprise

LOCATION_BASED = (0, 1, 3, 5, 7, 9, 10)


def plain_orm_figures(large: LargeEnterprise, user: User, times: int) -> Iterator[Figure]:
    """Ask for the total by month and by service of the accounts on which the user has a grant of their own."""
    accounts = get_objects_for_user(user, "viewer", klass=Account, use_groups=True)
    rows = LedgerRow.objects.filter(
        account__in=accounts, run_id__in=large.runs, special=0, line__in=LOCATION_BASED
    ).order_by()
    work = f"{large.account_count:,} accounts, of them {accounts.count():,} granted, {len(large.runs)} months"
    for name, key in (("total by month", "run__month"), ("by service", "service_id")):
        taken = repeat(lambda key=key: list(rows.values(key).annotate(Sum("ug"))), times=times)  # type: ignore[misc] # bound now
        yield Figure("peers", work, f"Django's ORM on the ledger, {name}: p50", taken.p50_ms, "ms", "without HTTP")
