"""Nodes by reference and by external id."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

from accounts.models import NodeKind, NodeRef
from accounts.policies import Access, access_to

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from accounts.policies import Viewer


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What may be said of a node. With access NAME_ONLY, its kind and name are all that may be shown.

    The ids of its owners are None where the kind has none: `directory_id` is set for groups, `account_id` for resource
    groups, `enterprise_id` for directories; what stands above a group or an account depends on the month.
    """

    ref: NodeRef
    name: str
    external_id: str
    status: str
    closed_from: date | None
    access: Access
    provider_code: str | None = None
    enterprise_id: int | None = None
    directory_id: int | None = None
    account_id: int | None = None
    account_kind: str | None = None
    multi_account_management: bool | None = None


# One row per kind with the same columns, so that one reader serves all.
_ROWS: Mapping[NodeKind, str] = {
    NodeKind.ENTERPRISE_PARENT: (
        "SELECT node.id, node.name, node.external_id, node.status, NULL::date, NULL::text, NULL::bigint,"
        " NULL::bigint, NULL::bigint, NULL::text, NULL::boolean FROM accounts_enterpriseparent node"
    ),
    NodeKind.RESOURCE_DIRECTORY: (
        "SELECT node.id, node.name, node.external_id, node.status, NULL::date, provider.code, node.enterprise_id,"
        " NULL::bigint, NULL::bigint, NULL::text, node.multi_account_management FROM accounts_resourcedirectory node"
        " JOIN accounts_provider provider ON provider.id = node.provider_id"
    ),
    NodeKind.ACCOUNT_GROUP: (
        "SELECT node.id, node.name, node.external_id, node.status, node.closed_from, provider.code, NULL::bigint,"
        " node.directory_id, NULL::bigint, NULL::text, NULL::boolean FROM accounts_accountgroup node"
        " JOIN accounts_resourcedirectory directory ON directory.id = node.directory_id"
        " JOIN accounts_provider provider ON provider.id = directory.provider_id"
    ),
    NodeKind.ACCOUNT: (
        "SELECT node.id, node.name, node.external_id, node.status, node.closed_from, provider.code, NULL::bigint,"
        " NULL::bigint, NULL::bigint, node.kind, NULL::boolean FROM accounts_account node"
        " JOIN accounts_provider provider ON provider.id = node.provider_id"
    ),
    NodeKind.RESOURCE_GROUP: (
        "SELECT node.id, node.name, node.code, account.status, account.closed_from, provider.code, NULL::bigint,"
        " NULL::bigint, node.account_id, NULL::text, NULL::boolean FROM accounts_resourcegroup node"
        " JOIN accounts_account account ON account.id = node.account_id"
        " JOIN accounts_provider provider ON provider.id = account.provider_id"
    ),
}


def _read(kind: NodeKind, ids: Collection[int], access: Mapping[int, Access]) -> dict[NodeRef, NodeRow]:
    with connection.cursor() as cursor:
        cursor.execute(f"{_ROWS[kind]} WHERE node.id = ANY(%s)", [list(ids)])
        rows = cursor.fetchall()
    found = {}
    for node_id, name, external_id, status, closed_from, *rest in rows:
        ref = NodeRef(kind, node_id)
        # An account may have no name of its own; its external id is what people call it.
        found[ref] = NodeRow(ref, name or external_id, external_id, status, closed_from, access[node_id], *rest)
    return found


def nodes(*, viewer: Viewer, refs: Collection[NodeRef]) -> dict[NodeRef, NodeRow]:
    """The nodes that the viewer may know, by reference; hidden and absent ones are missing alike.

    At most three statements for each kind asked, whatever the number of nodes.
    """
    by_kind: dict[NodeKind, set[int]] = defaultdict(set)
    for ref in refs:
        by_kind[ref.kind].add(ref.id)
    found: dict[NodeRef, NodeRow] = {}
    for kind, ids in by_kind.items():
        access = access_to(viewer, kind=kind, ids=ids)
        known = [node_id for node_id, how in access.items() if how != Access.HIDDEN]
        if known:
            found |= _read(kind, known, access)
    return found


def node(*, viewer: Viewer, ref: NodeRef) -> NodeRow | None:
    """The node, or None if it is hidden or absent."""
    return nodes(viewer=viewer, refs=[ref]).get(ref)


_EXTERNAL: Mapping[NodeKind, str] = {
    NodeKind.ENTERPRISE_PARENT: (
        "SELECT node.id FROM accounts_enterpriseparent node"
        " WHERE node.external_id = %(external)s AND %(provider)s::text IS NULL AND %(within)s::text IS NULL"
    ),
    NodeKind.RESOURCE_DIRECTORY: (
        "SELECT node.id FROM accounts_resourcedirectory node"
        " JOIN accounts_provider provider ON provider.id = node.provider_id"
        " WHERE node.external_id = %(external)s AND provider.code = %(provider)s AND %(within)s::text IS NULL"
    ),
    NodeKind.ACCOUNT_GROUP: (
        "SELECT node.id FROM accounts_accountgroup node"
        " JOIN accounts_resourcedirectory directory ON directory.id = node.directory_id"
        " JOIN accounts_provider provider ON provider.id = directory.provider_id"
        " WHERE node.external_id = %(external)s AND provider.code = %(provider)s"
        " AND (%(within)s::text IS NULL OR directory.external_id = %(within)s)"
    ),
    NodeKind.ACCOUNT: (
        "SELECT node.id FROM accounts_account node JOIN accounts_provider provider ON provider.id = node.provider_id"
        " WHERE node.external_id = %(external)s AND provider.code = %(provider)s AND %(within)s::text IS NULL"
    ),
    NodeKind.RESOURCE_GROUP: (
        "SELECT node.id FROM accounts_resourcegroup node JOIN accounts_account account ON account.id = node.account_id"
        " JOIN accounts_provider provider ON provider.id = account.provider_id"
        " WHERE node.code = %(external)s AND provider.code = %(provider)s AND account.external_id = %(within)s"
    ),
}
_MOST_CANDIDATES = 100


def nodes_by_external_id(
    *, viewer: Viewer, kind: NodeKind, external_id: str, provider_code: str | None, within: str | None = None
) -> list[NodeRow]:
    """The known nodes of this kind with exactly this external id, in order of id; usually none or one.

    A provider's groups are unique within a directory only: `within` is the directory's external id, where it matters.
    For a resource group `external_id` is its code and `within`, which it needs, the account's external id.
    An enterprise has no provider.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_EXTERNAL[kind]} ORDER BY 1 LIMIT {_MOST_CANDIDATES}",
            {"external": external_id, "provider": provider_code, "within": within},
        )
        refs = [NodeRef(kind, row[0]) for row in cursor.fetchall()]
    known = nodes(viewer=viewer, refs=refs)
    return [known[ref] for ref in refs if ref in known]
