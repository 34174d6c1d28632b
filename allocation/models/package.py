"""Activity packages as they were loaded."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Provider
from allocation.models.methodology import MethodologyVersion


class Severity(models.TextChoices):
    """What a finding does (docs/package-format.md, section 7)."""

    PACKAGE = "package", "rejects the package"
    ROW = "row", "leaves the row out"
    FLAG = "flag", "is recorded"


class FindingFields(models.Model):
    """One finding: stable code, file, row (line number, header = 1), column and a sentence."""

    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    file = models.CharField(max_length=128, blank=True)
    row = models.BigIntegerField(null=True, blank=True)
    field = models.CharField(max_length=128, blank=True)
    message = models.TextField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.code} {self.file}:{self.row or ''}"


class Package(models.Model):
    """One version of the activity of a (provider, month). The newest `number` is allocated; older ones are kept.

    A package is written in one transaction and never changed afterwards.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="packages")
    month = models.DateField()
    number = models.PositiveIntegerField(help_text="1 for the first package of the month, then counting up.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the canonical content.")
    methodology_version = models.ForeignKey(MethodologyVersion, on_delete=models.PROTECT, related_name="packages")
    time_zone = models.CharField(max_length=64)
    hours = models.PositiveSmallIntegerField(help_text="Exact length of the month in `time_zone`.")
    usage_rows = models.BigIntegerField()
    rejected_rows = models.BigIntegerField(help_text="Usage rows left out; above zero the month is incomplete.")
    loaded_at = models.DateTimeField()
    loaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["provider", "-month", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "month", "number"], name="package_number"),
            models.UniqueConstraint(fields=["id", "provider", "month"], name="package_month_key"),
            models.CheckConstraint(condition=models.Q(month__day=1), name="package_month"),
            models.CheckConstraint(condition=models.Q(hours__gte=672, hours__lte=745), name="package_hours"),
            models.CheckConstraint(
                condition=models.Q(usage_rows__gte=0, rejected_rows__gte=0), name="package_row_counts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.month:%Y-%m} #{self.number}"


class PackageFinding(FindingFields):
    """A finding of loading: rejected rows and flags."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, related_name="findings")

    class Meta:
        ordering: ClassVar = ["id"]
