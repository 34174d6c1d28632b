"""What operators do through an interface: the same as in the admin and on the command line, by codes and ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.models import Provider
from accounts.services.refusal import Invalid, NotFound, require_operator
from allocation.models import AssuranceLevel, Cause
from allocation.services import assurance, publication, restatement, runs

if TYPE_CHECKING:
    import datetime as dt

    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.models import AllocationRun, Publication, PublishedMonth, Restatement, VerificationStatement


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


def restate_month(*, viewer: Viewer, run_id: int, cause: str, reason: str) -> Restatement:
    """Publish a month again, or propose it; see `restatement.restate_month`."""
    return restatement.restate_month(viewer=viewer, run_id=run_id, cause=Cause(cause), reason=reason)


def approve_restatement(*, viewer: Viewer, restatement_id: int) -> Restatement:
    """Approve a proposal; see `restatement.approve_restatement`."""
    return restatement.approve_restatement(viewer=viewer, restatement_id=restatement_id)


def reject_restatement(*, viewer: Viewer, restatement_id: int, reason: str) -> Restatement:
    """Reject a proposal; see `restatement.reject_restatement`."""
    return restatement.reject_restatement(viewer=viewer, restatement_id=restatement_id, reason=reason)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: a version of a method, or else a provider's months."""

    methodology_version_id: int | None
    provider_code: str | None
    period: Period | None


def record_statement(*, viewer: Viewer, subject: Subject, level: str, **stated: Any) -> VerificationStatement:  # noqa: ANN401 the fields of `Statement`
    """Record what a third party verified; see `assurance`. Invalid unless it is about one thing."""
    statement = assurance.Statement(level=AssuranceLevel(level), **stated)
    version_id, code, period = subject.methodology_version_id, subject.provider_code, subject.period
    if version_id is not None:
        return assurance.verify_method(viewer=viewer, methodology_version_id=version_id, statement=statement)
    if code is None or period is None:
        raise Invalid("a statement is about a method, or about a provider's months", field="methodology_version")
    return assurance.verify_months(viewer=viewer, provider_code=code, period=period, statement=statement)
