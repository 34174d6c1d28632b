"""Who works on a run: claims, signs of life, and what happens to runs whose worker is gone.

The database's clock counts, not the worker's: a worker whose clock jumps keeps its lease neither longer nor shorter.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from allocation.models import RUNNING, AllocationRun, RunState, RunTransition
from allocation.services.heartbeat import lease
from allocation.services.transitions import Claim, record

# In leases.
WAKE_AGAIN_LEASES = 1.5
# The message that followed the request has this long to reach a worker.
QUEUED_GRACE = dt.timedelta(seconds=5)

# Nobody holds it: never claimed, given back, or the worker gave no sign of life for too long.
_FREE = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())


def wake_again_after() -> dt.timedelta:
    """Return how long a message may have waited behind other work before it is sent again."""
    return WAKE_AGAIN_LEASES * lease()


def claim_run(*, run_id: int, worker: str) -> Claim | None:
    """Take a run up, if nobody holds it: raise its token and attempt, and send it to reading.

    A run that was tried too often is failed instead; one that somebody asked to cancel is withdrawn.

    Returns:
        The claim, or None if there is nothing to do.
    """
    with transaction.atomic():
        run = (
            AllocationRun.objects.select_for_update(skip_locked=True)
            .filter(_FREE, pk=run_id, state__in=RUNNING)
            .first()
        )
        if run is None:
            return None
        if run.cancel_requested_at is not None:
            end_run(run, RunState.WITHDRAWN, reason="cancelled", worker=worker)
            return None
        if run.attempt >= settings.ALLOCATION_MAX_ATTEMPTS:
            said = run.transitions.exclude(reason="").order_by("-pk").values_list("reason", flat=True).first()
            silent = f"no sign of life from {run.worker} while {run.state}"
            last = said if said and run.state == RunState.QUEUED else silent
            reason = f"given up after {run.attempt} attempts; the last: {last}"
            end_run(run, RunState.FAILED, code="TOO_MANY_ATTEMPTS", reason=reason, worker=worker)
            return None
        AllocationRun.objects.filter(pk=run_id).update(
            token=F("token") + 1,
            attempt=F("attempt") + 1,
            lease_until=Now() + lease(),
            worker=worker,
            state=RunState.READING,
        )
        died = "" if run.state == RunState.QUEUED else f"taken up again: no sign of life from {run.worker}"
        run.attempt += 1
        # A worker that died while reading leaves the state as it is; the history still says so.
        record(run, RunState.READING, worker=worker, reason=died)
    return Claim(run_id, run.token + 1, run.attempt, worker)


def extend(claim: Claim) -> bool:
    """Give a sign of life; False if the claim no longer holds."""
    return bool(claim.run().filter(state__in=RUNNING).update(lease_until=Now() + lease()))


def give_back(claim: Claim, reason: str) -> None:
    """Put a run back into the queue after an error that may pass."""
    with transaction.atomic():
        run = claim.run().filter(state__in=RUNNING).select_for_update().first()
        if run is None:
            return
        claim.run().update(state=RunState.QUEUED, token=F("token") + 1, lease_until=None, woken_at=None)
        record(run, RunState.QUEUED, worker=claim.worker, reason=reason)


def end_run(  # noqa: PLR0913 the columns of a transition
    run: AllocationRun, state: RunState, *, reason: str, worker: str = "", code: str = "", actor_id: int | None = None
) -> None:
    """Fail or withdraw a run that is locked by the caller's transaction."""
    AllocationRun.objects.filter(pk=run.pk).update(
        state=state,
        token=F("token") + 1,
        lease_until=None,
        failure_code=code,
        failure_reason=reason if state == RunState.FAILED else "",
        finished_at=Now(),
    )
    record(run, state, worker=worker, reason=f"{code}: {reason}" if code else reason, actor_id=actor_id)


def runs_to_wake() -> list[int]:
    """Return the runs that need a message: abandoned by their worker, or queued while their message was lost.

    Each is marked as woken, so that a busy installation does not collect messages. Two schedulers at once are
    harmless: the second finds the marks of the first.
    """
    # The history is written by the database's clock, the time of the request by that of whoever asked.
    waited = RunTransition.objects.filter(run=OuterRef("pk"), to_state=RunState.QUEUED, at__lt=Now() - QUEUED_GRACE)
    with transaction.atomic():
        ids = list(
            AllocationRun.objects.select_for_update(skip_locked=True)
            .filter(_FREE, state__in=RUNNING)
            .filter(
                Q(Exists(waited), woken_at__isnull=True, state=RunState.QUEUED)
                | Q(woken_at__isnull=True, attempt__gt=0)
                | Q(woken_at__lt=F("lease_until"))
                | Q(woken_at__lt=Now() - wake_again_after())
                | Q(cancel_requested_at__isnull=False)
            )
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        AllocationRun.objects.filter(pk__in=ids).update(woken_at=Now())
    return ids
