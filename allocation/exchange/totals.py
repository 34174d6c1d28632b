"""Account totals of one cluster from the arrays of its ledger: by account and service, and by account.

What SQL would add up from the same rows after they are written; the proof of a run compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocation.engine.frames import LINES
from allocation.engine.leaves import INT64_MAX
from allocation.exchange.distinct import distinct_with_places
from allocation.exchange.grains import write_grains
from allocation.exchange.sheet import Sheet
from allocation.selectors.amounts import COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from allocation.engine.frames import Ledger
    from allocation.engine.leaves import Integers

_CLUSTER: Final = 2
_SERVICE_AND_CLUSTER: Final = 3
_ESTIMATED: Final = len(LINES) + 1
"""How far the estimated part of a line stands behind it in `COLUMNS`."""


def write_account_totals(  # noqa: PLR0913 what the ledger's codes stand for is known where it is written
    table: str,
    ledger: Ledger,
    *,
    ordinary: npt.NDArray[np.bool_],
    lines: npt.NDArray[np.int16],
    account_ids: npt.NDArray[np.int64],
    service_ids: npt.NDArray[np.int64],
    cluster_id: int,
) -> None:
    """COPY the totals of a cluster's accounts, and those by service, into the table of a run's account totals.

    Args:
        table: the name of the table.
        ledger: the cluster's ledger.
        ordinary: its rows with an account: special accounts have no totals.
        lines: numbers of the ledger's lines in the ledger table.
        account_ids: ids of the ledger's accounts, by index.
        service_ids: ids of its services, by index.
        cluster_id: the cluster.
    """
    if not ordinary.any():
        return
    pairs, fine = _summed(ledger, ordinary, lines)
    write_grains(
        table,
        (_SERVICE_AND_CLUSTER, _CLUSTER),
        pairs=pairs,
        amounts=fine,
        account_ids=account_ids,
        service_ids=service_ids,
        cluster_id=cluster_id,
    )


def _summed(
    ledger: Ledger, ordinary: npt.NDArray[np.bool_], lines: npt.NDArray[np.int16]
) -> tuple[npt.NDArray[np.int64], Sheet]:
    """Add the ordinary rows of a ledger up by pair of account and service, written as account x services + service.

    Rows of a pair lie side by side on each line in the order of the export: stretches are added up first.
    """
    line = ledger.line[ordinary]
    pair = ledger.account[ordinary].astype(np.int64) * len(ledger.services) + ledger.service[ordinary]
    starts = np.flatnonzero(np.append(True, (pair[1:] != pair[:-1]) | (line[1:] != line[:-1])))
    pairs, column = distinct_with_places(pair[starts], bound=len(ledger.accounts) * len(ledger.services))
    # No sum is larger than what the line has in the cluster; where that is too large for 64 bits, Python adds up.
    kind: Any = object if max(ledger.source_ug.values()) > INT64_MAX else np.int64
    amounts = np.add.reduceat(ledger.ug[ordinary].astype(kind), starts)
    estimated = np.add.reduceat(ledger.estimated_ug[ordinary].astype(kind), starts)
    values: dict[str, Integers] = {}
    present: dict[str, npt.NDArray[np.bool_]] = {}
    for place, number in enumerate(lines.tolist()):
        on_line = line[starts] == place
        if not on_line.any():
            continue
        there = np.zeros(len(pairs), dtype=bool)
        there[column[on_line]] = True
        for name, parts in ((COLUMNS[number], amounts), (COLUMNS[_ESTIMATED + number], estimated)):
            values[name], present[name] = np.zeros(len(pairs), dtype=kind), there
            np.add.at(values[name], column[on_line], parts[on_line])
    return pairs, Sheet(values, present)
