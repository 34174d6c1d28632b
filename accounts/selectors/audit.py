"""What happened to a node, for its administrators."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import connection

from accounts.models import NodeKind, NodeRef
from accounts.months import multirange
from accounts.policies import Access, access_to, administered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
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


_ENTRIES = """
SELECT page.id, page.at, page.actor_id, page.acting_account_id, page.action, page.details, node.kind, node.node_id
FROM unnest(%(kinds)s::text[], %(ids)s::bigint[], %(months)s::datemultirange[]) AS node (kind, node_id, months)
CROSS JOIN LATERAL (
    SELECT entry.*
    FROM accounts_auditentry entry
    WHERE entry.node_kind = node.kind AND entry.node_id = node.node_id
        AND (%(before)s::bigint IS NULL OR entry.id < %(before)s)
        AND node.months @> (entry.at AT TIME ZONE 'UTC')::date
    ORDER BY entry.id DESC LIMIT %(first)s
) AS page
ORDER BY page.id DESC
"""


def audit_of(
    *, viewer: Viewer, nodes: Collection[NodeRef], first: int, before: int | None = None
) -> dict[NodeRef, list[AuditRow]]:
    """For each node that the viewer administers now the entries about it, newest first, older than the id `before`.

    Nodes that they do not administer are absent. Only entries of months in which the viewer's authority covers the
    node: a new parent does not read what the former one did. A constant number of statements for each kind of nodes.
    """
    held = administered(viewer, nodes)
    found: dict[NodeRef, list[AuditRow]] = {node: [] for node in held}
    params: dict[str, Any] = {
        "kinds": [node.kind.value for node in held],
        "ids": [node.id for node in held],
        "months": [multirange(periods) for periods in held.values()],
        "before": before,
        "first": first,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, params)
        rows = [_row(row) for row in cursor.fetchall()]
    hidden = _hidden(viewer, rows)
    for row in rows:
        found[row.node].append(replace(row, details=_redacted(row.details, hidden)))
    return found


def _row(row: tuple[Any, ...]) -> AuditRow:
    ident, at, actor_id, acting_account_id, action, details, kind, node_id = row
    # A raw cursor hands JSON out as text.
    return AuditRow(
        ident, at, actor_id, acting_account_id, action, NodeRef(NodeKind(kind), node_id), json.loads(details)
    )


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


def _hidden(viewer: Viewer, rows: Iterable[AuditRow]) -> set[str]:
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
