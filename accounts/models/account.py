"""Cloud accounts and the resource groups inside them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from accounts.models.enterprise import NodeStatus, Provider


class AccountKind(models.TextChoices):
    """Whose workload an account carries."""

    CUSTOMER = "customer", "customer"
    INTERNAL = "internal", "internal"


class Account(models.Model):
    """A cloud account, unique by (provider, external id). Without a membership in a month it stands alone."""

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="accounts")
    external_id = models.CharField(max_length=128)
    name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=8, choices=AccountKind, default=AccountKind.CUSTOMER)
    status = models.CharField(max_length=8, choices=NodeStatus, default=NodeStatus.ACTIVE)
    closed_from = models.DateField(null=True, blank=True, help_text="First month in which the account is closed.")

    class Meta:
        ordering: ClassVar = ["external_id", "id"]
        permissions: ClassVar = [("viewer", "See emissions"), ("administrator", "Administer")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "external_id"], name="account_external_id"),
            models.CheckConstraint(
                condition=models.Q(closed_from__isnull=True) | models.Q(closed_from__day=1), name="account_closed_month"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class ResourceGroup(models.Model):
    """A resource group (tag, project) of one account, unique by (account, code); created by loading usage."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="resource_groups")
    code = models.CharField(max_length=128)
    name = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["account_id", "code"]
        permissions: ClassVar = [("viewer", "See emissions"), ("administrator", "Administer")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "code"], name="resource_group_code"),
        ]

    def __str__(self) -> str:
        return self.name or self.code
