"""What stands above a node in a month, from the tree as known now. No permission is asked here."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from accounts.models import NodeKind, NodeRef
from accounts.statements import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


class Ancestor(NamedTuple):
    """A node above another, or that node itself at height 0; the enterprise is the highest."""

    ref: NodeRef
    height: int


_ABOVE = """
WITH asked AS (
    SELECT DISTINCT node AS id, month FROM unnest(%(nodes)s::bigint[], %(months)s::date[]) AS pair (node, month)
),
leaf AS (
    SELECT asked.id, asked.month, asked.id AS account_id, 0 AS height FROM asked WHERE %(kind)s = 'account'
    UNION ALL
    SELECT asked.id, asked.month, part.account_id, 1 FROM asked JOIN accounts_resourcegroup part ON part.id = asked.id
    WHERE %(kind)s = 'resource_group'
), place AS (
    SELECT leaf.id, leaf.month, member.directory_id, member.group_id, leaf.height + 1 AS height
    FROM leaf JOIN accounts_accountmembership member ON member.account_id = leaf.account_id
    WHERE member.superseded_by_id IS NULL AND member.valid_from <= leaf.month
        AND (member.valid_to IS NULL OR member.valid_to > leaf.month)
    UNION ALL
    SELECT asked.id, asked.month, grouping.directory_id, grouping.id, 0
    FROM asked JOIN accounts_accountgroup grouping ON grouping.id = asked.id WHERE %(kind)s = 'account_group'
    UNION ALL
    SELECT asked.id, asked.month, directory.id, NULL, 0
    FROM asked JOIN accounts_resourcedirectory directory ON directory.id = asked.id
    WHERE %(kind)s = 'resource_directory'
)
SELECT asked.id, %(kind)s, asked.id, 0 FROM asked
UNION
SELECT leaf.id, 'account', leaf.account_id, leaf.height FROM leaf
UNION
SELECT place.id, 'account_group', closure.ancestor_id, place.height + closure.depth
FROM place JOIN accounts_groupclosure closure ON closure.descendant_id = place.group_id
WHERE closure.valid_from <= place.month AND (closure.valid_to IS NULL OR closure.valid_to > place.month)
UNION
SELECT place.id, 'resource_directory', place.directory_id, 100000 FROM place WHERE %(kind)s <> 'resource_directory'
UNION
SELECT place.id, 'enterprise_parent', directory.enterprise_id, 100001
FROM place JOIN accounts_resourcedirectory directory ON directory.id = place.directory_id
ORDER BY 1, 4
"""


def ancestors(*, kind: NodeKind, months: Mapping[int, date]) -> dict[int, list[Ancestor]]:
    """Each node's way to the top in its month, the node itself first; one statement whatever the number of nodes.

    A group that does not exist in the month has its directory and enterprise above it; an account that stands alone
    has nothing.
    """
    above: dict[int, list[Ancestor]] = defaultdict(list)
    params = {"nodes": list(months.keys()), "months": list(months.values()), "kind": kind.value}
    for node_id, above_kind, above_id, height in rows_of(_ABOVE, params):
        above[node_id].append(Ancestor(NodeRef(NodeKind(above_kind), above_id), height))
    return dict(above)
