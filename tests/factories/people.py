"""Users, their roles, and viewers, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, cast

from django.contrib.auth.models import Group, Permission

from accounts.models import (
    Account,
    AccountGroup,
    EnterpriseParent,
    NodeKind,
    NodeRef,
    ResourceDirectory,
    ResourceGroup,
    User,
)
from accounts.models.grants import USER_GRANTS, USER_GROUP_GRANTS
from accounts.policies import Viewer, viewer_of
from tests.factories.hierarchy import NOW

if TYPE_CHECKING:
    from accounts.models import Grant

type_of = {
    EnterpriseParent: NodeKind.ENTERPRISE_PARENT,
    ResourceDirectory: NodeKind.RESOURCE_DIRECTORY,
    AccountGroup: NodeKind.ACCOUNT_GROUP,
    Account: NodeKind.ACCOUNT,
    ResourceGroup: NodeKind.RESOURCE_GROUP,
}
Node = EnterpriseParent | ResourceDirectory | AccountGroup | Account | ResourceGroup
_numbers = count(1)


def ref(node: Node) -> NodeRef:
    """The node's reference."""
    return NodeRef(type_of[type(node)], node.pk)


def person(name: str = "person", *, active: bool = True) -> User:
    """A user without any role."""
    return User.objects.create(username=f"{name}-{next(_numbers)}", is_active=active)


def operator() -> User:
    """Active staff with the permission to operate."""
    made = User.objects.create(username=f"operator-{next(_numbers)}", is_staff=True)
    made.user_permissions.add(Permission.objects.get(codename="operate", content_type__app_label="accounts"))
    return made


def crew(*members: User) -> Group:
    """A user group."""
    made = Group.objects.create(name=f"crew-{next(_numbers)}")
    made.user_set.add(*members)
    return made


def give(  # noqa: PLR0913 columns of a grant
    to: User | Group,
    node: Node,
    role: str = "viewer",
    *,
    ends_at: datetime | None = None,
    authority: tuple[str, ...] = (),
    granted_by: User | None = None,
) -> Grant:
    """A grant as the service would store it, without asking anybody."""
    kind = type_of[type(node)]
    permission = Permission.objects.get(
        codename=role,
        content_type__app_label="accounts",
        content_type__model=node._meta.model_name,  # noqa: SLF001 Django's name
    )
    fields = {
        "permission": permission,
        "content_object": node,
        "ends_at": ends_at,
        "authority": list(authority),
        "granted_at": datetime(2025, 1, 1, tzinfo=UTC),
        "granted_by": granted_by,
    }
    if isinstance(to, User):
        return cast("Grant", USER_GRANTS[kind]._default_manager.create(user=to, **fields))  # noqa: SLF001 Django's name
    return cast("Grant", USER_GROUP_GRANTS[kind]._default_manager.create(group=to, **fields))  # noqa: SLF001 Django's name


def viewing(user: User, now: datetime = NOW) -> Viewer:
    """The user as a viewer, read anew."""
    return viewer_of(User.objects.get(pk=user.pk), now=now)
