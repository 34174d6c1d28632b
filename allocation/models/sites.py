"""What a package says of sites and of what is emitted there and bought for them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from allocation.models.activity import ActivityRow, cluster_or_region, code, exact, quality
from allocation.models.catalog import Cluster, Region


class Site(ActivityRow):
    """A row of sites.csv."""

    site = code()
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    boundary = models.CharField(max_length=16)
    facility_kwh = exact()
    it_kwh = exact()
    pue = exact()
    location_g_per_kwh = exact(required=True)
    residual_g_per_kwh = exact()
    green_ratio = exact(required=True)
    green_g_per_kwh = exact(required=True)
    fera_lbm_g_per_kwh = exact()
    fera_mbm_g_per_kwh = exact()
    market = code(required=False)
    quality = quality()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "site"], name="site_code"),
            models.CheckConstraint(
                condition=Q(
                    facility_kwh__gte=0,
                    it_kwh__gte=0,
                    pue__gte=1,
                    location_g_per_kwh__gte=0,
                    residual_g_per_kwh__gte=0,
                    green_ratio__gte=0,
                    green_ratio__lte=1,
                    green_g_per_kwh__gte=0,
                    fera_lbm_g_per_kwh__gte=0,
                    fera_mbm_g_per_kwh__gte=0,
                ),
                name="site_amounts",
            ),
            models.CheckConstraint(
                condition=Q(facility_kwh__isnull=False) | Q(pue__isnull=False), name="site_has_energy"
            ),
        ]


class Instrument(ActivityRow):
    """A row of instruments.csv."""

    instrument = code()
    market = code()
    type = models.CharField(max_length=20)
    kwh = exact(required=True)
    g_per_kwh = exact(required=True)
    vintage = models.DateField(null=True, blank=True)
    retired = models.BooleanField()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "instrument"], name="instrument_code"),
            models.CheckConstraint(condition=Q(kwh__gte=0, g_per_kwh__gte=0), name="instrument_amounts"),
            models.CheckConstraint(condition=Q(vintage__day=1), name="instrument_vintage"),
        ]


class SiteHour(ActivityRow):
    """A row of site_hours.csv: one hour of a site's electricity; `hour` counts from the beginning of the month."""

    site = code()
    hour = models.BigIntegerField()
    kwh = exact(required=True)
    residual_g_per_kwh = exact()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "site", "hour"], name="site_hour_key"),
            models.CheckConstraint(
                condition=Q(hour__gte=0, hour__lt=745, kwh__gte=0, residual_g_per_kwh__gte=0), name="site_hour_amounts"
            ),
        ]


class InstrumentHour(ActivityRow):
    """A row of instrument_hours.csv: what an instrument generated in one hour of the month."""

    instrument = code()
    hour = models.BigIntegerField()
    kwh = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "instrument", "hour"], name="instrument_hour_key"),
            models.CheckConstraint(condition=Q(hour__gte=0, hour__lt=745, kwh__gte=0), name="instrument_hour_amounts"),
        ]


class GlobalWarmingPotential(ActivityRow):
    """A row of gwp.csv: kg CO2e per kg of a gas."""

    gwp_set = code()
    gas = code()
    gwp = exact(required=True)

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "gwp_set", "gas"], name="gwp_key"),
            models.CheckConstraint(condition=Q(gwp__gte=0), name="gwp_amounts"),
        ]


class DirectGas(ActivityRow):
    """A row of direct_gases.csv."""

    site = code()
    source = models.CharField(max_length=12)
    gas = code()
    mass_kg = exact(required=True)
    gwp_set = code(required=False)
    quality = quality()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        verbose_name_plural = "direct gases"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "site", "source", "gas"], name="direct_gas_key"),
            models.CheckConstraint(condition=Q(mass_kg__gte=0), name="direct_gas_amounts"),
        ]


class Asset(ActivityRow):
    """A row of assets.csv: embodied emissions of a site, a rack or a pool of clusters."""

    asset = code()
    owner_kind = models.CharField(max_length=8)
    owner = code(required=False)
    category = models.CharField(max_length=12)
    embodied_kg = exact(required=True)
    life_months = models.BigIntegerField()
    in_service = models.DateField()
    retired = models.DateField(null=True, blank=True)
    quality = quality()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "asset"], name="asset_code"),
            models.CheckConstraint(condition=Q(embodied_kg__gte=0, life_months__gte=1), name="asset_amounts"),
            models.CheckConstraint(condition=Q(in_service__day=1) & Q(retired__day=1), name="asset_months"),
        ]


class SharedPool(ActivityRow):
    """A row of shared_pools.csv; without cluster and region it is shared by all active clusters."""

    pool = code()
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    line = models.CharField(max_length=24)
    kg_co2e = exact(required=True)
    gwp_set = code(required=False)
    quality = quality()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["package", "pool", "cluster", "region", "line"], nulls_distinct=False, name="shared_pool_key"
            ),
            cluster_or_region("shared_pool_place", required=False),
            models.CheckConstraint(condition=Q(kg_co2e__gte=0), name="shared_pool_amounts"),
        ]


class Uncertainty(ActivityRow):
    """A row of uncertainties.csv: standard uncertainties of what a row of another table posts to a line."""

    source = models.CharField(max_length=16)
    code = models.CharField(max_length=128)
    line = models.CharField(max_length=24)
    activity_percent = exact(required=True)
    factor = models.CharField(max_length=128, blank=True)
    factor_percent = exact()

    class Meta:
        ordering: ClassVar = ["package", "row"]
        verbose_name_plural = "uncertainties"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["package", "source", "code", "line"], name="uncertainty_key"),
            models.CheckConstraint(
                condition=Q(activity_percent__gte=0, factor_percent__gte=0), name="uncertainty_amounts"
            ),
        ]
