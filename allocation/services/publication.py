"""Publishing: the proof once more, container totals, one pointer, in one transaction.

Readers follow the pointer (or pin its publication for a whole request), so they see the old month or the new one.
"""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from typing import TYPE_CHECKING

from django.db import connection, transaction

from accounts.models import TreeVersion
from accounts.services.refusal import NotFound, Refusal, require_operator
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
from allocation.services.simultaneous import meanwhile
from allocation.services.transitions import record

if TYPE_CHECKING:
    from accounts.policies import Viewer

_PUBLISHABLE = (RunState.READY, RunState.SUPERSEDED)


class NotPublishable(Refusal):
    """The run is not in a state to be published or withdrawn; the message says in which it is."""

    code = "RUN_NOT_READY"


class AlreadyPublished(Refusal):
    """The month was published before: publishing it again is a restatement, with a cause and a reason."""

    code = "ALREADY_PUBLISHED"


class NotPublished(Refusal):
    """Nothing of the month is published."""

    code = "NOT_PUBLISHED"


class VersionConflict(Refusal):
    """A month was published with other options under the same methodology `name@version`, which binds for ever."""

    code = "VERSION_CONFLICT"


class MonthLocked(Refusal):
    """The month is locked."""

    code = "MONTH_LOCKED"


def publish_run(*, viewer: Viewer, run_id: int) -> Publication:
    """Publish a month for the first time.

    Publishing the run that is published already changes nothing and returns its publication.

    Args:
        viewer: an operator, or the release calendar (`system`).
        run_id: a run that is ready.

    Raises:
        PermissionDenied: the viewer is not an operator.
        NotPublishable: the run is not ready.
        ProofError: its ledger does not hold what its sources say.
        VersionConflict: its methodology name@version is published with other options.
        AlreadyPublished: the month was published before (see `restatement`).
    """
    require_operator(viewer)
    # Of a transaction around this one another connection might not see what is to be proved.
    apart = not connection.in_atomic_block
    with transaction.atomic():
        run = lock_for_publishing(run_id)
        latest = latest_publication(run)
        if latest is not None:
            if latest.run_id == run.pk and run.state == RunState.PUBLISHED:
                return latest
            raise AlreadyPublished(f"{run.provider.code} {run.month:%Y-%m} was published at {latest.published_at}")
        return put_in_place(run, cause=Cause.FIRST, reason="", replaces=None, viewer=viewer, apart=apart)


def withdraw_run(*, viewer: Viewer, run_id: int, reason: str) -> None:
    """Take a ready run out of the way, or a published month away from its readers.

    The figures stay readable as of earlier dates.

    Raises:
        NotPublishable: the run is neither ready nor published.
        MonthLocked: the month is locked.
    """
    require_operator(viewer)
    with transaction.atomic():
        run = lock_for_publishing(run_id)
        if run.state not in {RunState.READY, RunState.PUBLISHED}:
            raise NotPublishable(f"run {run_id} is {run.state}")
        pointer = PublishedMonth.objects.filter(publication__run=run).select_related("publication").first()
        if pointer is not None:
            if pointer.locked_at is not None:
                raise MonthLocked(f"{run.provider.code} {run.month:%Y-%m} is locked")
            Withdrawal.objects.create(
                publication=pointer.publication, at=viewer.now, reason=reason, withdrawn_by_id=viewer.user_id
            )
            pointer.delete()
        _change_state(run, RunState.WITHDRAWN, viewer=viewer, reason=reason)


def lock_month(*, viewer: Viewer, provider_id: int, month: dt.date) -> PublishedMonth:
    """Lock a published month: from now on every restatement of it needs a second operator.

    Raises:
        NotPublished: nothing is published.
    """
    require_operator(viewer)
    with transaction.atomic():
        take_month(provider_id, month)
        pointer = PublishedMonth.objects.select_for_update().filter(provider_id=provider_id, month=month).first()
        if pointer is None:
            raise NotPublished(f"{month:%Y-%m} is not published", field="month")
        if pointer.locked_at is None:
            pointer.locked_at = viewer.now
            pointer.locked_by_id = viewer.user_id
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
        NotFound: there is no such run.
    """
    place = AllocationRun.objects.only("provider_id", "month").filter(pk=run_id).first()
    if place is None:
        raise NotFound(f"there is no run {run_id}", field="run")
    take_month(place.provider_id, place.month)
    return AllocationRun.objects.select_related("provider", "package").select_for_update(of=("self",)).get(pk=run_id)


def latest_publication(run: AllocationRun) -> Publication | None:
    """Return the newest publication of the run's month, withdrawn or not."""
    return Publication.objects.filter(provider=run.provider_id, month=run.month).order_by("-pk").first()


