"""Provider-side organisations."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from accounts.models.enterprise import EnterpriseParent, NodeStatus, Provider


class ResourceDirectory(models.Model):
    """One organisation at one provider: Alibaba resource directory, AWS organization, IBM enterprise.

    Quotas are limits of this directory (`None` = no limit); presets with the providers' own numbers are in
    `accounts.services.quotas`.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="directories")
    enterprise = models.ForeignKey(EnterpriseParent, on_delete=models.PROTECT, related_name="directories")
    external_id = models.CharField(max_length=128)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=8, choices=NodeStatus, default=NodeStatus.ACTIVE)
    management_account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, null=True, blank=True, related_name="manages"
    )
    multi_account_management = models.BooleanField(default=True)
    max_depth = models.PositiveIntegerField(null=True, blank=True, help_text="Levels of groups.")
    max_groups = models.PositiveIntegerField(null=True, blank=True)
    max_accounts = models.PositiveIntegerField(null=True, blank=True)
    max_delegated_administrators = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        verbose_name_plural = "resource directories"
        permissions: ClassVar = [("viewer", "See emissions"), ("administrator", "Administer")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "external_id"], name="directory_external_id"),
        ]

    def __str__(self) -> str:
        return self.name
