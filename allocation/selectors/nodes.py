"""Nodes of the hierarchy by id, as far as a viewer may know them: names, places, what stands above."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from accounts.policies import NodeKind
from accounts.selectors.search import SearchKey
from accounts.selectors.search import search as find_by_text
from accounts.statements import rows_of
from allocation.policies import Kind, NodeKey

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from accounts.policies import Viewer

MISCELLANEOUS_NAME = "Miscellaneous"


class Status(enum.StrEnum):
    """Whether a node is in use."""

    ACTIVE = "active"
    CLOSED = "closed"


class Access(enum.StrEnum):
    """How a viewer may know a node: with its numbers, or only by name because something below it is visible."""

    VISIBLE = "visible"
    NAME_ONLY = "name_only"


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `provider_code` is None for enterprises."""

    key: NodeKey
    name: str
    external_id: str | None
    status: Status
    provider_code: str | None
    closed_from: date | None
    access: Access
    multi_account_management: bool | None = None
    account_kind: str | None = None
    directory_id: int | None = None


# Descriptions by kind; `known` restricts them to nodes that the viewer may know.
DESCRIBED = """
described AS MATERIALIZED (
    SELECT 'enterprise_parent' AS kind, id AS node_id, name, external_id, status, NULL AS provider_code,
           NULL::date AS closed_from, NULL::boolean AS multi_account_management, NULL AS account_kind,
           NULL::bigint AS directory_id
    FROM accounts_enterpriseparent WHERE id IN (SELECT node_id FROM {wanted} WHERE kind = 'enterprise_parent')
    UNION ALL
    SELECT 'resource_directory', directory.id, directory.name, directory.external_id, directory.status, provider.code,
           NULL, directory.multi_account_management, NULL, directory.id
    FROM accounts_resourcedirectory directory JOIN accounts_provider provider ON provider.id = directory.provider_id
    WHERE directory.id IN (SELECT node_id FROM {wanted} WHERE kind = 'resource_directory')
    UNION ALL
    SELECT 'miscellaneous', directory.id, 'Miscellaneous', NULL, directory.status, provider.code, NULL, NULL, NULL,
           directory.id
    FROM accounts_resourcedirectory directory JOIN accounts_provider provider ON provider.id = directory.provider_id
    WHERE directory.id IN (SELECT node_id FROM {wanted} WHERE kind = 'miscellaneous')
    UNION ALL
    SELECT 'account_group', grouping.id, grouping.name, grouping.external_id, grouping.status, provider.code,
           grouping.closed_from, NULL, NULL, directory.id
    FROM accounts_accountgroup grouping
    JOIN accounts_resourcedirectory directory ON directory.id = grouping.directory_id
    JOIN accounts_provider provider ON provider.id = directory.provider_id
    WHERE grouping.id IN (SELECT node_id FROM {wanted} WHERE kind = 'account_group')
    UNION ALL
    SELECT 'account', account.id, COALESCE(NULLIF(account.name, ''), account.external_id), account.external_id,
           account.status, provider.code, account.closed_from, NULL, account.kind, NULL
    FROM accounts_account account JOIN accounts_provider provider ON provider.id = account.provider_id
    WHERE account.id IN (SELECT node_id FROM {wanted} WHERE kind = 'account')
    UNION ALL
    SELECT 'resource_group', part.id, COALESCE(NULLIF(part.name, ''), part.code), part.code, account.status,
           provider.code, NULL, NULL, NULL, NULL
    FROM accounts_resourcegroup part
    JOIN accounts_account account ON account.id = part.account_id
    JOIN accounts_provider provider ON provider.id = account.provider_id
    WHERE part.id IN (SELECT node_id FROM {wanted} WHERE kind = 'resource_group')
)"""

