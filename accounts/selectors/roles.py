"""Who has which role: the viewer's own, and, for administrators, everybody's on a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from accounts.models import DelegatedAdministrator, NodeKind, NodeRef
from accounts.policies import Action, Purpose, Root, administered, ancestors, may, roots_of

if TYPE_CHECKING:
    from collections.abc import Collection
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
SELECT node.kind, node.node_id, page.*
FROM unnest(%(kinds)s::text[], %(ids)s::bigint[]) AS node (kind, node_id)
CROSS JOIN LATERAL (
    SELECT held.role, held.user_id, person.username, held.user_group_id, team.name AS user_group, held.ends_at,
           held.granted_at, held.granted_by_id, held.authority
    FROM accounts_grant held
    LEFT JOIN accounts_user person ON person.id = held.user_id
    LEFT JOIN auth_group team ON team.id = held.user_group_id
    WHERE held.node_kind = node.kind AND held.node_id = node.node_id
        AND (held.granted_at, held.role, COALESCE(held.user_id, 0), COALESCE(held.user_group_id, 0))
            > (%(at)s, %(role)s, %(user)s, %(team)s)
    ORDER BY held.granted_at, held.role, COALESCE(held.user_id, 0), COALESCE(held.user_group_id, 0) LIMIT %(first)s
) AS page
ORDER BY page.granted_at, page.role, COALESCE(page.user_id, 0), COALESCE(page.user_group_id, 0)
"""


def grants_on(
    *, viewer: Viewer, nodes: Collection[NodeRef], first: int, after: GrantRow | None = None
) -> dict[NodeRef, list[GrantRow]]:
    """For each node that the viewer administers now the grants on the node itself, oldest first, after one of them.

    Nodes that they do not administer are absent. A constant number of statements for each kind of nodes.
    """
    held = administered(viewer, nodes)
    found: dict[NodeRef, list[GrantRow]] = {node: [] for node in held}
    params: dict[str, Any] = {"at": "-infinity", "role": "", "user": 0, "team": 0}
    if after is not None:
        params = {"at": after.granted_at, "role": after.role}
        params |= {"user": after.user_id or 0, "team": after.user_group_id or 0}
    params |= {"kinds": [node.kind.value for node in held], "ids": [node.id for node in held], "first": first}
    with connection.cursor() as cursor:
        cursor.execute(_GRANTS, params)
        for kind, node_id, *row, authority in cursor.fetchall():
            node = NodeRef(NodeKind(kind), node_id)
            told: list[Any] = [node, *row, tuple(authority)]
            found[node].append(GrantRow(*told))
    return found


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
