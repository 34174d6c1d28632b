"""Asking for runs and calling them off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Now

from accounts.months import shift
from accounts.services.refusal import NotFound, Refusal, require_operator
from allocation.models import RUNNING, AllocationRun, Package, RunInput, RunState
from allocation.services import partitions
from allocation.services.digests import input_digest
from allocation.services.leases import end_run
from allocation.services.transitions import record

if TYPE_CHECKING:
    import datetime as dt

    from accounts.policies import Viewer


class NoPackage(Refusal):
    """No package of the month was loaded."""

    code = "NO_PACKAGE"


class RunInProgress(Refusal):
    """Another package of the same month is being allocated; cancel that run or wait for it."""

    code = "RUN_IN_PROGRESS"


class NotRunning(Refusal):
    """The run has ended: there is nothing to cancel."""

    code = "RUN_NOT_RUNNING"


def request_run(*, viewer: Viewer, package_id: int, publish: bool = False, again: bool = False) -> AllocationRun:
    """Ask for the allocation of a package. The queued row is the outbox: whoever sends the message may fail to.

    Idempotent by (package, methodology version): a second request returns the first one's run, unless that failed or
    was withdrawn.

    Args:
        viewer: an operator.
        package_id: the package.
        publish: publish the run when it is ready, if the month was not published before.
        again: ask for another run although there is one (after a correction of the code).

    Raises:
        PermissionDenied: the viewer is not an operator.
        NotFound: there is no such package.
        RunInProgress: a run of another package of this month, or of an earlier generation, is under way.
    """
    require_operator(viewer)
    with transaction.atomic():
        # One request for a package at a time: the second one sees the run of the first.
        package = (
            Package.objects.select_related("methodology_version")
            .select_for_update(of=("self",), no_key=True)
            .filter(pk=package_id)
            .first()
        )
        if package is None:
            raise NotFound(f"there is no package {package_id}", field="package")
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
        return _insert(package, generation=last + 1, viewer=viewer, publish=publish)


def _insert(package: Package, *, generation: int, viewer: Viewer, publish: bool) -> AllocationRun:
    earlier = _earlier_packages(package)
    values = {
        "package": package,
        "methodology_version": package.methodology_version,
        "requested_at": viewer.now,
        "requested_by_id": viewer.user_id,
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
        raise RunInProgress(f"run {run.pk} of package {run.package_id} is {run.state}")
    RunInput.objects.bulk_create(RunInput(run=run, package=p) for p in earlier)
    run.state = ""
    record(run, RunState.QUEUED, actor_id=viewer.user_id)
    run.state = RunState.QUEUED
    return run


def _earlier_packages(package: Package) -> list[Package]:
    """Return the newest package of each earlier month that usage shares may be taken from, newest month first."""
    options = package.methodology_version.options
    if "previous_shares" not in options.get("fallback", []):
        return []
    months = int(options.get("fallback_months", 0))
    window = Q(provider=package.provider_id, month__gte=shift(package.month, -months), month__lt=package.month)
    return list(Package.objects.filter(window).order_by("-month", "-number").distinct("month"))


def newest_package(*, provider_code: str, month: dt.date) -> Package:
    """Return the package that is allocated for a month.

    Raises:
        NoPackage: there is none.
    """
    package = Package.objects.filter(provider__code=provider_code, month=month).order_by("-number").first()
    if package is None:
        raise NoPackage(f"no package of {provider_code} for {month:%Y-%m} was loaded")
    return package


def newest_ready_run(package: Package) -> AllocationRun:
    """Return the newest run of a package that can be published or is.

    Raises:
        NoPackage: there is none.
    """
    run = package.runs.filter(state__in=(RunState.READY, RunState.PUBLISHED)).order_by("-pk").first()
    if run is None:
        raise NoPackage(f"{package} has no run that is ready")
    return run


def cancel_run(*, viewer: Viewer, run_id: int) -> AllocationRun:
    """Call a run off, at whatever step: at once if nobody works on it, else before its next chunk or step.

    Raises:
        PermissionDenied: the viewer is not an operator.
        NotFound: there is no such run.
        NotRunning: it has ended.
    """
    require_operator(viewer)
    with transaction.atomic():
        run = AllocationRun.objects.select_for_update().filter(pk=run_id).first()
        if run is None:
            raise NotFound(f"there is no run {run_id}", field="run")
        if run.state not in RUNNING:
            raise NotRunning(f"run {run_id} is {run.state}")
        AllocationRun.objects.filter(pk=run_id).update(cancel_requested_at=Now())
        held = AllocationRun.objects.filter(pk=run_id, lease_until__gt=Now()).exists()
        if not held:
            end_run(run, RunState.WITHDRAWN, reason="cancelled", actor_id=viewer.user_id)
            partitions.drop(partitions.ledger_of(run_id))
        run.refresh_from_db()
        return run
