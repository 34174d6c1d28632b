"""What somebody wants to reach: less by a year than in another, for one node."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from accounts.models import NodeKind


class TargetKind(models.TextChoices):
    """What is to shrink."""

    ABSOLUTE = "absolute", "emissions"
    INTENSITY = "intensity", "emissions per kilowatt-hour of facility electricity"


class Target(models.Model):
    """A reduction between two years, on a straight line. A target is never changed: a new one takes its place.

    `reduction_ppm` is what is to go, in 10⁻⁶ of the base year: 500 000 is half. Years begin in the month
    `fiscal_year_start` and are named after the calendar year in which they begin.
    """

    node_kind = models.CharField(max_length=32, choices=NodeKind)
    node_id = models.BigIntegerField()
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=12, choices=TargetKind)
    method = models.CharField(max_length=16)
    scopes = ArrayField(models.PositiveSmallIntegerField())
    base_year = models.PositiveSmallIntegerField()
    target_year = models.PositiveSmallIntegerField()
    fiscal_year_start = models.PositiveSmallIntegerField(default=1)
    reduction_ppm = models.PositiveIntegerField()
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["node_kind", "node_id", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["node_kind", "node_id", "name"], condition=Q(ended_at__isnull=True), name="target_current"
            ),
            models.CheckConstraint(
                condition=Q(target_year__gt=F("base_year"), fiscal_year_start__gte=1, fiscal_year_start__lte=12),
                name="target_years",
            ),
            models.CheckConstraint(
                condition=Q(reduction_ppm__gte=1, reduction_ppm__lte=1_000_000), name="target_reduction"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} until {self.target_year}"
