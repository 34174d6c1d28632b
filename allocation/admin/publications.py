"""Publications, restatements and the pointers that readers follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from allocation.admin.asking import ReasonForm, ask, reason_of
from allocation.admin.reading import MonthFilter, Reading
from allocation.models import Publication, PublishedMonth, Restatement, Withdrawal
from allocation.services.publication import lock_month
from allocation.services.restatement import approve_restatement, reject_restatement

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from accounts.policies import Viewer


@admin.register(PublishedMonth)
class PublishedMonthAdmin(Reading):
    """What readers see now; a month can be locked."""

    list_display = ["__str__", "publication", "locked_at", "locked_by"]
    list_filter = ["provider", MonthFilter]
    search_fields = ["provider__code"]
    list_select_related = ["provider", "publication__provider", "locked_by"]
    actions = ["lock"]

    @admin.action(description="Lock", permissions=["view"])
    def lock(self, request: HttpRequest, rows: QuerySet[PublishedMonth]) -> None:
        """Lock the chosen months: restating them needs a second operator."""
        ask(self, request, rows, _lock)


def _lock(viewer: Viewer, pointer: PublishedMonth) -> str:
    return f"{lock_month(viewer=viewer, provider_id=pointer.provider_id, month=pointer.month)} is locked"


@admin.register(Publication)
class PublicationAdmin(Reading):
    """Everything that was ever shown."""

    list_display = ["id", "provider", "month", "run", "cause", "reason", "tree_version", "published_at"]
    list_filter = ["provider", "cause", MonthFilter]
    search_fields = ["=id", "provider__code", "reason"]
    list_select_related = ["provider", "run__provider", "tree_version"]


@admin.register(Withdrawal)
class WithdrawalAdmin(Reading):
    """Months taken from their readers."""

    list_display = ["publication", "at", "withdrawn_by", "reason"]
    search_fields = ["reason", "publication__provider__code"]
    list_select_related = ["publication__provider", "withdrawn_by"]


@admin.register(Restatement)
class RestatementAdmin(Reading):
    """Restatements; those that wait can be approved by a second operator, or rejected with a reason."""

    list_display = [
        "__str__", "cause", "reason", "author", "proposed_at", "approval_because", "approver", "decided_at",
        "rejected_because",
    ]  # fmt: skip
    list_filter = ["provider", "cause", ("decided_at", admin.EmptyFieldListFilter)]
    search_fields = ["provider__code", "reason"]
    list_select_related = ["provider", "author", "approver"]
    actions = ["approve", "reject"]
    action_form = ReasonForm

    @admin.action(description="Approve and publish", permissions=["view"])
    def approve(self, request: HttpRequest, rows: QuerySet[Restatement]) -> None:
        """Approve the chosen restatements."""
        ask(self, request, rows, _approve)

    @admin.action(description="Reject (with a reason)", permissions=["view"])
    def reject(self, request: HttpRequest, rows: QuerySet[Restatement]) -> None:
        """Reject the chosen restatements."""

        def reject_one(viewer: Viewer, row: Restatement) -> str:
            return f"{reject_restatement(viewer=viewer, restatement_id=row.pk, reason=reason_of(request))} is rejected"

        ask(self, request, rows, reject_one)


def _approve(viewer: Viewer, restatement: Restatement) -> str:
    return f"{approve_restatement(viewer=viewer, restatement_id=restatement.pk)} is published"
