"""What administrators of a node read: who has which role on it, and what happened to it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from accounts.selectors.audit import AuditRow
from accounts.selectors.roles import GrantRow
from allocation.policies import Kind, NodeKey
from graphql_api.context import Context
from graphql_api.loaders import AuditKey, GrantsKey
from graphql_api.pagination import Cursors, PageInfo, page_of, page_size

Info = strawberry.Info[Context, None]


@strawberry.type(description="A role of a user or a user group on a node.")
class Grant:
    """A grant."""

    role: str = strawberry.field(description="viewer or administrator.")
    username: str | None = strawberry.field(description="The user; null for a user group.")
    user_group: str | None = strawberry.field(description="The user group; null for a user.")
    granted_at: datetime = strawberry.field(description="When it was granted, or granted again.")
    ends_at: datetime | None = strawberry.field(description="The instant from which it no longer counts; null = never.")
    whole_history: bool = strawberry.field(
        description="Whether it covers all months; else only those inside the authority of who granted it."
    )

    @classmethod
    def of(cls, row: GrantRow) -> Grant:
        """Convert."""
        return cls(
            role=row.role,
            username=row.username,
            user_group=row.user_group,
            granted_at=row.granted_at,
            ends_at=row.ends_at,
            whole_history=not row.authority,
        )


@strawberry.type(description="A grant in a list.")
class GrantEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: Grant = strawberry.field(description="The grant.")


@strawberry.type(description="Grants, one page of them, oldest first.")
class GrantConnection:
    """Relay connection."""

    edges: list[GrantEdge] = strawberry.field(description="The grants of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A detail of an entry of the audit log.")
class AuditDetail:
    """A detail."""

    name: str = strawberry.field(description="What it is.")
    value: str = strawberry.field(description="Its value; nodes that the viewer may not know are `hidden`.")


@strawberry.type(description="One grant, revocation, delegation, switch or move.")
class AuditEntry:
    """An entry."""

    at: datetime = strawberry.field(description="When it happened.")
    action: str = strawberry.field(description="What happened, for example grant_role.")
    details: list[AuditDetail] = strawberry.field(description="Whom and what it was about.")

    @classmethod
    def of(cls, row: AuditRow) -> AuditEntry:
        """Convert."""
        details = [AuditDetail(name=name, value=_text(value)) for name, value in sorted(row.details.items())]
        return cls(at=row.at, action=row.action, details=details)


@strawberry.type(description="An entry in a list.")
class AuditEntryEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: AuditEntry = strawberry.field(description="The entry.")


@strawberry.type(description="Entries of the audit log, one page of them, newest first.")
class AuditConnection:
    """Relay connection."""

    edges: list[AuditEntryEdge] = strawberry.field(description="The entries of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


async def grants_of(info: Info, key: NodeKey, first: int | None, after: str | None) -> GrantConnection | None:
    """One page of the grants on a node."""
    if key.kind is Kind.MISCELLANEOUS:
        return None
    size, cursors = page_size(first), Cursors(("grants", *key), (str, str, int, int))
    place = cursors.read(after)
    rows = await info.context.loaders.grants_by_key.load(GrantsKey(key.ref, size + 1, _grant(key, place)))
    if rows is None:
        return None
    page = page_of(rows, size=size, key=_grant_key, cursors=cursors, after=place)
    edges = [GrantEdge(cursor=cursor, node=Grant.of(row)) for cursor, row in page.rows]
    return GrantConnection(edges=edges, page_info=page.info)


async def audit_of(info: Info, key: NodeKey, first: int | None, after: str | None) -> AuditConnection | None:
    """One page of the audit log of a node."""
    if key.kind is Kind.MISCELLANEOUS:
        return None
    size, cursors = page_size(first), Cursors(("audit", *key), (int,))
    place = cursors.read(after)
    before = None if place is None else int(place[0])
    rows = await info.context.loaders.audit_by_key.load(AuditKey(key.ref, size + 1, before))
    if rows is None:
        return None
    page = page_of(rows, size=size, key=lambda row: (row.id,), cursors=cursors, after=place)
    edges = [AuditEntryEdge(cursor=cursor, node=AuditEntry.of(row)) for cursor, row in page.rows]
    return AuditConnection(edges=edges, page_info=page.info)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _grant_key(row: GrantRow) -> tuple[str | int, ...]:
    return (row.granted_at.isoformat(), row.role, row.user_id or 0, row.user_group_id or 0)


def _grant(key: NodeKey, place: tuple[str | int, ...] | None) -> GrantRow | None:
    if place is None:
        return None
    at, role, user, group = place
    return GrantRow(
        node=key.ref,
        role=str(role),
        user_id=int(user) or None,
        username=None,
        user_group_id=int(group) or None,
        user_group=None,
        ends_at=None,
        granted_at=datetime.fromisoformat(str(at)),
        granted_by_id=None,
        authority=(),
    )
