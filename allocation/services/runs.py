"""Asking for runs and calling them off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Now

from allocation.models import RUNNING, AllocationRun, Package, RunInput, RunState
from allocation.services import partitions
from allocation.services.digests import input_digest
from allocation.services.leases import end_run
from allocation.services.transitions import record

if TYPE_CHECKING:
    import datetime as dt

    from accounts.models import User


class NoPackageError(Exception):
    """No package of the month was loaded."""


class RunInProgressError(Exception):
    """Another package of the same month is being allocated; cancel that run or wait for it."""


class NotRunningError(Exception):
    """The run has ended: there is nothing to cancel."""


def request_run(
    *, package_id: int, actor: User | None, now: dt.datetime, publish: bool = False, again: bool = False
) -> AllocationRun:
    """Ask for the allocation of a package. The queued row is the outbox: whoever sends the message may fail to.

    Idempotent by (package, methodology version): a second request returns the first one's run, unless that failed or
    was withdrawn.

    Args:
        package_id: the package.
        actor: the operator, None for the system.
        now: when.
        publish: publish the run when it is ready, if the month was not published before.
        again: ask for another run although there is one (after a correction of the code).

    Raises:
        RunInProgressError: a run of another package of this month, or of an earlier generation, is under way.
    """
    with transaction.atomic():
        # One request for a package at a time: the second one sees the run of the first.
        package = Package.objects.select_related("methodology_version").select_for_update(of=("self",)).get(pk=package_id)
        alive = AllocationRun.objects.filter(package=package, methodology_version=package.methodology_version).exclude(
            state__in=(RunState.FAILED, RunState.WITHDRAWN)
        )
        run = alive.order_by("-generation").first()
        if run is not None and not (again and run.state not in RUNNING):
            if publish and not run.publish_when_ready:
                alive.filter(pk=run.pk).update(publish_when_ready=True)
                run.publish_when_ready = True
            return run
        last = AllocationRun.objects.filter(package=package).aggregate(last=Max("generation"))["last"] or 0
        return _insert(package, generation=last + 1, actor=actor, now=now, publish=publish)


def _insert(
    package: Package, *, generation: int, actor: User | None, now: dt.datetime, publish: bool
) -> AllocationRun:
    earlier = _earlier_packages(package)
    values = {
        "package": package,
        "methodology_version": package.methodology_version,
        "requested_at": now,
        "requested_by": actor,
        "publish_when_ready": publish,
        "input_digest": input_digest(
            package_digest=package.digest,
            options_digest=package.methodology_version.options_digest,
            earlier_digests=[p.digest for p in earlier],
        ),
    }
    # The constraint "one running run per month" decides between two requests; the loser finds the winner's run.
    run, created = AllocationRun.objects.get_or_create(
        provider_id=package.provider_id,
        month=package.month,
        state__in=RUNNING,
        defaults={"state": RunState.QUEUED, "generation": generation, **values},
    )
    if not created:
        if run.package_id == package.pk:
            return run
        raise RunInProgressError(f"run {run.pk} of package {run.package_id} is {run.state}")
    RunInput.objects.bulk_create(RunInput(run=run, package=p) for p in earlier)
    run.state = ""
    record(run, RunState.QUEUED, actor_id=actor.pk if actor else None)
    run.state = RunState.QUEUED
    return run


def _earlier_packages(package: Package) -> list[Package]:
    """Return the newest package of each earlier month that usage shares may be taken from, newest month first."""
    options = package.methodology_version.options
    if "previous_shares" not in options.get("fallback", []):
        return []
    months = int(options.get("fallback_months", 0))
    index = package.month.year * 12 + package.month.month - 1 - months
    oldest = package.month.replace(year=index // 12, month=index % 12 + 1)
    window = Q(provider=package.provider_id, month__gte=oldest, month__lt=package.month)
    return list(
        Package.objects.filter(window).order_by("-month", "-number").distinct("month")
    )


def newest_package(*, provider_code: str, month: dt.date) -> Package:
    """Return the package that is allocated for a month.

    Raises:
        NoPackageError: there is none.
    """
    package = Package.objects.filter(provider__code=provider_code, month=month).order_by("-number").first()
    if package is None:
        raise NoPackageError(f"no package of {provider_code} for {month:%Y-%m} was loaded")
    return package


def cancel_run(*, run_id: int, actor: User | None) -> AllocationRun:
    """Call a run off, at whatever step: at once if nobody works on it, else before its next chunk or step.

    Raises:
        NotRunningError: it has ended.
    """
    with transaction.atomic():
        run = AllocationRun.objects.select_for_update().get(pk=run_id)
        if run.state not in RUNNING:
            raise NotRunningError(f"run {run_id} is {run.state}")
        AllocationRun.objects.filter(pk=run_id).update(cancel_requested_at=Now())
        held = AllocationRun.objects.filter(pk=run_id, lease_until__gt=Now()).exists()
        if not held:
            end_run(run, RunState.WITHDRAWN, reason="cancelled", actor_id=actor.pk if actor else None)
            partitions.drop(partitions.ledger_of(run_id))
        run.refresh_from_db()
        return run