def put_in_place(  # noqa: PLR0913 the columns of a publication
    run: AllocationRun,
    *,
    cause: Cause,
    reason: str,
    replaces: Publication | None,
    viewer: Viewer,
    apart: bool = False,
) -> Publication:
    """Prove the run, write the publication with its container totals, and move the pointer.

    The caller holds the month and the run (`lock_for_publishing`) in the transaction that all of this belongs to.
    `apart` proves on a connection of its own while the totals are written: for callers who have written nothing that
    the proof would have to see. What fails, fails the transaction.

    Raises:
        NotPublishable, ProofError, VersionConflict: see `publish_run`.
    """
    again = replaces is not None and replaces.run_id == run.pk and run.state == RunState.PUBLISHED
    if run.state not in _PUBLISHABLE and not again:
        raise NotPublishable(f"run {run.pk} is {run.state}")
    if not apart:
        check_proof(run)
    publication = Publication.objects.create(
        provider=run.provider,
        month=run.month,
        run=run,
        tree_version=_hold_tree(),
        restates=replaces,
        cause=cause,
        reason=reason,
        published_at=_later_than(replaces, viewer.now),
        published_by_id=viewer.user_id,
    )
    with meanwhile(lambda: check_proof(run)) if apart else nullcontext():
        fill_container_totals(publication_id=publication.pk, run_id=run.pk, month=run.month)
    _bind_methodology(run, viewer)
    PublishedMonth.objects.update_or_create(
        provider=run.provider, month=run.month, defaults={"publication": publication}
    )
    if not again:
        before = AllocationRun.objects.filter(provider=run.provider, month=run.month, state=RunState.PUBLISHED)
        for superseded in before.select_for_update():
            _change_state(superseded, RunState.SUPERSEDED, viewer=viewer, reason=f"by run {run.pk}")
        _change_state(run, RunState.PUBLISHED, viewer=viewer, reason=reason)
    return publication


def _later_than(replaced: Publication | None, now: dt.datetime) -> dt.datetime:
    """Return the time of a publication: now, unless a clock went backwards since the one that it replaces.

    Readers as of a moment find publications by their time, so it has to rise with them.
    """
    return now if replaced is None else max(now, replaced.published_at + dt.timedelta(microseconds=1))


def _bind_methodology(run: AllocationRun, viewer: Viewer) -> None:
    """From now on the run's `name@version` means its options.

    All rows of the name@version are locked, so that of two months published at once with different options one waits
    and is then refused.
    """
    version = run.methodology_version
    if version.bound_at is not None:
        return
    alike = MethodologyVersion.objects.filter(provider=version.provider_id, name=version.name, version=version.version)
    for other in alike.select_for_update(no_key=True).order_by("pk"):
        if other.pk != version.pk and other.bound_at is not None:
            raise VersionConflict(f"{version} was published with other options at {other.bound_at}")
    alike.filter(pk=version.pk, bound_at__isnull=True).update(bound_at=viewer.now)


def _hold_tree() -> TreeVersion | None:
    """Keep the tree as it is to the end of the transaction and return its version.

    Every change of structure inserts a version, which waits for this lock; reading does not.
    """
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_treeversion IN SHARE MODE")
    return TreeVersion.objects.order_by("-pk").first()


def _change_state(run: AllocationRun, state: RunState, *, viewer: Viewer, reason: str) -> None:
    AllocationRun.objects.filter(pk=run.pk).update(state=state)
    record(run, state, actor_id=viewer.user_id, rows=run.ledger_rows, reason=reason)
    run.state = state
