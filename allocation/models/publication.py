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
