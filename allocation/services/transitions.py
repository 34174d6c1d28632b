"""The steps of a run: every change of state is one UPDATE that still holds the run's token, and one row of history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection, transaction

from allocation.models import AllocationRun, RunState

if TYPE_CHECKING:
    from django.db.models import QuerySet


class LeaseLostError(Exception):
    """Another worker has taken the run up, or it has ended: this one stops without touching it again."""


class RunCancelledError(Exception):
    """Somebody asked to cancel the run."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a run until another claim raises its token."""

    run_id: int
    token: int
    attempt: int
    worker: str

    def run(self) -> QuerySet[AllocationRun]:
        """Return the run as long as the claim holds, else nothing."""
        return AllocationRun.objects.filter(pk=self.run_id, token=self.token)


def move(claim: Claim, before: RunState, after: RunState, *, rows: int | None = None, reason: str = "") -> None:
    """Move a claimed run from one state to the next.

    Raises:
        RunCancelledError: a cancel was asked for (the run stays as it is).
        LeaseLostError: the claim no longer holds, or another helper has moved the run already.
    """
    with transaction.atomic():
        run = claim.run().filter(state=before).select_for_update().first()
        if run is None:
            raise LeaseLostError(f"run {claim.run_id}, token {claim.token}")
        if run.cancel_requested_at is not None:
            raise RunCancelledError(f"run {claim.run_id}")
        claim.run().update(state=after)
        record(run, after, worker=claim.worker, rows=rows, reason=reason)


def record(  # noqa: PLR0913 the columns of a transition
    run: AllocationRun,
    after: RunState,
    *,
    actor_id: int | None = None,
    worker: str = "",
    rows: int | None = None,
    reason: str = "",
) -> None:
    """Write the history of a change from `run.state` to `after`; the database's clock says when and how long.

    Args:
        run: as it was before the change.
        after: the new state.
        actor_id: the user behind it, if a person was.
        worker: the worker behind it.
        rows: ledger rows handled so far.
        reason: why, in a sentence.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO allocation_runtransition"
            " (run_id, from_state, to_state, at, actor_id, worker, attempt, duration_ms, rows, reason)"
            " SELECT %s, %s, %s, clock_timestamp(), %s, %s, %s,"
            " (extract(epoch FROM clock_timestamp() - max(at)) * 1000)::bigint, %s, %s"
            " FROM allocation_runtransition WHERE run_id = %s",
            [run.pk, run.state, after, actor_id, worker, run.attempt, rows, reason, run.pk],
        )
