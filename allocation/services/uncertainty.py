"""The uncertainty of a run's amounts by account, from its ledger and the uncertainties of its package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import connection

from accounts.services.refusal import require_operator
from allocation.engine.findings import Findings
from allocation.engine.frames import LINES
from allocation.engine.plan import survey
from allocation.engine.uncertainty import Uncertain, read_doubts, uncertain
from allocation.exchange.read import read_activity
from allocation.models import SpecialAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.policies import Viewer
    from allocation.engine.uncertainty import Pair
    from allocation.models import AllocationRun

EVERYBODY: Final = "(all)"
"""Stands for all accounts together."""

_AMOUNTS: Final = """
SELECT CASE ledger.special WHEN %(unallocated)s THEN '(unallocated)' WHEN %(provider)s THEN '(provider)'
            ELSE account.external_id END AS account,
       cluster.code, ledger.line, sum(ledger.ug)
  FROM allocation_ledgerrow ledger
  JOIN allocation_cluster cluster ON cluster.id = ledger.cluster_id
  LEFT JOIN accounts_account account ON account.id = ledger.account_id
 WHERE ledger.run_id = %(run)s AND ledger.line < %(energy)s
 GROUP BY 1, 2, 3
"""


class Row(NamedTuple):
    """An account's amount on a line or in a total, with its uncertainty."""

    account: str
    line: str
    amount: Uncertain


def uncertainties(*, viewer: Viewer, run: AllocationRun) -> Iterator[Row]:
    """Yield every account's lines and both totals, by code point; then those of all accounts together.

    Raises:
        PermissionDenied: the viewer is not an operator.
    """
    require_operator(viewer)
    activity = read_activity(run.package)
    clusters, doubts = survey(activity, Findings()).clusters, read_doubts(activity.tables["uncertainties"])
    by_account = _amounts_ug(run)
    everybody: dict[Pair, int] = {}
    for amounts in by_account.values():
        for pair, ug in amounts.items():
            everybody[pair] = everybody.get(pair, 0) + ug
    for account, amounts in [*sorted(by_account.items()), (EVERYBODY, everybody)]:
        for name, lines in _views().items():
            part = {pair: ug for pair, ug in amounts.items() if pair[1] in lines}
            if part:
                yield Row(account, name, uncertain(part, clusters, doubts))


def _views() -> dict[str, tuple[str, ...]]:
    """Return the lines by name, and the two totals, which are never added."""
    location = tuple(line for line in LINES if not line.endswith("_mbm"))
    market = tuple(line for line in LINES if not line.endswith("_lbm"))
    return {line: (line,) for line in LINES} | {"total_lbm": location, "total_mbm": market}


def _amounts_ug(run: AllocationRun) -> dict[str, dict[Pair, int]]:
    """Return the micrograms of every account by cluster and line."""
    amounts: dict[str, dict[Pair, int]] = {}
    with connection.cursor() as cursor:
        parameters = {
            "run": run.pk,
            "energy": len(LINES),
            "unallocated": int(SpecialAccount.UNALLOCATED),
            "provider": int(SpecialAccount.PROVIDER),
        }
        cursor.execute(_AMOUNTS, parameters)
        for account, cluster, line, ug in cursor.fetchall():
            amounts.setdefault(account, {})[cluster, LINES[line]] = int(ug)
    return amounts
