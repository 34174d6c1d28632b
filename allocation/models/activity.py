"""What a package says of clusters, services and accounts, and who used what: rows of its CSV files.

Every table of the format has a model here, in `sites` or in `racks`; columns have the names of the format
(docs/package-format.md, section 3). Clusters, regions, services, accounts and resource groups are rows of the catalogue
and the hierarchy; codes that mean something inside the package only (sites, racks, markets) stay codes. An empty text
is unknown, a number that is unknown is null.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import Account, ResourceGroup
from allocation.models.catalog import Cluster, Region, Service
from allocation.models.package import Package


class ActivityRow(models.Model):
    """A row of a small table of a package; `row` is its line in the file (header = 1)."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, related_name="+")
    row = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} in row {self.row}"


def exact(*, required: bool = False) -> models.DecimalField[object, object]:
    """Return a field for an exact number: 18 digits before the point, 12 after it."""
    return models.DecimalField(max_digits=30, decimal_places=12, null=not required, blank=not required)


def code(*, required: bool = True) -> models.CharField[str, str]:
    """Return a field for a code of the package."""
    return models.CharField(max_length=128, blank=not required)


def quality() -> models.CharField[str, str]:
    """Return a field for the quality of a row."""
    return models.CharField(max_length=24, blank=True)


def cluster_or_region(name: str, *, required: bool = True) -> models.CheckConstraint:
    """Return the constraint that a row names a cluster or a region, not both; neither unless `required`."""
    one = Q(cluster__isnull=False, region__isnull=True) | Q(cluster__isnull=True, region__isnull=False)
    none = Q(cluster__isnull=True, region__isnull=True)
    return models.CheckConstraint(condition=one if required else one | none, name=name)


class PackageCluster(ActivityRow):
    """A row of clusters.csv."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    name = models.TextField(blank=True)
    kind = models.CharField(max_length=20)
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    country = models.CharField(max_length=2, blank=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["package", "cluster"], name="package_cluster")]


class PackageService(ActivityRow):
    """A row of services.csv."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    name = models.TextField(blank=True)
    kind = models.CharField(max_length=12)
    unit = models.TextField()
    split_key = models.CharField(max_length=16)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["package", "service"], name="package_service")]


class ServiceCoverage(ActivityRow):
    """A row of coverage.csv; without a service it is about all that have no row of their own.

    `threshold_kg`: what an account causes with the service in the month, if less, is not told.
    """

    service = models.ForeignKey(Service, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    covered = models.BooleanField()
    threshold_kg = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "service"], nulls_distinct=False, name="service_coverage_key"),
            models.CheckConstraint(condition=Q(threshold_kg__gte=0), name="service_coverage_threshold"),
            models.CheckConstraint(
                condition=Q(covered=True) | Q(service__isnull=False, threshold_kg=0), name="service_coverage_left_out"
            ),
        ]


class PackageAccount(ActivityRow):
    """A row of accounts.csv; `internal` accounts are the provider's own teams."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    name = models.TextField(blank=True)
    internal = models.BooleanField()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["package", "account"], name="package_account")]


class ServiceUse(ActivityRow):
    """A row of service_use.csv: what `consumer` used of `service`, in the unit of `service`."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    consumer = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    quantity = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["package", "cluster", "region", "service", "consumer"],
                nulls_distinct=False,
                name="service_use_key",
            ),
            cluster_or_region("service_use_place"),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="service_use_amounts"),
        ]


class CrossUse(ActivityRow):
    """A row of cross_use.csv: what `consumer` in another cluster used of `service`, in the unit of `service`."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    consumer_cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    consumer = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    quantity = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["package", "cluster", "service", "consumer_cluster", "consumer"], name="cross_use_key"
            ),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="cross_use_amounts"),
            models.CheckConstraint(condition=~Q(cluster=models.F("consumer_cluster")), name="cross_use_clusters"),
        ]


class UsagePeriod(ActivityRow):
    """A row of usage_periods.csv: what a leaf used in one of some periods of equal length, in the service's unit."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    resource_group = code()
    period = models.BigIntegerField()
    quantity = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["package", "cluster", "service", "account", "resource_group", "period"],
                name="usage_period_key",
            ),
            models.CheckConstraint(condition=Q(period__gte=0, quantity__gte=0), name="usage_period_amounts"),
        ]


class UsageRow(models.Model):
    """An accepted row of usage.csv, in the unit of its service. The table is partitioned by package."""

    id = models.BigAutoField(primary_key=True)
    package = models.ForeignKey(Package, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    region = models.ForeignKey(Region, on_delete=models.DO_NOTHING, null=True, related_name="+", db_index=False)
    service = models.ForeignKey(Service, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    resource_group = models.ForeignKey(ResourceGroup, on_delete=models.DO_NOTHING, related_name="+", db_index=False)
    quantity = exact(required=True)

    class Meta:
        # Partitioned tables are beyond Django's schema editor: migration 0006 writes the SQL.
        managed = False
        db_table = "allocation_usagerow"
        ordering: ClassVar = ["package", "id"]
        constraints: ClassVar = [cluster_or_region("usage_place")]

    def __str__(self) -> str:
        return f"usage {self.pk}"
