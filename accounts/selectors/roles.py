"""Who has which role: the viewer's own, and, for administrators, everybody's on a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

from accounts.models import DelegatedAdministrator, NodeKind, NodeRef
from accounts.policies import Action, Purpose, Root, ancestors, may, roots_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from accounts.policies import Viewer


def roles(*, viewer: Viewer) -> list[Root]:
    """The viewer's roles as they count now: granted, or extended from a management or delegated account."""
    return roots_of(viewer, Purpose.SEE)


def topmost(*, viewer: Viewer) -> list[Root]:
    """The viewer's roles whose node does not stand below another node on which they have a role for as many months.

    Where a node stands is judged in the current month, or in the first in which the role counts if that is not one.
    Operators have no roles: they see every enterprise.
    A few statements, whatever the number of roles.
    """
    held = roots_of(viewer, Purpose.SEE)
    by_ref: dict[NodeRef, list[Root]] = {}
    for root in held:
        by_ref.setdefault(root.ref, []).append(root)
    above: dict[NodeRef, Collection[NodeRef]] = {}
    for kind in NodeKind:
        months = {
            root.ref.id: viewer.month if viewer.month in root.months else root.months.start
            for root in held
            if root.ref.kind == kind
        }
        for node_id, steps in (ancestors(kind=kind, months=months) if months else {}).items():
            above[NodeRef(kind, node_id)] = [step.ref for step in steps if step.height > 0]

    def covered(root: Root) -> bool:
        return any(
            other.months.start <= root.months.start and root.months.bound <= other.months.bound
            for step in above.get(root.ref, ())
            for other in by_ref.get(step, ())
        )

    return [root for root in held if not covered(root)]


@dataclass(frozen=True, slots=True)
class GrantRow:
    """One grant on a node, expired ones included; exactly one of user and user group is set."""

    node: NodeRef
    role: str
    user_id: int | None
    username: str | None
    user_group_id: int | None
    user_group: str | None
    ends_at: datetime | None
    granted_at: datetime
    granted_by_id: int | None
    authority: tuple[str, ...]


_GRANTS = """
SELECT held.role, held.user_id, person.username, held.user_group_id, team.name AS user_group, held.ends_at,
       held.granted_at, held.granted_by_id, held.authority
FROM accounts_grant held
LEFT JOIN accounts_user person ON person.id = held.user_id
LEFT JOIN auth_group team ON team.id = held.user_group_id
WHERE held.node_kind = %s AND held.node_id = %s
    AND (held.granted_at, held.role, COALESCE(held.user_id, 0), COALESCE(held.user_group_id, 0)) > (%s, %s, %s, %s)
ORDER BY held.granted_at, held.role, COALESCE(held.user_id, 0), COALESCE(held.user_group_id, 0) LIMIT %s
"""


def grants_on(*, viewer: Viewer, node: NodeRef, first: int, after: GrantRow | None = None) -> Sequence[GrantRow] | None:
    """The grants on the node itself, oldest first, after one of them; None unless the viewer administers it now."""
    if not may(viewer, Action.ADMINISTER, node):
        return None
    key = (
        ("-infinity", "", 0, 0)
        if after is None
        else (after.granted_at, after.role, after.user_id or 0, after.user_group_id or 0)
    )
    with connection.cursor() as cursor:
        cursor.execute(_GRANTS, [node.kind.value, node.id, *key, first])
        columns = [column.name for column in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return [GrantRow(node=node, **(row | {"authority": tuple(row["authority"])})) for row in rows]


def delegations_of(
    *, viewer: Viewer, directory_id: int, first: int, before: int | None = None
) -> list[DelegatedAdministrator] | None:
    """The directory's delegations, newest first, ended ones included; None unless the viewer administers it now."""
    node = NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id)
    if not (may(viewer, Action.ADMINISTER, node) or may(viewer, Action.DELEGATE, node)):
        return None
    rows = DelegatedAdministrator.objects.filter(directory_id=directory_id).select_related("account", "group")
    if before is not None:
        rows = rows.filter(id__lt=before)
    return list(rows.order_by("-id")[:first])
