"""Proving published months again, and computing runs again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.models import AllocationRun, Publication, RunChunk
from allocation.services.calculation import compute
from allocation.services.digests import chunk_digest, code_version, input_digest
from allocation.services.proof import ProofError, check_proof
from allocation.services.stored import stored_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from allocation.services.calculation import Computation

    Prepare = Callable[[AllocationRun], Computation]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says: a stable code, and a sentence for people. `ok` is False where something is off."""

    ok: bool
    code: str
    run_id: int
    message: str


def verify_published_months() -> list[Verdict]:
    """Prove every run that was ever published from its stored ledger, and its ledger against its digest."""
    verdicts = []
    runs = AllocationRun.objects.filter(pk__in=Publication.objects.values("run")).select_related("provider", "package")
    for run in runs.order_by("provider__code", "month", "pk"):
        month = f"{run.provider.code} {run.month:%Y-%m}, run {run.pk}"
        try:
            check_proof(run)
        except ProofError as error:
            verdicts.append(Verdict(False, "PROOF_FAILED", run.pk, f"{month}: {error}"))
            continue
        changed = [
            chunk.cluster.code
            for chunk in RunChunk.objects.filter(run=run).select_related("cluster")
            if chunk_digest(stored_ledger(run, chunk)) != chunk.ledger_digest
        ]
        if changed:
            verdicts.append(Verdict(False, "LEDGER_CHANGED", run.pk, f"{month}: ledger of {', '.join(changed)}"))
        else:
            verdicts.append(Verdict(True, "PROVED", run.pk, f"{month}: {run.ledger_rows} rows"))
    for verdict in verdicts:
        if not verdict.ok:
            logger.error("%s %s", verdict.code, verdict.message)
    return verdicts


def reproduce_run(run: AllocationRun, *, prepare: Prepare = compute) -> Iterator[Verdict]:
    """Compute a run again from its stored inputs and compare inputs, code, configuration and ledger."""
    inputs = input_digest(
        package_digest=run.package.digest,
        options_digest=run.methodology_version.options_digest,
        earlier_digests=run.inputs.order_by("-package__month").values_list("package__digest", flat=True),
    )
    yield _compared("INPUTS", run, run.input_digest, inputs)
    yield _compared("CODE", run, run.code_version, code_version())
    computation = prepare(run)
    chunks = {chunk.cluster.code: chunk for chunk in RunChunk.objects.filter(run=run).select_related("cluster")}
    yield _compared("CLUSTERS", run, ",".join(sorted(chunks)), ",".join(sorted(computation.clusters)))
    for code in sorted(chunks.keys() & set(computation.clusters)):
        computed = chunk_digest(computation.settle(code))
        yield _compared("COMPUTED", run, chunks[code].ledger_digest, computed, code)
        yield _compared("STORED", run, chunks[code].ledger_digest, chunk_digest(stored_ledger(run, chunks[code])), code)


def _compared(what: str, run: AllocationRun, recorded: str, found: str, cluster: str = "") -> Verdict:
    where = f"run {run.pk}{', ' + cluster if cluster else ''}"
    if recorded == found:
        return Verdict(True, f"{what}_SAME", run.pk, f"{where}: {found}")
    return Verdict(False, f"{what}_DIFFER", run.pk, f"{where}: recorded {recorded}, found {found}")
