"""What operators do through an interface: the same as in the admin and on the command line, by codes and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models import Provider
from accounts.services.refusal import Invalid, NotFound, require_operator
from allocation.services import publication, runs

if TYPE_CHECKING:
    import datetime as dt

    from accounts.policies import Viewer
    from allocation.models import AllocationRun, Publication, PublishedMonth


def request_allocation(*, viewer: Viewer, provider_code: str, month: dt.date, publish: bool) -> AllocationRun:
    """Ask for the allocation of a month's newest package; see `runs.request_run`."""
    require_operator(viewer)
    package = runs.newest_package(provider_code=provider_code, month=month)
    return runs.request_run(viewer=viewer, package_id=package.pk, publish=publish)


def publish_run(*, viewer: Viewer, run_id: int) -> Publication:
    """Publish a month for the first time; see `publication.publish_run`."""
    return publication.publish_run(viewer=viewer, run_id=run_id)


def cancel_run(*, viewer: Viewer, run_id: int) -> AllocationRun:
    """Call a run off, at whatever step; see `runs.cancel_run`."""
    return runs.cancel_run(viewer=viewer, run_id=run_id)


def withdraw_run(*, viewer: Viewer, run_id: int, reason: str) -> None:
    """Withdraw a run; see `publication.withdraw_run`. Invalid without a reason."""
    require_operator(viewer)
    if not reason.strip():
        raise Invalid("a withdrawal needs a reason", field="reason")
    publication.withdraw_run(viewer=viewer, run_id=run_id, reason=reason)


def lock_month(*, viewer: Viewer, provider_code: str, month: dt.date) -> PublishedMonth:
    """Lock a published month; see `publication.lock_month`. NotFound for an unknown provider."""
    require_operator(viewer)
    provider = Provider.objects.filter(code=provider_code).first()
    if provider is None:
        raise NotFound(f"there is no provider {provider_code}", field="provider")
    return publication.lock_month(viewer=viewer, provider_id=provider.pk, month=month)
