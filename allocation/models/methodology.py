"""Versions of allocation methods: configuration, never code."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from accounts.models import Provider


class MethodologyVersion(models.Model):
    """`name@version` of a provider with its effective options; binds for ever once a month is published with it.

    Until then packages may say different things of one `name@version`: each set of options, GWP set included, has a row
    of its own, and the first that a month is published with is the one that stays.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="methodology_versions")
    name = models.CharField(max_length=128)
    version = models.CharField(max_length=64)
    preset = models.CharField(max_length=16)
    gwp_set = models.CharField(max_length=128)
    options = models.JSONField(help_text="Effective options: the preset's defaults with the package's overrides.")
    options_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    bound_at = models.DateTimeField(null=True, blank=True, help_text="First publication of a month with this version.")

    class Meta:
        ordering: ClassVar = ["provider", "name", "version"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["provider", "name", "version", "gwp_set", "options_digest"], name="methodology_version_options"
            ),
            models.UniqueConstraint(
                fields=["provider", "name", "version"],
                condition=models.Q(bound_at__isnull=False),
                name="methodology_version_bound",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"