# Everybody's way to a node: a role on it or above it, an operator's, or its name because something below is visible.
KNOWN = """
wanted AS MATERIALIZED (
    SELECT DISTINCT kind, node_id FROM unnest(%(kinds)s::text[], %(ids)s::bigint[]) AS node (kind, node_id)
), seen AS MATERIALIZED (
    SELECT wanted.kind, wanted.node_id, daterange(months.valid_from, months.valid_to) AS months
    FROM (SELECT DISTINCT kind FROM wanted) AS each
    CROSS JOIN LATERAL accounts_viewer_months(
        %(viewer)s, %(now)s, 'see', CASE each.kind WHEN 'miscellaneous' THEN 'resource_directory' ELSE each.kind END,
        ARRAY(SELECT node_id FROM wanted WHERE wanted.kind = each.kind)) AS months
    JOIN wanted ON wanted.kind = each.kind AND wanted.node_id = months.node_id
    UNION ALL
    SELECT wanted.kind, wanted.node_id, '[,)'::daterange FROM wanted WHERE (SELECT accounts_is_operator(%(viewer)s))
), by_name AS MATERIALIZED (
    SELECT wanted.kind, wanted.node_id, daterange(above.valid_from, above.valid_to) AS months
    FROM (SELECT DISTINCT kind FROM wanted) AS each
    CROSS JOIN LATERAL accounts_viewer_explorable(
        %(viewer)s, %(now)s, CASE each.kind WHEN 'miscellaneous' THEN 'resource_directory' ELSE each.kind END,
        ARRAY(SELECT node_id FROM wanted WHERE wanted.kind = each.kind)) AS above
    JOIN wanted ON wanted.kind = each.kind AND wanted.node_id = above.node_id
), known AS MATERIALIZED (
    SELECT kind, node_id, bool_or(visible) AS visible, range_agg(months) AS months
    FROM (SELECT kind, node_id, months, true AS visible FROM seen
          UNION ALL SELECT kind, node_id, months, false FROM by_name) AS either
    GROUP BY kind, node_id
)"""

_FIND = f"""
WITH {KNOWN.strip()}, {DESCRIBED.format(wanted="known").strip()}
SELECT described.*, known.visible FROM described JOIN known USING (kind, node_id)
"""  # noqa: S608 fixed texts


def _params(viewer: Viewer, keys: Collection[NodeKey]) -> dict[str, Any]:
    ordered = list(keys)
    return {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "month": viewer.month,
        "kinds": [key.kind.value for key in ordered],
        "ids": [key.id for key in ordered],
    }


def node_of(row: Sequence[object], *, visible: bool) -> Node:
    """Read the columns of `described`."""
    kind, node_id, name, external_id, status, provider_code, closed_from, switch, account_kind, directory_id = row
    return Node(
        key=NodeKey(Kind(str(kind)), int(str(node_id))),
        name=str(name),
        external_id=None if external_id is None else str(external_id),
        status=Status(str(status)),
        provider_code=None if provider_code is None else str(provider_code),
        closed_from=closed_from,  # type: ignore[arg-type] # a date column
        access=Access.VISIBLE if visible else Access.NAME_ONLY,
        multi_account_management=switch,  # type: ignore[arg-type] # a boolean column
        account_kind=None if account_kind is None else str(account_kind),
        directory_id=directory_id,  # type: ignore[arg-type] # a bigint column
    )


def by_key(*, viewer: Viewer, keys: Collection[NodeKey]) -> dict[NodeKey, Node]:
    """The nodes that the viewer may know; hidden and absent ones are left out alike. One statement."""
    found = [node_of(row[:-1], visible=row[-1]) for row in rows_of(_FIND, _params(viewer, keys))]
    return {node.key: node for node in found}


