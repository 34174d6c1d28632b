"""Publishing: the proof once more, container totals, one pointer, in one transaction.

Readers follow the pointer (or pin its publication for a whole request), so they see the old month or the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection, transaction

from accounts.models import TreeVersion
from allocation.models import (
    AllocationRun,
    Cause,
    MethodologyVersion,
    Publication,
    PublishedMonth,
    RunState,
    Withdrawal,
)
from allocation.services.proof import check_proof
from allocation.services.rollups import fill_container_totals
from allocation.services.transitions import record

if TYPE_CHECKING:
    import datetime as dt

    from accounts.models import User

_PUBLISHABLE = (RunState.READY, RunState.SUPERSEDED)


class NotPublishableError(Exception):
    """The run is not ready; the message says what it is."""


class AlreadyPublishedError(Exception):
    """The month was published before: publishing it again is a restatement, with a cause and a reason."""


class MonthLockedError(Exception):
    """The month is locked."""


def publish_run(*, run_id: int, actor: User | None, now: dt.datetime) -> Publication:
    """Publish a month for the first time.

    Publishing the run that is published already changes nothing and returns its publication.

    Args:
        run_id: a run that is ready.
        actor: the operator, or None for the release calendar.
        now: when.

    Raises:
        NotPublishableError: the run is not ready.
        ProofError: its ledger does not hold what its sources say.
        AlreadyPublishedError: the month was published before (see `restatement`).
    """
    with transaction.atomic():
        run = lock_for_publishing(run_id)
        latest = latest_publication(run)
        if latest is not None:
            if latest.run_id == run.pk and run.state == RunState.PUBLISHED:
                return latest
            raise AlreadyPublishedError(f"{run.provider.code} {run.month:%Y-%m} was published at {latest.published_at}")
        return put_in_place(run, cause=Cause.FIRST, reason="", replaces=None, actor=actor, now=now)


def withdraw_run(*, run_id: int, actor: User | None, reason: str, now: dt.datetime) -> None:
    """Take a ready run out of the way, or a published month away from its readers.

    The figures stay readable as of earlier dates.

    Raises:
        NotPublishableError: the run is neither ready nor published.
        MonthLockedError: the month is locked.
    """
    with transaction.atomic():
        run = lock_for_publishing(run_id)
        if run.state not in {RunState.READY, RunState.PUBLISHED}:
            raise NotPublishableError(f"run {run_id} is {run.state}")
        pointer = PublishedMonth.objects.filter(publication__run=run).select_related("publication").first()
        if pointer is not None:
            if pointer.locked_at is not None:
                raise MonthLockedError(f"{run.provider.code} {run.month:%Y-%m} is locked")
            Withdrawal.objects.create(publication=pointer.publication, at=now, reason=reason, withdrawn_by=actor)
            pointer.delete()
        _change_state(run, RunState.WITHDRAWN, actor=actor, reason=reason)


def lock_month(*, provider_id: int, month: dt.date, actor: User, now: dt.datetime) -> PublishedMonth:
    """Lock a published month: from now on every restatement of it needs a second operator.

    Raises:
        PublishedMonth.DoesNotExist: nothing is published.
    """
    with transaction.atomic():
        take_month(provider_id, month)
        pointer = PublishedMonth.objects.select_for_update().get(provider_id=provider_id, month=month)
        if pointer.locked_at is None:
            pointer.locked_at = now
            pointer.locked_by = actor
            pointer.save(update_fields=["locked_at", "locked_by"])
        return pointer


def take_month(provider_id: int, month: dt.date) -> None:
    """Wait for the lock on a (provider, month) and hold it to the end of the transaction.

    An advisory lock, because before the first publication there is no row to lock.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"published month {provider_id} {month:%Y-%m}"]
        )


def lock_for_publishing(run_id: int) -> AllocationRun:
    """Lock a run and its month to the end of the transaction; return the run.

    Raises:
        AllocationRun.DoesNotExist: there is no such run.
    """
    place = AllocationRun.objects.only("provider_id", "month").get(pk=run_id)
    take_month(place.provider_id, place.month)
    return (
        AllocationRun.objects.select_related("provider", "package").select_for_update(of=("self",)).get(pk=run_id)
    )


def latest_publication(run: AllocationRun) -> Publication | None:
    """Return the newest publication of the run's month, withdrawn or not."""
    return Publication.objects.filter(provider=run.provider_id, month=run.month).order_by("-pk").first()


def put_in_place(  # noqa: PLR0913 the columns of a publication
    run: AllocationRun,
    *,
    cause: Cause,
    reason: str,
    replaces: Publication | None,
    actor: User | None,
    now: dt.datetime,
) -> Publication:
    """Prove the run, write the publication with its container totals, and move the pointer.

    The caller holds the month and the run (`lock_for_publishing`) in the transaction that all of this belongs to.

    Raises:
        NotPublishableError, ProofError: see `publish_run`.
    """
    again = replaces is not None and replaces.run_id == run.pk and run.state == RunState.PUBLISHED
    if run.state not in _PUBLISHABLE and not again:
        raise NotPublishableError(f"run {run.pk} is {run.state}")
    check_proof(run)
    publication = Publication.objects.create(
        provider=run.provider,
        month=run.month,
        run=run,
        tree_version=_hold_tree(),
        restates=replaces,
        cause=cause,
        reason=reason,
        published_at=now,
        published_by=actor,
    )
    fill_container_totals(publication_id=publication.pk, run_id=run.pk, month=run.month)
    MethodologyVersion.objects.filter(pk=run.methodology_version_id, bound_at__isnull=True).update(bound_at=now)
    PublishedMonth.objects.update_or_create(
        provider=run.provider, month=run.month, defaults={"publication": publication}
    )
    if not again:
        before = AllocationRun.objects.filter(provider=run.provider, month=run.month, state=RunState.PUBLISHED)
        for superseded in before.select_for_update():
            _change_state(superseded, RunState.SUPERSEDED, actor=actor, reason=f"by run {run.pk}")
        _change_state(run, RunState.PUBLISHED, actor=actor, reason=reason)
    return publication


def _hold_tree() -> TreeVersion | None:
    """Keep the tree as it is to the end of the transaction and return its version.

    Every change of structure inserts a version, which waits for this lock; reading does not.
    """
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_treeversion IN SHARE MODE")
    return TreeVersion.objects.order_by("-pk").first()


def _change_state(run: AllocationRun, state: RunState, *, actor: User | None, reason: str) -> None:
    AllocationRun.objects.filter(pk=run.pk).update(state=state)
    record(run, state, actor_id=actor.pk if actor else None, rows=run.ledger_rows, reason=reason)
    run.state = state
