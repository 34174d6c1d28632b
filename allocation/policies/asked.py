"""The nodes of a question, as the beginning of a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from allocation.policies.nodes import Kind
from allocation.policies.question import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.policies.nodes import NodeKey


class Asked(NamedTuple):
    """The nodes of a question: a CTE named `asked` (key, kind, node_id, months), its parameters, and their kinds."""

    text: str
    params: dict[str, Any]
    kinds: frozenset[Kind]


# `asked` has one row for each node: key (our number for it), kind, id, and the months asked for.
ASKED = """
asked AS MATERIALIZED (
    SELECT number AS key, kind, node_id, datemultirange(daterange(%(start)s, %(bound)s)) AS months
    FROM unnest(%(kinds)s::text[], %(ids)s::bigint[]) WITH ORDINALITY AS node (kind, node_id, number)
)"""

# The same with months of its own for each node.
ASKED_WITHIN = """
asked AS MATERIALIZED (
    SELECT number AS key, kind, node_id, months
    FROM unnest(%(kinds)s::text[], %(ids)s::bigint[], %(windows)s::datemultirange[])
        WITH ORDINALITY AS node (kind, node_id, months, number)
)"""

# The months in which the viewer knows a node by more than its name.
KNOWN_NODE = """
known_node AS MATERIALIZED (
    SELECT either.kind, either.node_id, range_agg(either.months) AS months
    FROM (SELECT each.kind, seen.node_id, daterange(seen.valid_from, seen.valid_to) AS months
          FROM (SELECT DISTINCT kind FROM {nodes}) AS each
          CROSS JOIN LATERAL accounts_viewer_months(
              %(viewer)s, %(now)s, 'see',
              CASE each.kind WHEN 'miscellaneous' THEN 'resource_directory' ELSE each.kind END,
              ARRAY(SELECT DISTINCT {nodes}.node_id FROM {nodes} WHERE {nodes}.kind = each.kind)) AS seen
          WHERE seen.valid_from < seen.valid_to
          UNION ALL
          SELECT kind, node_id, '[,)'::daterange FROM {nodes} WHERE accounts_is_operator(%(viewer)s)) AS either
    GROUP BY either.kind, either.node_id
)"""

# As-is: what stood below a node in a month, then every account that stands below it today and did not then, and minus
# every account that stood below it then and does not today. Accounts that never moved are in neither. A node that the
# viewer does not see today is not regrouped: what stands below it today is none of their business. The database says so
# once more: `allocation_moves` asks for the viewer of the transaction.
JOINED = 1_000_000
LEFT = 2_000_000
ASKED_AS_IS = f"""
given AS MATERIALIZED (
    SELECT number AS key, kind, node_id, datemultirange(daterange(%(start)s, %(bound)s)) AS months
    FROM unnest(%(kinds)s::text[], %(ids)s::bigint[]) WITH ORDINALITY AS node (kind, node_id, number)
), {KNOWN_NODE.format(nodes="given").strip()}, regrouped AS MATERIALIZED (
    SELECT given.key FROM given JOIN known_node USING (kind, node_id) WHERE known_node.months @> %(today)s::date
), moved AS MATERIALIZED (
    SELECT moves.*
    FROM allocation_moves(%(kinds)s::text[], %(ids)s::bigint[], %(start)s, %(bound)s, %(today)s) AS moves
    JOIN regrouped USING (key)
), asked AS MATERIALIZED (
    SELECT key, kind, node_id, months FROM given
    UNION ALL
    SELECT moved.key + CASE WHEN moved.is_here THEN {JOINED} ELSE {LEFT} END, 'account', moved.account_id, moved.months
    FROM moved
), known_asked AS MATERIALIZED (
    SELECT given.key, CASE WHEN regrouped.key IS NOT NULL AND given.kind NOT IN ('account', 'resource_group')
                           THEN '{{(,)}}'::datemultirange ELSE known_node.months END AS months
    FROM given JOIN known_node USING (kind, node_id) LEFT JOIN regrouped USING (key)
    UNION ALL
    SELECT DISTINCT asked.key, '{{(,)}}'::datemultirange FROM asked WHERE asked.key >= {JOINED}
)"""  # noqa: S608 fixed texts


def asked_for(nodes: Sequence[NodeKey], view: View = View.AS_WAS, windows: Sequence[str] | None = None) -> Asked:
    """Ask about given nodes; the key of a node is its place in the sequence, from 1.

    `windows` restricts each node to some months, as the text of a `datemultirange`; None = the whole period.
    """
    params: dict[str, Any] = {"kinds": [node.kind.value for node in nodes], "ids": [node.id for node in nodes]}
    kinds = frozenset(node.kind for node in nodes)
    if windows is not None:
        return Asked(ASKED_WITHIN, params | {"windows": list(windows)}, kinds)
    if view is View.AS_IS:
        return Asked(ASKED_AS_IS, params, kinds | {Kind.ACCOUNT})
    return Asked(ASKED, params, kinds)
