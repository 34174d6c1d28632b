"""The way of a run through its states, on one worker with the help of others."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from allocation.engine.frames import PackageRejectedError
from allocation.models import (
    AllocationRun,
    Cluster,
    PackageCluster,
    RunFinding,
    RunLocation,
    RunState,
    ServiceIntensity,
)
from allocation.services import chunks, partitions
from allocation.services.calculation import compute
from allocation.services.digests import code_version
from allocation.services.heartbeat import Heartbeat
from allocation.services.leases import claim_run, end_run, extend, give_back
from allocation.services.proof import ProofError, finish_run
from allocation.services.transitions import Claim, LeaseLostError, RunCancelledError, move

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocation.services.calculation import Computation

    Prepare = Callable[[AllocationRun], Computation]

logger = logging.getLogger(__name__)

_PREPARING: Final = (RunState.READING, RunState.ALLOCATING)
_GLANCE_SECONDS: Final = 0.02


def execute_run(
    *, run_id: int, worker: str, summon: Callable[[int], None] | None = None, prepare: Prepare = compute
) -> None:
    """Take a run up, if it is free, and bring it as far as it goes.

    Args:
        run_id: the run.
        worker: name of this worker, for the history.
        summon: called with the number of helpers wanted, if there are clusters to share.
        prepare: makes the run's computation.

    Raises:
        OperationalError: the database went away; the lease runs out and the run is taken up again.
    """
    claim = claim_run(run_id=run_id, worker=worker)
    if claim is None:
        return
    _guarded(claim, lambda: _from_the_start(claim, prepare, summon))


def help_run(*, run_id: int, worker: str, prepare: Prepare = compute) -> None:
    """Write chunks of a run that another worker leads; returns at once if there are none.

    While the leader prepares the run this worker does, too: there is nothing else to be done for it then.

    Raises:
        OperationalError: the database went away.
    """
    run = AllocationRun.objects.filter(pk=run_id, state__in=(*_PREPARING, RunState.WRITING)).first()
    if run is None:
        return
    claim = Claim(run_id, run.token, run.attempt, worker)
    prepared = None
    if run.state in _PREPARING:
        prepared = _prepared_beside(run, prepare)
        if prepared is None or not _laid_out(claim):
            return
    if not chunks.all_written(run_id):
        _guarded(claim, lambda: _write_and_prove(claim, prepared or prepare(run)))


def _prepared_beside(run: AllocationRun, prepare: Prepare) -> Computation | None:
    """Prepare what the leader of a run prepares; None if that fails, as the leader will find and tell."""
    try:
        return prepare(run)
    except PackageRejectedError:
        return None


def _laid_out(claim: Claim) -> bool:
    """Wait until the leader has laid out its chunks; False if it stops before, or gives no sign of life."""
    led = claim.run().filter(lease_until__gt=Now())
    while (state := led.values_list("state", flat=True).first()) in _PREPARING:
        time.sleep(_GLANCE_SECONDS)
    return state == RunState.WRITING


def _guarded(claim: Claim, work: Callable[[], None]) -> None:
    """Do the work under a heartbeat and turn its errors into states of the run."""
    try:
        with Heartbeat(f"run {claim.run_id}", lambda: extend(claim)):
            work()
    except LeaseLostError:
        logger.info("run %d is no longer ours", claim.run_id)
    except RunCancelledError:
        _end(claim, RunState.WITHDRAWN, "", "cancelled")
    except PackageRejectedError as error:
        _record_rejection(claim, error)
        _end(claim, RunState.FAILED, error.findings[0].code, str(error))
    except ProofError as error:
        _end(claim, RunState.FAILED, error.code, str(error))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("run %d, attempt %d", claim.run_id, claim.attempt)
        give_back(claim, f"{type(error).__name__}: {error}"[:1000])


def _from_the_start(claim: Claim, prepare: Prepare, summon: Callable[[int], None] | None) -> None:
    run = claim.run().select_related("package", "methodology_version", "provider").get()
    # Whoever is free prepares at the same time, and finds out how many clusters there are to be shared.
    others = PackageCluster.objects.filter(package=run.package_id).count() - 1
    if summon is not None and others > 0:
        summon(others)
    computation = prepare(run)
    move(claim, RunState.READING, RunState.ALLOCATING)
    cluster_ids = _cluster_ids(run, computation.clusters)
    chunks.lay_out(claim, cluster_ids, code_version=code_version())
    _record_preparation(claim, computation)
    move(claim, RunState.ALLOCATING, RunState.WRITING)
    _write_and_prove(claim, computation)


def _write_and_prove(claim: Claim, computation: Computation) -> None:
    while chunks.write_next_chunk(claim, computation):
        chunks.keep_alive(claim)
    # Chunks that others still hold are followed by others: whoever commits the last one sees all of them.
    if chunks.all_written(claim.run_id):
        finish_run(claim)


def _cluster_ids(run: AllocationRun, codes: tuple[str, ...]) -> list[int]:
    ids = dict(Cluster.objects.filter(provider=run.provider_id, code__in=codes).values_list("code", "pk"))
    return [ids[code] for code in sorted(codes)]


def _record_preparation(claim: Claim, computation: Computation) -> None:
    """Store what preparing found, once however often the run is taken up."""
    with transaction.atomic():
        if not claim.run().select_for_update().exists():
            raise LeaseLostError(f"run {claim.run_id}")
        RunLocation.objects.filter(run_id=claim.run_id).delete()
        RunLocation.objects.bulk_create(computation.locations())
        known = set(RunFinding.objects.filter(run_id=claim.run_id).values_list("code", "file", "row", "message"))
        chunks.record_findings(
            claim.run_id,
            tuple(f for f in computation.findings if (f.code, f.file or "", f.row, f.message) not in known),
        )


def _record_rejection(claim: Claim, error: PackageRejectedError) -> None:
    with transaction.atomic():
        if claim.run().select_for_update().exists():
            chunks.record_findings(claim.run_id, error.findings)


def _end(claim: Claim, state: RunState, code: str, reason: str) -> None:
    with transaction.atomic():
        run = claim.run().select_for_update().first()
        if run is None:
            return
        end_run(run, state, code=code, reason=reason, worker=claim.worker)
    # The rows of a failed run are of no use; a worker that still writes them holds its table a moment longer.
    with transaction.atomic():
        partitions.drop(partitions.ledger_of(claim.run_id))
        partitions.drop(partitions.account_totals_of(claim.run_id))
        ServiceIntensity.objects.filter(run=claim.run_id).delete()
