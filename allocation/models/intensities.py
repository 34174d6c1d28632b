"""What a unit of a service costs the air at a place: ratios that a provider publishes to all of its customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import NodeKind
from allocation.models.catalog import Service
from allocation.models.runs import AllocationRun

if TYPE_CHECKING:
    from decimal import Decimal


def _ratio() -> models.DecimalField[Decimal | int, Decimal]:
    return models.DecimalField(max_digits=38, decimal_places=9)


class ServiceIntensity(models.Model):
    """Emissions and electricity for each unit of a service at one place, over everybody who used it there in a run.

    No amount stands here: neither how much was used nor how much was emitted can be worked out from it. `tenants`
    counts the directories, and accounts outside of any, behind it; what has too few is not shown. `place` is the code
    of a region; empty for edge locations and for places without a region.
    """

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(max_length=128, blank=True)
    unit = models.TextField()
    tenants = models.IntegerField()
    location_ug_per_unit = _ratio()
    market_ug_per_unit = _ratio()
    wh_per_unit = _ratio()

    class Meta:
        ordering: ClassVar = ["run", "service", "place"]
        verbose_name_plural = "service intensities"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "service", "place"], name="service_intensity"),
            models.CheckConstraint(
                condition=Q(location_ug_per_unit__gte=0, market_ug_per_unit__gte=0, wh_per_unit__gte=0, tenants__gte=1),
                name="service_intensity_amounts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.service_id}/{self.place}"


class RecommendationDismissal(models.Model):
    """Somebody does not want to see a recommendation for a node any more; others still do."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    node_kind = models.CharField(max_length=32, choices=NodeKind)
    node_id = models.BigIntegerField()
    key = models.CharField(max_length=600)
    reason = models.TextField(blank=True)
    dismissed_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "node_kind", "node_id", "key"], name="dismissal_once"),
        ]

    def __str__(self) -> str:
        return self.key
