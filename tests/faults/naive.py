"""A worker's task as one writes it without a second thought: late acknowledgement, and trust that it runs once.

No claim, no lease, no token; each cluster is committed when it is written, and who wrote it is nobody's business. The
suite has to find it out: a campaign with `--naive` that finds nothing wrong would prove that the suite proves nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from allocation.exchange.write import Place, write_ledger
from allocation.models import RUNNING, AllocationRun, Cluster, LedgerRow, RunChunk, RunState
from allocation.services import execution, partitions
from allocation.services.calculation import compute
from allocation.services.digests import chunk_digest, ledger_digest
from allocation.services.rollups import fill_account_totals
from allocation.services.transitions import record
from tests.faults.steps import VARIABLE
from tests.faults.warrants import Warrants

if TYPE_CHECKING:
    from allocation.services.calculation import Computation

STEP = "chunk committed"
WARRANTS = Warrants(Path(os.environ[VARIABLE])) if VARIABLE in os.environ else None
WAY = (RunState.READING, RunState.ALLOCATING, RunState.WRITING, RunState.PROVING)


def naive_run(*, run_id: int, worker: str, **_: object) -> None:
    """Allocate a run from its beginning to its end."""
    run = AllocationRun.objects.get(pk=run_id)
    if run.state not in RUNNING:
        return
    computation = compute(run)
    for state in WAY[:-1]:
        _go(run, state, worker)
    ledger = partitions.ledger_of(run_id)
    if not partitions.exists(ledger):
        partitions.create(ledger)
    for ordinal, code in enumerate(sorted(computation.clusters)):
        _write(run, computation, ordinal, code, ledger.table)
        if WARRANTS is not None:
            WARRANTS.carry_out(STEP, run_id)
    _go(run, RunState.PROVING, worker)
    with transaction.atomic():
        _finish(run, worker)


def _write(run: AllocationRun, computation: Computation, ordinal: int, code: str, table: str) -> None:
    cluster = Cluster.objects.get(provider=run.provider_id, code=code)
    settled = computation.settle(code)
    rows = write_ledger(settled, Place(run.pk, ordinal, cluster.pk, run.provider_id, table))
    RunChunk.objects.update_or_create(
        run=run,
        cluster=cluster,
        defaults={
            "ordinal": ordinal,
            "source_ug": {line: str(ug) for line, ug in settled.source_ug.items()},
            "ledger_rows": rows,
            "ledger_digest": chunk_digest(settled),
            "written_at": Now(),
        },
    )


def _finish(run: AllocationRun, worker: str) -> None:
    partitions.attach(partitions.ledger_of(run.pk))
    fill_account_totals(run.pk)
    digests = dict(RunChunk.objects.filter(run=run).values_list("cluster__code", "ledger_digest"))
    AllocationRun.objects.filter(pk=run.pk).update(
        ledger_rows=LedgerRow.objects.filter(run=run).count(), ledger_digest=ledger_digest(digests), finished_at=Now()
    )
    _go(run, RunState.READY, worker)


def _go(run: AllocationRun, state: RunState, worker: str) -> None:
    AllocationRun.objects.filter(pk=run.pk).update(state=state)
    record(run, state, worker=worker)
    run.state = state


if WARRANTS is not None:
    vars(execution)["execute_run"] = naive_run
