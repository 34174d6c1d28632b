"""Chunks: one cluster of a run, computed and written in one transaction.

Any number of workers take chunks from the run's list in PostgreSQL (SKIP LOCKED); a chunk's row is locked while it is
computed, so nobody does it twice at once, and the record that it is written commits together with its rows, so nobody
does it twice at all.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from allocation.exchange.write import Place, write_ledger
from allocation.models import AllocationRun, RunChunk, RunFinding, RunState
from allocation.services import partitions
from allocation.services.digests import chunk_digest
from allocation.services.leases import extend
from allocation.services.transitions import LeaseLostError, RunCancelledError
from allocation.services.withholding import withholds

if TYPE_CHECKING:
    from allocation.engine.frames import Finding, Ledger
    from allocation.services.calculation import Computation
    from allocation.services.transitions import Claim

logger = logging.getLogger(__name__)


def lay_out(claim: Claim, cluster_ids: list[int], *, code_version: str) -> None:
    """Make the run's empty ledger and account totals, and one chunk per cluster, in the order of the export.

    Chunks that an earlier attempt wrote are kept, since the same code writes the same bytes; after a change of code
    everything is written anew.

    Raises:
        LeaseLostError: the claim no longer holds.
    """
    with transaction.atomic():
        run = claim.run().filter(state=RunState.ALLOCATING).select_for_update().first()
        if run is None:
            raise LeaseLostError(f"run {claim.run_id}")
        chunks = RunChunk.objects.filter(run_id=claim.run_id)
        laid_out = list(chunks.values_list("cluster_id", flat=True))
        parts = [partitions.ledger_of(claim.run_id)]
        # What is withheld is known when all chunks are there: then the totals come from the whole ledger, afterwards.
        if not withholds(claim.run_id):
            parts.append(partitions.account_totals_of(claim.run_id))
        if laid_out == cluster_ids and run.code_version == code_version and all(map(partitions.exists, parts)):
            return
        # Waits for a worker that is still writing under an older claim: its rows go with the table.
        chunks.select_for_update().count()
        chunks.delete()
        RunFinding.objects.filter(run_id=claim.run_id).delete()
        RunChunk.objects.bulk_create(
            RunChunk(run_id=claim.run_id, cluster_id=cluster_id, ordinal=ordinal)
            for ordinal, cluster_id in enumerate(cluster_ids)
        )
        for part in parts:
            partitions.create(part)
        claim.run().update(code_version=code_version)


def write_next_chunk(claim: Claim, computation: Computation) -> bool:
    """Compute and write one chunk that nobody else is working on.

    Returns:
        False if there is none.

    Raises:
        LeaseLostError: the claim no longer holds; nothing was written.
        RunCancelledError: a cancel was asked for.
    """
    with transaction.atomic():
        chunk = (
            RunChunk.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("cluster")
            .filter(run_id=claim.run_id, written_at__isnull=True)
            .order_by("ordinal")
            .first()
        )
        if chunk is None:
            return False
        _check(claim)
        ledger = computation.settle(chunk.cluster.code)
        _write(claim, chunk, ledger, provider_id=chunk.cluster.provider_id)
    return True


def _write(claim: Claim, chunk: RunChunk, ledger: Ledger, *, provider_id: int) -> None:
    table, totals = partitions.ledger_of(claim.run_id).table, partitions.account_totals_of(claim.run_id).table
    totals_table = None if withholds(claim.run_id) else totals
    place = Place(claim.run_id, chunk.ordinal, chunk.cluster_id, provider_id, table, totals_table)
    rows = write_ledger(ledger, place)
    record_findings(claim.run_id, ledger.findings)
    # Last, so that a claim that was lost meanwhile takes everything back.
    _check(claim)
    RunChunk.objects.filter(pk=chunk.pk).update(
        token=claim.token,
        worker=claim.worker,
        source_ug={line: str(ug) for line, ug in ledger.source_ug.items()},
        ledger_rows=rows,
        ledger_digest=chunk_digest(ledger),
        written_at=Now(),
    )


def all_written(run_id: int) -> bool:
    """Tell whether every chunk of the run is committed."""
    return not RunChunk.objects.filter(run_id=run_id, written_at__isnull=True).exists()


def record_findings(run_id: int, findings: tuple[Finding, ...]) -> None:
    """Store the engine's findings with the run."""
    RunFinding.objects.bulk_create(
        RunFinding(
            run_id=run_id,
            code=finding.code,
            severity=finding.severity,
            file=finding.file or "",
            row=finding.row,
            field=finding.field or "",
            message=finding.message,
        )
        for finding in findings
    )


def _check(claim: Claim) -> None:
    """Give a sign of life and see whether the run is still ours and still wanted.

    Reads without locking the run's row: other chunks of the run are written at the same time. A claim made between this
    check and the commit does no harm, since both attempts write the same bytes and the chunk's row is locked.
    """
    run = AllocationRun.objects.filter(pk=claim.run_id).only("token", "state", "cancel_requested_at").get()
    if run.token != claim.token or run.state != RunState.WRITING:
        raise LeaseLostError(f"run {claim.run_id}, token {claim.token}")
    if run.cancel_requested_at is not None:
        raise RunCancelledError(f"run {claim.run_id}")


def keep_alive(claim: Claim) -> None:
    """Extend the lease between two chunks.

    Raises:
        LeaseLostError: the claim no longer holds.
    """
    if not extend(claim):
        raise LeaseLostError(f"run {claim.run_id}, token {claim.token}")
