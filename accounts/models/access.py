"""Grants of roles on nodes, stored by django-guardian with direct foreign keys, and delegated administrators."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from accounts.models.account import Account, ResourceGroup
from accounts.models.directory import ResourceDirectory
from accounts.models.enterprise import EnterpriseParent
from accounts.models.hierarchy import AccountGroup


class Role(models.TextChoices):
    """Roles that can be granted on a node; each is the codename of one permission of the node's model."""

    VIEWER = "viewer", "viewer"
    ADMINISTRATOR = "administrator", "administrator"


class Grant(models.Model):
    """What we add to guardian's row.

    `ends_at` is the instant from which the grant no longer counts. `authority` lists the nodes (`kind:id`) inside which
    the granter's own role was inherited: the grant counts for a month only while the node stands below each of them in
    that month. Empty: the granter was a direct administrator or an operator, the whole history is covered.
    """

    ends_at = models.DateTimeField(null=True, blank=True)
    granted_at = models.DateTimeField()
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    authority = ArrayField(models.CharField(max_length=64), default=list, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"grant {self.pk}"


class UserGrant(Grant, UserObjectPermissionBase):
    """A grant to one user: one current row per user, role and node."""

    class Meta:
        abstract = True
        unique_together: ClassVar = ["user", "permission", "content_object"]


class UserGroupGrant(Grant, GroupObjectPermissionBase):
    """A grant to a user group: one current row per user group, role and node."""

    class Meta:
        abstract = True
        unique_together: ClassVar = ["group", "permission", "content_object"]


class EnterpriseParentUserPermission(UserGrant):
    """A user's role on an enterprise."""

    content_object = models.ForeignKey(EnterpriseParent, on_delete=models.CASCADE)


class EnterpriseParentUserGroupPermission(UserGroupGrant):
    """A user group's role on an enterprise."""

    content_object = models.ForeignKey(EnterpriseParent, on_delete=models.CASCADE)


class ResourceDirectoryUserPermission(UserGrant):
    """A user's role on a directory."""

    content_object = models.ForeignKey(ResourceDirectory, on_delete=models.CASCADE)


class ResourceDirectoryUserGroupPermission(UserGroupGrant):
    """A user group's role on a directory."""

    content_object = models.ForeignKey(ResourceDirectory, on_delete=models.CASCADE)


class AccountGroupUserPermission(UserGrant):
    """A user's role on an account group."""

    content_object = models.ForeignKey(AccountGroup, on_delete=models.CASCADE)


class AccountGroupUserGroupPermission(UserGroupGrant):
    """A user group's role on an account group."""

    content_object = models.ForeignKey(AccountGroup, on_delete=models.CASCADE)


class AccountUserPermission(UserGrant):
    """A user's role on an account."""

    content_object = models.ForeignKey(Account, on_delete=models.CASCADE)


class AccountUserGroupPermission(UserGroupGrant):
    """A user group's role on an account."""

    content_object = models.ForeignKey(Account, on_delete=models.CASCADE)


class ResourceGroupUserPermission(UserGrant):
    """A user's role on a resource group."""

    content_object = models.ForeignKey(ResourceGroup, on_delete=models.CASCADE)


class ResourceGroupUserGroupPermission(UserGroupGrant):
    """A user group's role on a resource group."""

    content_object = models.ForeignKey(ResourceGroup, on_delete=models.CASCADE)


class DelegatedAdministrator(models.Model):
    """An account whose users are viewers of the directory, or of the subtree under `group`, until it ends."""

    directory = models.ForeignKey(ResourceDirectory, on_delete=models.PROTECT, related_name="delegations")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="delegations")
    group = models.ForeignKey(AccountGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="delegations")
    registered_at = models.DateTimeField()
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    ends_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-registered_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["directory", "account"], condition=Q(revoked_at__isnull=True), name="delegation_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id} for {self.directory_id}"
