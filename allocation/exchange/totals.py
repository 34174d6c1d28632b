"""Account totals of one cluster from the arrays of its ledger: by account and service, and by account.

What SQL would add up from the same rows after they are written; the proof of a run compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from allocation.engine.frames import LINES
from allocation.engine.leaves import INT64_MAX
from allocation.exchange.copying import copy_rows
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
    fine = _summed(ledger, ordinary)
    coarse, accounts = fine.by_account(len(ledger.services))
    account, service = np.divmod(fine.pairs, len(ledger.services))
    sizes = len(account), len(accounts)
    columns: dict[str, pa.Array] = {
        "account_id": pa.array(account_ids[np.concatenate([account, accounts])]),
        "grain": pa.array(np.repeat(np.array([_SERVICE_AND_CLUSTER, _CLUSTER], np.int16), sizes)),
        "service_id": pa.array(np.resize(service_ids[service], sum(sizes)), mask=np.arange(sum(sizes)) >= sizes[0]),
        "cluster_id": pa.array(np.full(sum(sizes), cluster_id, np.int64)),
    }
    for place, line in enumerate(lines.tolist()):
        present = np.concatenate([fine.present[place], coarse.present[place]])
        if present.any():
            columns[COLUMNS[line]] = _nullable(np.concatenate([fine.amounts[place], coarse.amounts[place]]), present)
            estimated = np.concatenate([fine.estimated[place], coarse.estimated[place]])
            columns[COLUMNS[_ESTIMATED + line]] = _nullable(estimated, present)
    copy_rows(table, columns, [pa.table(columns)])


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums by line and by pair of account and service, written as account x services + service, in ascending order."""

    pairs: npt.NDArray[np.int64]
    present: npt.NDArray[np.bool_]
    amounts: Integers
    estimated: Integers

    def by_account(self, services: int) -> tuple[_Sums, npt.NDArray[np.int64]]:
        """Return the sums of each account, and the accounts."""
        account = self.pairs // services
        starts = np.flatnonzero(np.append(True, account[1:] != account[:-1]))
        sums = _Sums(
            self.pairs[starts],
            np.logical_or.reduceat(self.present, starts, axis=1),
            np.add.reduceat(self.amounts, starts, axis=1),
            np.add.reduceat(self.estimated, starts, axis=1),
        )
        return sums, account[starts]


def _summed(ledger: Ledger, ordinary: npt.NDArray[np.bool_]) -> _Sums:
    """Add the ordinary rows of a ledger up.

    Rows of a pair lie side by side on each line in the order of the export: stretches are added up first.
    """
    line = ledger.line[ordinary]
    pair = ledger.account[ordinary].astype(np.int64) * len(ledger.services) + ledger.service[ordinary]
    starts = np.flatnonzero(np.append(True, (pair[1:] != pair[:-1]) | (line[1:] != line[:-1])))
    pairs, column = np.unique(pair[starts], return_inverse=True)
    cells = (line[starts], column)
    size = (len(ledger.lines), len(pairs))
    present = np.zeros(size, dtype=bool)
    present[cells] = True
    # No sum is larger than what the line has in the cluster; where that is too large for 64 bits, Python adds up.
    kind: Any = object if max(ledger.source_ug.values()) > INT64_MAX else np.int64
    amounts, estimated = np.zeros(size, dtype=kind), np.zeros(size, dtype=kind)
    np.add.at(amounts, cells, np.add.reduceat(ledger.ug[ordinary].astype(kind), starts))
    np.add.at(estimated, cells, np.add.reduceat(ledger.estimated_ug[ordinary].astype(kind), starts))
    return _Sums(pairs, present, amounts, estimated)


def _nullable(values: Integers, present: npt.NDArray[np.bool_]) -> pa.Array:
    """Return the integers, null where the line is not there."""
    if values.dtype == object:
        return pa.array([str(value) if there else None for value, there in zip(values, present, strict=True)])
    return pa.array(values, mask=~present)
