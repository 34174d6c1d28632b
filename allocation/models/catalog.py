"""Names that stay the same from month to month: clusters, regions and services of a provider.

What a month's package says of them (name, kind, country, unit) stands in the activity tables and, for a run, in
`RunLocation`: loading a newer package never changes a published figure.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from accounts.models import Provider


class Region(models.Model):
    """A reporting region of a provider."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="regions")
    code = models.CharField(max_length=128)

    class Meta:
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["provider", "code"], name="region_code")]

    def __str__(self) -> str:
        return self.code


class Cluster(models.Model):
    """A reporting location of a provider: region, edge location, availability zone or data centre."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="clusters")
    code = models.CharField(max_length=128)

    class Meta:
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["provider", "code"], name="cluster_code")]

    def __str__(self) -> str:
        return self.code


class Service(models.Model):
    """A service of a provider; `name` is the newest one loaded. `(unused)` is the engine's own."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="services")
    code = models.CharField(max_length=128)
    name = models.CharField(max_length=200, blank=True)
    category = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering: ClassVar = ["code"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["provider", "code"], name="service_code")]

    def __str__(self) -> str:
        return self.name or self.code
