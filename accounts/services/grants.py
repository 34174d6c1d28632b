"""Granting roles on nodes and taking them back: guardian's rows, with what we add to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from accounts.models import Grant, NodeKind, NodeRef, Role, User
from accounts.models.grants import NODE_MODELS, USER_GRANTS, USER_GROUP_GRANTS
from accounts.policies import Access, Authority, Viewer, access_to, authority_over
from accounts.services import audit
from accounts.services.refusal import Invalid, NotFound, PermissionDenied, Refusal

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet


class GrantExists(Refusal):
    """A grant of wider reach stands; it would be narrowed or prolonged by somebody who could not have made it."""

    code = "GRANT_EXISTS"


class GrantNotFound(Refusal):
    """The grantee has no such role on the node."""

    code = "GRANT_NOT_FOUND"


def _authority(viewer: Viewer, node: NodeRef) -> Authority:
    """By what right the viewer decides about grants on an existing node; NotFound or PermissionDenied without one."""
    access = access_to(viewer, kind=node.kind, ids=[node.id])[node.id]
    if access == Access.HIDDEN or not NODE_MODELS[node.kind]._default_manager.filter(pk=node.id).exists():  # noqa: SLF001 Django's name
        raise NotFound(f"there is no {node.kind.label} {node.id}", field="node")
    authority = authority_over(viewer, node)
    if authority is None:
        raise PermissionDenied(f"you do not administer this {node.kind.label}", field="node")
    return authority


def _permission(kind: NodeKind, role: Role) -> Permission:
    model = NODE_MODELS[kind]._meta  # noqa: SLF001 Django's name
    return Permission.objects.get(
        codename=role.value, content_type__app_label=model.app_label, content_type__model=model.model_name
    )


def _grantee(*, user_id: int | None, user_group_id: int | None) -> dict[str, int]:
    """The one grantee, as columns of guardian's row."""
    if (user_id is None) == (user_group_id is None):
        raise Invalid("name either a user or a user group", field="grantee")
    if user_id is not None:
        if not User.objects.filter(id=user_id, is_active=True).exists():
            raise Invalid(f"there is no active user {user_id}", field="grantee")
        return {"user_id": user_id}
    if user_group_id is None or not Group.objects.filter(id=user_group_id).exists():
        raise Invalid(f"there is no user group {user_group_id}", field="grantee")
    return {"group_id": user_group_id}


def _rows(node: NodeRef, grantee: dict[str, int]) -> QuerySet[Any]:
    model = (USER_GRANTS if "user_id" in grantee else USER_GROUP_GRANTS)[node.kind]
    return model._default_manager.filter(content_object_id=node.id, **grantee)  # noqa: SLF001 Django's name


@transaction.atomic
def grant_role(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    node: NodeRef,
    role: Role,
    user_id: int | None = None,
    user_group_id: int | None = None,
    ends_at: datetime | None = None,
) -> Grant:
    """Give a user or a user group a role on a node, until `ends_at` (exclusive; None: until it is revoked).

    What limits the viewer's own role limits the grant: see `Grant.authority`. Granting again replaces the end date;
    where a grant of wider reach stands, only somebody of that reach may.
    """
    authority = _authority(viewer, node)
    grantee = _grantee(user_id=user_id, user_group_id=user_group_id)
    if ends_at is not None and ends_at <= viewer.now:
        raise Invalid("the grant would have ended already", field="endsAt")
    permission = _permission(node.kind, role)
    values = {
        "ends_at": ends_at,
        "granted_at": viewer.now,
        "granted_by_id": viewer.user_id,
        "authority": list(authority.inside),
    }
    rows = _rows(node, grantee)
    # Two grants at once meet at the unique constraint; the later one then finds the row of the earlier.
    grant, created = rows.model._default_manager.get_or_create(  # noqa: SLF001 Django's name
        content_object_id=node.id, permission=permission, **grantee, defaults=values
    )
    if not created:
        grant = rows.select_for_update().get(pk=grant.pk)
        _require_reach(grant, authority, viewer)
        for name, value in values.items():
            setattr(grant, name, value)
        grant.save(update_fields=["ends_at", "granted_at", "granted_by", "authority"])
    _record(viewer, "grant_role", node=node, role=role, grantee=grantee, grant=grant, authority=authority)
    return grant  # type: ignore[no-any-return]  # one of ten models, chosen by kind


def _require_reach(standing: Grant, authority: Authority, viewer: Viewer) -> None:
    """Replace a standing grant only by one that reaches at least as far: never narrow or prolong a wider one."""
    if standing.ends_at is not None and standing.ends_at <= viewer.now:
        return
    if not set(authority.inside) <= set(standing.authority):
        raise GrantExists("a grant of wider reach stands; revoke it first", field="node")


@transaction.atomic
def revoke_role(
    *, viewer: Viewer, node: NodeRef, role: Role, user_id: int | None = None, user_group_id: int | None = None
) -> None:
    """Take a role back: the next statement anywhere no longer sees by it. The audit log keeps what it was."""
    authority = _authority(viewer, node)
    if (user_id is None) == (user_group_id is None):
        raise Invalid("name either a user or a user group", field="grantee")
    grantee = {"user_id": user_id} if user_id is not None else {"group_id": int(user_group_id or 0)}
    grant = _rows(node, grantee).select_for_update().filter(permission=_permission(node.kind, role)).first()
    if grant is None:
        raise GrantNotFound("there is no such grant", field="node")
    grant.delete()
    _record(viewer, "revoke_role", node=node, role=role, grantee=grantee, grant=grant, authority=authority)


def _record(  # noqa: PLR0913 everything that the audit log keeps
    viewer: Viewer,
    action: str,
    *,
    node: NodeRef,
    role: Role,
    grantee: dict[str, int],
    grant: Grant,
    authority: Authority,
) -> None:
    audit.record(
        viewer=viewer,
        action=action,
        node=node,
        details={
            "role": role.value,
            **{("user" if name == "user_id" else "user_group"): value for name, value in grantee.items()},
            "ends_at": None if grant.ends_at is None else grant.ends_at.isoformat(),
            "authority": list(grant.authority),
        },
        acting_account_id=authority.via_account_id,
    )
