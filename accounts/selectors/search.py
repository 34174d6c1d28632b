"""Finding nodes by name or external id: only among those that the viewer may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from accounts.models import NodeKind, NodeRef
from accounts.policies import Purpose, VisibleSets
from accounts.selectors.nodes import NodeRow, nodes

if TYPE_CHECKING:
    from collections.abc import Collection

    from accounts.policies import Viewer


class SearchKey(NamedTuple):
    """Where a page ended: the last node's name in lower case, its kind and its id."""

    name: str
    kind: str
    id: int


class Hit(NamedTuple):
    """A node found, and the key after which the next page begins."""

    node: NodeRow
    key: SearchKey


# For each kind: its table, the name that people see, and its external id.
_TABLES = {
    NodeKind.ENTERPRISE_PARENT: ("accounts_enterpriseparent", "node.name", "node.external_id"),
    NodeKind.RESOURCE_DIRECTORY: ("accounts_resourcedirectory", "node.name", "node.external_id"),
    NodeKind.ACCOUNT_GROUP: ("accounts_accountgroup", "node.name", "node.external_id"),
    NodeKind.ACCOUNT: ("accounts_account", "COALESCE(NULLIF(node.name, ''), node.external_id)", "node.external_id"),
    NodeKind.RESOURCE_GROUP: ("accounts_resourcegroup", "COALESCE(NULLIF(node.name, ''), node.code)", "node.code"),
}


def search(
    *, viewer: Viewer, text: str, kinds: Collection[NodeKind], first: int, after: SearchKey | None = None
) -> list[Hit]:
    """The first so many visible nodes whose name or external id contains the text, ignoring case, by name.

    Nodes known by name only are not found: whoever may not see them learns nothing from a count. An empty text finds
    nothing. Four statements at most, one of them for the search itself.
    """
    if not text.strip() or not kinds or first <= 0:
        return []
    pattern = "%" + text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    sets = VisibleSets(viewer, Purpose.SEE)
    parts, params = [], []
    for kind in NodeKind:
        if kind in kinds:
            table, name, external_id = _TABLES[kind]
            visible = sets.sql(kind)
            parts.append(
                f"SELECT lower({name}) AS name, '{kind.value}' AS kind, node.id FROM {table} node"  # noqa: S608 fixed names
                f" WHERE ({name} ILIKE %s OR {external_id} ILIKE %s)"
                f" AND node.id IN (SELECT visible.node_id FROM ({visible.text}) AS visible)"
            )
            params += [pattern, pattern, *visible.params]
    key = after or SearchKey("", "", 0)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name, kind, id FROM ({' UNION ALL '.join(parts)}) AS found"  # noqa: S608 fixed names
            " WHERE (name, kind, id) > (%s, %s, %s) ORDER BY name, kind, id LIMIT %s",
            [*params, *key, first],
        )
        keys = [SearchKey(*row) for row in cursor.fetchall()]
    found = nodes(viewer=viewer, refs=[NodeRef(NodeKind(each.kind), each.id) for each in keys])
    return [Hit(found[ref], each) for each in keys if (ref := NodeRef(NodeKind(each.kind), each.id)) in found]
