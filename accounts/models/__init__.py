"""Who and where: see docs/hierarchy.md."""

from accounts.models.access import (
    AccountGroupUserGroupPermission,
    AccountGroupUserPermission,
    AccountUserGroupPermission,
    AccountUserPermission,
    DelegatedAdministrator,
    EnterpriseParentUserGroupPermission,
    EnterpriseParentUserPermission,
    Grant,
    ResourceDirectoryUserGroupPermission,
    ResourceDirectoryUserPermission,
    ResourceGroupUserGroupPermission,
    ResourceGroupUserPermission,
    Role,
)
from accounts.models.account import Account, ResourceGroup
from accounts.models.allowance import RequestAllowance
from accounts.models.audit import AuditEntry, IdempotencyKey
from accounts.models.directory import ResourceDirectory
from accounts.models.enterprise import EnterpriseParent, NodeStatus, Provider
from accounts.models.hierarchy import AccountGroup, AccountMembership, GroupClosure, GroupEdge, TreeVersion
from accounts.models.node import NodeKind, NodeRef
from accounts.models.user import User

__all__ = [
    "Account",
    "AccountGroup",
    "AccountGroupUserGroupPermission",
    "AccountGroupUserPermission",
    "AccountMembership",
    "AccountUserGroupPermission",
    "AccountUserPermission",
    "AuditEntry",
    "DelegatedAdministrator",
    "EnterpriseParent",
    "EnterpriseParentUserGroupPermission",
    "EnterpriseParentUserPermission",
    "Grant",
    "GroupClosure",
    "GroupEdge",
    "IdempotencyKey",
    "NodeKind",
    "NodeRef",
    "NodeStatus",
    "Provider",
    "RequestAllowance",
    "ResourceDirectory",
    "ResourceDirectoryUserGroupPermission",
    "ResourceDirectoryUserPermission",
    "ResourceGroup",
    "ResourceGroupUserGroupPermission",
    "ResourceGroupUserPermission",
    "Role",
    "TreeVersion",
    "User",
]