_LOCATE = {
    Kind.ENTERPRISE_PARENT: "SELECT id FROM accounts_enterpriseparent WHERE external_id = %(external)s",
    Kind.RESOURCE_DIRECTORY: "SELECT id FROM accounts_resourcedirectory"
    " WHERE external_id = %(external)s AND provider_id = (SELECT id FROM accounts_provider WHERE code = %(provider)s)",
    Kind.MISCELLANEOUS: "SELECT id FROM accounts_resourcedirectory"
    " WHERE external_id = %(external)s AND provider_id = (SELECT id FROM accounts_provider WHERE code = %(provider)s)",
    Kind.ACCOUNT_GROUP: "SELECT g.id FROM accounts_accountgroup g"
    " JOIN accounts_resourcedirectory d ON d.id = g.directory_id JOIN accounts_provider p ON p.id = d.provider_id"
    " WHERE g.external_id = %(external)s AND p.code = %(provider)s AND d.external_id = %(within)s",
    Kind.ACCOUNT: "SELECT id FROM accounts_account"
    " WHERE external_id = %(external)s AND provider_id = (SELECT id FROM accounts_provider WHERE code = %(provider)s)",
    Kind.RESOURCE_GROUP: "SELECT r.id FROM accounts_resourcegroup r"
    " JOIN accounts_account a ON a.id = r.account_id JOIN accounts_provider p ON p.id = a.provider_id"
    " WHERE r.code = %(external)s AND p.code = %(provider)s AND a.external_id = %(within)s",
}


def by_external_id(
    *, viewer: Viewer, kind: Kind, external_id: str, provider: str | None, within: str | None
) -> Node | None:
    """The node with a provider's own id, if the viewer may know it.

    `within` is the external id of the directory for groups and of the account for resource groups.
    """
    rows = rows_of(_LOCATE[kind], {"external": external_id, "provider": provider, "within": within})
    if not rows:
        return None
    key = NodeKey(kind, rows[0][0])
    return by_key(viewer=viewer, keys=[key]).get(key)


class Step(NamedTuple):
    """A node on the way down to another; `depth` 0 is the enterprise."""

    key: NodeKey
    name: str
    has_role: bool


# The way is that of the last month in which the viewer sees the node in a place: where it went afterwards is not told.
_PATHS = f"""
WITH {KNOWN.strip()}, leaf AS (
    SELECT known.kind, known.node_id, known.months, known.node_id AS account_id FROM known WHERE kind = 'account'
    UNION ALL
    SELECT known.kind, known.node_id, known.months, part.account_id
    FROM known JOIN accounts_resourcegroup part ON part.id = known.node_id WHERE known.kind = 'resource_group'
), spot AS (
    SELECT leaf.kind, leaf.node_id, leaf.account_id, member.directory_id, member.group_id, 1 AS height,
           leaf.months * datemultirange(daterange(member.valid_from, member.valid_to)) AS months
    FROM leaf JOIN accounts_accountmembership member
        ON member.account_id = leaf.account_id AND member.superseded_by_id IS NULL
    UNION ALL
    SELECT known.kind, known.node_id, NULL, closure.directory_id, known.node_id, 0,
           known.months * datemultirange(daterange(closure.valid_from, closure.valid_to))
    FROM known JOIN accounts_groupclosure closure
        ON closure.descendant_id = known.node_id AND closure.depth = 0
    WHERE known.kind = 'account_group'
    UNION ALL
    SELECT known.kind, known.node_id, NULL, known.node_id, NULL, 0, known.months
    FROM known WHERE known.kind IN ('resource_directory', 'miscellaneous')
), latest AS MATERIALIZED (
    SELECT DISTINCT ON (kind, node_id) spot.*,
           (COALESCE(upper(spot.months * datemultirange(daterange(NULL, %(month)s, '[]'))),
                     %(month)s::date + 1) - 1) AS day
    FROM spot
    WHERE NOT isempty(spot.months * datemultirange(daterange(NULL, %(month)s, '[]')))
    ORDER BY kind, node_id, upper(spot.months * datemultirange(daterange(NULL, %(month)s, '[]'))) DESC
), step AS (
    SELECT kind, node_id, 'enterprise_parent' AS above_kind, directory.enterprise_id AS above_id, 1000001 AS height
    FROM latest JOIN accounts_resourcedirectory directory ON directory.id = latest.directory_id
    UNION ALL
    SELECT kind, node_id, 'resource_directory', directory_id, 1000000 FROM latest
    UNION ALL
    SELECT latest.kind, latest.node_id, 'account_group', closure.ancestor_id, latest.height + closure.depth
    FROM latest JOIN accounts_groupclosure closure ON closure.descendant_id = latest.group_id
        AND closure.valid_from <= latest.day AND (closure.valid_to IS NULL OR closure.valid_to > latest.day)
    UNION ALL
    SELECT latest.kind, latest.node_id, 'miscellaneous', latest.directory_id, 999999
    FROM latest
    WHERE latest.kind = 'miscellaneous' OR (latest.account_id IS NOT NULL AND latest.group_id IS NULL AND EXISTS (
        SELECT FROM accounts_groupedge edge WHERE edge.directory_id = latest.directory_id
            AND edge.parent_id IS NULL AND edge.superseded_by_id IS NULL
            AND edge.valid_from <= latest.day AND (edge.valid_to IS NULL OR edge.valid_to > latest.day)))
    UNION ALL
    SELECT leaf.kind, leaf.node_id, 'account', leaf.account_id, 1 FROM leaf WHERE leaf.kind = 'resource_group'
    UNION ALL
    SELECT kind, node_id, kind, node_id, 0 FROM known
)
SELECT step.kind, step.node_id, step.above_kind, step.above_id
FROM step
GROUP BY step.kind, step.node_id, step.above_kind, step.above_id
ORDER BY step.kind, step.node_id, min(step.height) DESC
"""  # noqa: S608 fixed texts


