"""What a package says of racks, host pools and dedicated machines."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import Account, ResourceGroup
from allocation.models.activity import ActivityRow, cluster_or_region, code, exact, quality
from allocation.models.catalog import Cluster, Region, Service


class Rack(ActivityRow):
    """A row of racks.csv: a rack or host pool of a cluster, or of a region that shares it among its clusters."""

    rack = code()
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    site = code(required=False)
    role = models.CharField(max_length=12)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    it_kwh = exact()
    servers = models.BigIntegerField(null=True, blank=True)
    idle_w = exact()
    max_w = exact()
    utilisation = exact()
    hours = exact()
    quality = quality()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "rack"], name="rack_code"),
            cluster_or_region("rack_place"),
            models.CheckConstraint(
                condition=Q(
                    it_kwh__gte=0,
                    servers__gte=0,
                    idle_w__gte=0,
                    max_w__gte=F("idle_w"),
                    utilisation__gte=0,
                    utilisation__lte=1,
                    hours__gte=0,
                    hours__lte=745,
                ),
                name="rack_amounts",
            ),
            models.CheckConstraint(
                condition=Q(it_kwh__isnull=False) | Q(servers__isnull=False, idle_w__isnull=False, max_w__isnull=False),
                name="rack_has_energy",
            ),
            models.CheckConstraint(condition=Q(role="service") | Q(service__isnull=True), name="rack_service"),
        ]


class RackResource(ActivityRow):
    """A row of rack_resources.csv."""

    rack = code()
    resource = code()
    weight = exact(required=True)
    capacity = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "rack", "resource"], name="rack_resource_key"),
            models.CheckConstraint(condition=Q(weight__gt=0, capacity__gt=0), name="rack_resource_amounts"),
        ]


class RackUse(ActivityRow):
    """A row of rack_use.csv, in the unit of the resource's capacity."""

    rack = code()
    resource = code()
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    used = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "rack", "resource", "service"], name="rack_use_key"),
            models.CheckConstraint(condition=Q(used__gte=0), name="rack_use_amounts"),
        ]


class Machine(ActivityRow):
    """A row of machines.csv: a machine dedicated to one account."""

    machine = code()
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    site = code(required=False)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    resource_group = models.ForeignKey(ResourceGroup, on_delete=models.PROTECT, related_name="+")
    avg_power_w = exact(required=True)
    hours = exact(required=True)
    quality = quality()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "machine"], name="machine_code"),
            models.CheckConstraint(
                condition=Q(avg_power_w__gte=0, hours__gte=0, hours__lte=745), name="machine_amounts"
            ),
        ]
