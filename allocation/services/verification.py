"""Proving published months again, and computing runs again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.exchange.methodology import stored_digest
from allocation.models import AllocationRun, Publication, RunChunk
from allocation.services import partitions
from allocation.services.calculation import compute_afresh
from allocation.services.digests import chunk_digest, code_version, input_digest, ledger_digest
from allocation.services.proof import ProofError, check_proof
from allocation.services.stored import stored_ledger

if TYPE_CHECKING:
    import datetime as dt
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


def published_run_ids() -> list[int]:
    """Return every run that was ever published, by provider and month."""
    runs = AllocationRun.objects.filter(pk__in=Publication.objects.values("run"))
    return list(runs.order_by("provider__code", "month", "pk").values_list("pk", flat=True))


def verify_published_months() -> list[Verdict]:
    """Prove every run that was ever published; see `verify_run`."""
    return [verify_run(run_id) for run_id in published_run_ids()]


def verify_run(run_id: int) -> Verdict:
    """Prove a run from its stored ledger, and its ledger against its digests; an error is logged."""
    run = AllocationRun.objects.select_related("provider", "package").get(pk=run_id)
    verdict = _verified(run, f"{run.provider.code} {run.month:%Y-%m}, run {run.pk}")
    if not verdict.ok:
        logger.error("%s %s", verdict.code, verdict.message)
    return verdict


def _verified(run: AllocationRun, month: str) -> Verdict:
    try:
        check_proof(run)
    except ProofError as error:
        return Verdict(False, "PROOF_FAILED", run.pk, f"{month}: {error}")
    partitions.index_chunks(run.pk)
    changed = [
        chunk.cluster.code
        for chunk in RunChunk.objects.filter(run=run).select_related("cluster")
        if chunk_digest(stored_ledger(run, chunk)) != chunk.ledger_digest
    ]
    if changed:
        return Verdict(False, "LEDGER_CHANGED", run.pk, f"{month}: ledger of {', '.join(changed)}")
    return Verdict(True, "PROVED", run.pk, f"{month}: {run.ledger_rows} rows")


def reproduce_run(run: AllocationRun, *, prepare: Prepare = compute_afresh) -> Iterator[Verdict]:
    """Compute a run again from its stored inputs and compare inputs, code, configuration and ledger."""
    inputs = input_digest(
        package_digest=run.package.digest,
        options_digest=run.methodology_version.options_digest,
        earlier_digests=run.inputs.order_by("-package__month").values_list("package__digest", flat=True),
    )
    version = run.methodology_version
    yield _compared("INPUTS", run, run.input_digest, inputs)
    yield _compared("OPTIONS", run, version.options_digest, stored_digest(version.options))
    yield _compared("CODE", run, run.code_version, code_version())
    computation = prepare(run)
    partitions.index_chunks(run.pk)
    chunks = {chunk.cluster.code: chunk for chunk in RunChunk.objects.filter(run=run).select_related("cluster")}
    yield _compared("CLUSTERS", run, ",".join(sorted(chunks)), ",".join(sorted(computation.clusters)))
    computed = {}
    for code in sorted(chunks.keys() & set(computation.clusters)):
        computed[code] = chunk_digest(computation.settle(code))
        yield _compared("COMPUTED", run, chunks[code].ledger_digest, computed[code], code)
        yield _compared("STORED", run, chunks[code].ledger_digest, chunk_digest(stored_ledger(run, chunks[code])), code)
    yield _compared("LEDGER", run, run.ledger_digest, ledger_digest(computed))


def run_to_reproduce(now: dt.datetime) -> AllocationRun | None:
    """Return the published run whose turn it is: every hour another one, and then from the beginning."""
    runs = AllocationRun.objects.filter(pk__in=Publication.objects.values("run")).order_by("pk")
    count = runs.count()
    if not count:
        return None
    return runs.select_related("package", "methodology_version", "provider")[int(now.timestamp()) // 3600 % count]


def reproduce_in_turn(*, now: dt.datetime, prepare: Prepare = compute_afresh) -> list[Verdict]:
    """Compute one published run again; what differs is logged as an error.

    That another version of the program wrote the run is worth an error only where it computes something else.
    """
    run = run_to_reproduce(now)
    if run is None:
        return []
    verdicts = list(reproduce_run(run, prepare=prepare))
    for verdict in verdicts:
        if verdict.ok:
            continue
        level = logging.INFO if verdict.code == "CODE_DIFFER" else logging.ERROR
        logger.log(level, "%s %s", verdict.code, verdict.message)
    return verdicts


def _compared(what: str, run: AllocationRun, recorded: str, found: str, cluster: str = "") -> Verdict:
    where = f"run {run.pk}{', ' + cluster if cluster else ''}"
    if recorded == found:
        return Verdict(True, f"{what}_SAME", run.pk, f"{where}: {found}")
    return Verdict(False, f"{what}_DIFFER", run.pk, f"{where}: recorded {recorded}, found {found}")