def paths(*, viewer: Viewer, keys: Collection[NodeKey]) -> dict[NodeKey, list[Step]]:
    """The way from the top down to each node that the viewer may know, the node itself last; two statements."""
    found: dict[NodeKey, list[NodeKey]] = defaultdict(list)
    for kind, node_id, above_kind, above_id in rows_of(_PATHS, _params(viewer, keys)):
        found[NodeKey(Kind(kind), node_id)].append(NodeKey(Kind(above_kind), above_id))
    names = by_key(viewer=viewer, keys={step for steps in found.values() for step in steps})
    return {
        key: [Step(step, names[step].name, names[step].access is Access.VISIBLE) for step in steps if step in names]
        for key, steps in found.items()
    }


class Hit(NamedTuple):
    """A node found, and the key after which the next page begins."""

    node: Node
    key: tuple[str | int, ...]


def search(
    *, viewer: Viewer, text: str, kinds: Collection[Kind], limit: int, after: tuple[str | int, ...] | None
) -> list[Hit]:
    """Visible nodes whose name or external id contains a text, by name; a constant number of statements."""
    place = None if after is None else SearchKey(str(after[0]), str(after[1]), int(after[2]))
    refs = [NodeKind(kind.value) for kind in kinds]
    hits = find_by_text(viewer=viewer, text=text, kinds=refs, first=limit, after=place)
    found = by_key(viewer=viewer, keys=[NodeKey.of(hit.node.ref) for hit in hits])
    return [Hit(found[key], tuple(hit.key)) for hit in hits if (key := NodeKey.of(hit.node.ref)) in found]


class TopNode(NamedTuple):
    """A topmost node that a viewer may see and why: the role, and how it came about."""

    node: Node
    role: str
    why: str


_TOP = """
SELECT root.node_kind, root.node_id, min(root.role) AS role, min(root.why) AS why
FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see') AS root
GROUP BY root.node_kind, root.node_id
UNION ALL
SELECT 'enterprise_parent', enterprise.id, 'operator', 'operator'
FROM accounts_enterpriseparent enterprise WHERE (SELECT accounts_is_operator(%(viewer)s))
ORDER BY 1, 2 LIMIT %(limit)s
"""


def topmost(*, viewer: Viewer, limit: int) -> list[TopNode]:
    """Nodes on which the viewer's roles stand (all enterprises for operators), at most `limit`; two statements."""
    top = rows_of(_TOP, {"viewer": viewer.user_id, "now": viewer.now, "limit": limit})
    rows = [(NodeKey(Kind(kind), node_id), role, why) for kind, node_id, role, why in top]
    found = by_key(viewer=viewer, keys=[key for key, _, _ in rows])
    return [TopNode(found[key], role, why) for key, role, why in rows if key in found]
