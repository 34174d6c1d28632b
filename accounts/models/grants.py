"""Which of guardian's ten tables holds the grants of a kind of node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.models.access import (
    AccountGroupUserGroupPermission,
    AccountGroupUserPermission,
    AccountUserGroupPermission,
    AccountUserPermission,
    EnterpriseParentUserGroupPermission,
    EnterpriseParentUserPermission,
    ResourceDirectoryUserGroupPermission,
    ResourceDirectoryUserPermission,
    ResourceGroupUserGroupPermission,
    ResourceGroupUserPermission,
    UserGrant,
    UserGroupGrant,
)
from accounts.models.account import Account, ResourceGroup
from accounts.models.directory import ResourceDirectory
from accounts.models.enterprise import EnterpriseParent
from accounts.models.hierarchy import AccountGroup
from accounts.models.node import NodeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import Model

NODE_MODELS: Mapping[NodeKind, type[Model]] = {
    NodeKind.ENTERPRISE_PARENT: EnterpriseParent,
    NodeKind.RESOURCE_DIRECTORY: ResourceDirectory,
    NodeKind.ACCOUNT_GROUP: AccountGroup,
    NodeKind.ACCOUNT: Account,
    NodeKind.RESOURCE_GROUP: ResourceGroup,
}

USER_GRANTS: Mapping[NodeKind, type[UserGrant]] = {
    NodeKind.ENTERPRISE_PARENT: EnterpriseParentUserPermission,
    NodeKind.RESOURCE_DIRECTORY: ResourceDirectoryUserPermission,
    NodeKind.ACCOUNT_GROUP: AccountGroupUserPermission,
    NodeKind.ACCOUNT: AccountUserPermission,
    NodeKind.RESOURCE_GROUP: ResourceGroupUserPermission,
}

USER_GROUP_GRANTS: Mapping[NodeKind, type[UserGroupGrant]] = {
    NodeKind.ENTERPRISE_PARENT: EnterpriseParentUserGroupPermission,
    NodeKind.RESOURCE_DIRECTORY: ResourceDirectoryUserGroupPermission,
    NodeKind.ACCOUNT_GROUP: AccountGroupUserGroupPermission,
    NodeKind.ACCOUNT: AccountUserGroupPermission,
    NodeKind.RESOURCE_GROUP: ResourceGroupUserGroupPermission,
}
