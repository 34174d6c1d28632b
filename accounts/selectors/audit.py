"""What happened to a node, for its administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.models import AuditEntry, NodeKind, NodeRef
from accounts.months import month_of
from accounts.policies import Access, Action, Purpose, access_to, may, months_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from accounts.policies import Viewer

REDACTED = "hidden"
"""Stands in an entry for a node that the reader may not know, such as the former parent of a moved account."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry. Nodes in `details` are `kind:id`, or REDACTED."""

    id: int
    at: datetime
    actor_id: int | None
    acting_account_id: int | None
    action: str
    node: NodeRef
    details: dict[str, Any]


def audit_of(*, viewer: Viewer, node: NodeRef, first: int, before: int | None = None) -> list[AuditRow] | None:
    """The entries about the node, newest first, older than the id `before`; None unless the viewer administers it now.

    Only entries of months in which the viewer's authority covers the node: a new parent does not read what the former
    one did. A constant number of statements.
    """
    if not may(viewer, Action.ADMINISTER, node):
        return None
    rows = AuditEntry.objects.filter(node_kind=node.kind.value, node_id=node.id).order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    spans = months_of(viewer, kind=node.kind, ids=[node.id], purpose=Purpose.ADMINISTER).get(node.id, [])
    # Entries are few for each node; those outside the authority are left out before the page is cut.
    seen = [row for row in rows.iterator(chunk_size=500) if any(month_of(row.at) in span for span in spans)][:first]
    hidden = _hidden(viewer, seen)
    return [
        AuditRow(
            id=row.pk,
            at=row.at,
            actor_id=row.actor_id,
            acting_account_id=row.acting_account_id,
            action=row.action,
            node=node,
            details=_redacted(row.details, hidden),
        )
        for row in seen
    ]


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _as_node(text: str) -> NodeRef | None:
    try:
        return NodeRef.parse(text)
    except ValueError:
        return None


def _hidden(viewer: Viewer, rows: Iterable[AuditEntry]) -> set[str]:
    """The keys of nodes named in the entries that the viewer may not know."""
    named: dict[NodeKind, dict[int, str]] = {}
    for row in rows:
        for text in _texts(row.details):
            ref = _as_node(text)
            if ref is not None:
                named.setdefault(ref.kind, {})[ref.id] = text
    return {
        keys[node_id]
        for kind, keys in named.items()
        for node_id, access in access_to(viewer, kind=kind, ids=keys).items()
        if access == Access.HIDDEN
    }


def _redacted(value: Any, hidden: set[str]) -> Any:  # noqa: ANN401 JSON of any shape
    if isinstance(value, str):
        return REDACTED if value in hidden else value
    if isinstance(value, list):
        return [_redacted(item, hidden) for item in value]
    if isinstance(value, dict):
        return {name: _redacted(item, hidden) for name, item in value.items()}
    return value
