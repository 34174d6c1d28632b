"""What readers see: one pointer per (provider, month)."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import Provider, TreeVersion
from allocation.models.runs import AllocationRun


class Cause(models.TextChoices):
    """Why a month was published again."""

    FIRST = "first", "first publication"
    DATA = "data", "data"
    FACTOR = "factor", "factor"
    METHOD = "method", "method"
    HIERARCHY = "hierarchy", "hierarchy"
    ERROR = "error", "error"


class Publication(models.Model):
    """A run shown with a version of the tree. Publications are never changed; a newer one takes the pointer."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="publications")
    month = models.DateField()
    run = models.ForeignKey(AllocationRun, on_delete=models.PROTECT, related_name="publications")
    tree_version = models.ForeignKey(TreeVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    restates = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="restated_by")
    cause = models.CharField(max_length=12, choices=Cause)
    reason = models.TextField(blank=True)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(month__day=1), name="publication_month"),
            models.CheckConstraint(
                condition=Q(restates__isnull=True, cause=Cause.FIRST)
                | (Q(restates__isnull=False) & ~Q(cause=Cause.FIRST)),
                name="publication_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.month:%Y-%m}, publication {self.pk}"


class Withdrawal(models.Model):
    """The end of a publication that no other took the place of: from `at` on, readers see no figures of the month."""

    publication = models.OneToOneField(Publication, on_delete=models.PROTECT, related_name="withdrawal")
    at = models.DateTimeField()
    reason = models.TextField()
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.publication_id} withdrawn"


class Restatement(models.Model):
    """A wish to publish a month again, and how it ended.

    `tree_version` and the differences are those at the time of the proposal. Where `approval_because` is not empty a
    second operator has to approve. `largest_difference_ppm` is the largest relative difference of any node's total in
    10⁻⁶, rounded down; null where a total of zero became positive.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="restatements")
    month = models.DateField()
    run = models.ForeignKey(AllocationRun, on_delete=models.PROTECT, related_name="restatements")
    replaces = models.ForeignKey(Publication, on_delete=models.PROTECT, related_name="+")
    cause = models.CharField(max_length=12, choices=Cause)
    reason = models.TextField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    proposed_at = models.DateTimeField()
    largest_difference_ppm = models.BigIntegerField(null=True, blank=True)
    approval_because = models.TextField(blank=True)
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    rejected_because = models.TextField(blank=True)
    publication = models.OneToOneField(
        Publication, on_delete=models.PROTECT, null=True, blank=True, related_name="restatement"
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["provider", "month"], condition=Q(decided_at__isnull=True), name="restatement_one_open"
            ),
            models.CheckConstraint(condition=Q(month__day=1), name="restatement_month"),
            models.CheckConstraint(condition=~Q(cause=Cause.FIRST), name="restatement_cause"),
            models.CheckConstraint(
                condition=Q(approver__isnull=True) | Q(author__isnull=True) | ~Q(approver=models.F("author")),
                name="restatement_second_operator",
            ),
            models.CheckConstraint(
                condition=Q(publication__isnull=True) | Q(approval_because="") | Q(approver__isnull=False),
                name="restatement_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"restatement of {self.provider} {self.month:%Y-%m}"


class PublishedMonth(models.Model):
    """The pointer that readers follow: the current publication of a (provider, month)."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="published_months")
    month = models.DateField()
    publication = models.OneToOneField(Publication, on_delete=models.PROTECT, related_name="current_for")
    locked_at = models.DateTimeField(null=True, blank=True)
    locked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["provider", "-month"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "month"], name="published_month"),
            models.CheckConstraint(condition=Q(month__day=1), name="published_month_first_day"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.month:%Y-%m}"
