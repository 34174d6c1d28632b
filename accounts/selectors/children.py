"""What stands directly below a node in a period: one mixed list, Miscellaneous included."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from accounts.models import NodeKind, NodeRef
from accounts.months import Period, between
from accounts.policies import Access, Purpose, Sql
from accounts.selectors.nodes import nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accounts.policies import Viewer

MISCELLANEOUS = "miscellaneous"
"""The kind of the synthetic child that holds a directory's direct accounts; its id is the directory's."""


class HierarchyView(StrEnum):
    """Whose tree groups the figures: that of each month, or today's over all history."""

    AS_WAS = "as_was"
    AS_IS = "as_is"


class Parent(NamedTuple):
    """A node whose children are asked: one of the five kinds, or MISCELLANEOUS."""

    kind: str
    id: int


@dataclass(frozen=True, slots=True)
class ChildRow:
    """A child and the months of the period in which it stood below the parent and may be known.

    `ref` is None for Miscellaneous, whose `parent` is its directory. `sees` are the months with full access.
    """

    parent: Parent
    ref: NodeRef | None
    name: str
    external_id: str
    access: Access
    months: tuple[Period, ...]
    sees: tuple[Period, ...]


# The rows of the tree that count: as known now, or as recorded up to a version; of each month, or of today.
_RECORDED = {
    False: "{row}.superseded_by_id IS NULL",
    True: (
        "{row}.recorded_by_id <= %(version)s"
        " AND ({row}.superseded_by_id IS NULL OR {row}.superseded_by_id > %(version)s)"
    ),
}
_WHEN = {
    HierarchyView.AS_WAS: (
        "daterange({row}.valid_from, COALESCE({row}.valid_to, '9999-12-01')) * daterange(%(start)s, %(bound)s)",
        "{row}.valid_from < %(bound)s AND ({row}.valid_to IS NULL OR {row}.valid_to > %(start)s)",
    ),
    HierarchyView.AS_IS: (
        "daterange(%(start)s, %(bound)s)",
        "{row}.valid_from <= %(today)s AND ({row}.valid_to IS NULL OR {row}.valid_to > %(today)s)",
    ),
}

_CHILDREN: Mapping[str, str] = {
    NodeKind.ENTERPRISE_PARENT.value: """
        SELECT 'resource_directory' AS kind, directory.id AS node_id, daterange(%(start)s, %(bound)s) AS months
        FROM accounts_resourcedirectory directory WHERE directory.enterprise_id = %(parent)s""",
    NodeKind.RESOURCE_DIRECTORY.value: """
        SELECT 'account_group' AS kind, edge.group_id AS node_id, {edge_months} AS months
        FROM accounts_groupedge edge
        WHERE edge.directory_id = %(parent)s AND edge.parent_id IS NULL AND {edge}
        UNION ALL
        SELECT CASE WHEN grouped.any THEN 'miscellaneous' ELSE 'account' END,
               CASE WHEN grouped.any THEN %(parent)s ELSE member.account_id END, {member_months}
        FROM accounts_accountmembership member
        CROSS JOIN (SELECT EXISTS (SELECT FROM accounts_groupedge edge
                                   WHERE edge.directory_id = %(parent)s AND {edge}) AS any) AS grouped
        WHERE member.directory_id = %(parent)s AND member.group_id IS NULL AND {member}""",
    NodeKind.ACCOUNT_GROUP.value: """
        SELECT 'account_group' AS kind, edge.group_id AS node_id, {edge_months} AS months
        FROM accounts_groupedge edge WHERE edge.parent_id = %(parent)s AND {edge}
        UNION ALL
        SELECT 'account', member.account_id, {member_months}
        FROM accounts_accountmembership member WHERE member.group_id = %(parent)s AND {member}""",
    NodeKind.ACCOUNT.value: """
        SELECT 'resource_group' AS kind, part.id AS node_id, daterange(%(start)s, %(bound)s) AS months
        FROM accounts_resourcegroup part WHERE part.account_id = %(parent)s""",
    NodeKind.RESOURCE_GROUP.value: """
        SELECT 'resource_group' AS kind, part.id AS node_id, daterange(%(start)s, %(bound)s) AS months
        FROM accounts_resourcegroup part WHERE false""",
    MISCELLANEOUS: """
        SELECT 'account' AS kind, member.account_id AS node_id, {member_months} AS months
        FROM accounts_accountmembership member
        WHERE member.directory_id = %(parent)s AND member.group_id IS NULL AND {member}""",
}

# Miscellaneous is seen as its directory is, and known by name where one of its accounts is known.
_SEEN = """
SELECT 'miscellaneous' AS kind, own.node_id, daterange(own.valid_from, own.valid_to) AS months
FROM accounts_viewer_months(%(viewer)s, %(now)s, %(purpose)s, 'resource_directory',
    ARRAY(SELECT DISTINCT node_id FROM child WHERE kind = 'miscellaneous')) own
UNION ALL
SELECT kinds.kind, own.node_id, daterange(own.valid_from, own.valid_to)
FROM unnest(ARRAY['resource_directory', 'account_group', 'account', 'resource_group']) AS kinds (kind)
CROSS JOIN LATERAL accounts_viewer_months(%(viewer)s, %(now)s, %(purpose)s, kinds.kind,
    ARRAY(SELECT DISTINCT node_id FROM child WHERE child.kind = kinds.kind)) own
"""
_NAMED = """
SELECT named.node_kind AS kind, named.node_id, daterange(named.valid_from, named.valid_to) AS months
FROM accounts_viewer_explorable(%(viewer)s, %(now)s) named
UNION ALL
SELECT 'miscellaneous', member.directory_id, daterange(own.valid_from, own.valid_to)
    * daterange(member.valid_from, member.valid_to)
FROM accounts_accountmembership member
CROSS JOIN LATERAL accounts_viewer_months(%(viewer)s, %(now)s, 'see', 'account', ARRAY[member.account_id]) own
WHERE member.superseded_by_id IS NULL AND member.group_id IS NULL
    AND member.directory_id IN (SELECT node_id FROM child WHERE kind = 'miscellaneous')
    AND member.account_id IN (SELECT root.node_id FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see') root
                              WHERE root.node_kind = 'account'
                              UNION SELECT part.account_id
                              FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see') root
                              JOIN accounts_resourcegroup part ON part.id = root.node_id
                              WHERE root.node_kind = 'resource_group')
"""


def children_sql(  # noqa: PLR0913 a read names everything that decides it
    *,
    viewer: Viewer,
    parent: Parent,
    period: Period,
    view: HierarchyView = HierarchyView.AS_WAS,
    version: int | None = None,
    purpose: Purpose = Purpose.NUMBERS,
) -> Sql:
    """The children as SQL: `kind`, `node_id`, `valid_from`, `valid_to` (exclusive), `visible`.

    Rows with `visible` true are disjoint for each child: the months in which it stood below the parent and may be seen
    for the purpose; join roll-ups on them. Rows with false name a child that may be known by name alone.
    """
    recorded = _RECORDED[version is not None]
    months, when = _WHEN[view]
    texts: dict[str, str] = {}
    for row in ("edge", "member"):
        texts[row] = f"{recorded.format(row=row)} AND {when.format(row=row)}"
        texts[f"{row}_months"] = months.format(row=row)
    child = _CHILDREN[parent.kind].format(**texts)
    params: dict[str, Any] = {
        "parent": parent.id,
        "start": period.start,
        "bound": period.bound,
        "today": viewer.month,
        "version": version,
        "viewer": viewer.user_id,
        "now": viewer.now,
        "purpose": purpose.value,
    }
    merged = f"SELECT kind, node_id, unnest(range_agg(months)) AS months FROM ({child}) AS each GROUP BY 1, 2"  # noqa: S608 fixed texts
    if viewer.is_operator:
        text = (
            f"WITH child AS ({merged}) SELECT child.kind, child.node_id, lower(child.months) AS valid_from,"  # noqa: S608 fixed texts
            " upper(child.months) AS valid_to, true AS visible FROM child WHERE accounts_is_operator(%(viewer)s)"
        )
    else:
        text = (
            f"WITH child AS MATERIALIZED ({merged}), seen AS ({_SEEN}), named AS ({_NAMED}), known AS ("  # noqa: S608 fixed texts
            " SELECT child.kind, child.node_id, child.months * seen.months AS months, true AS visible"
            " FROM child JOIN seen ON seen.kind = child.kind AND seen.node_id = child.node_id"
            " UNION ALL SELECT child.kind, child.node_id, child.months * named.months, false"
            " FROM child JOIN named ON named.kind = child.kind AND named.node_id = child.node_id)"
            " SELECT known.kind, known.node_id, lower(known.months) AS valid_from, upper(known.months) AS valid_to,"
            " known.visible FROM known WHERE NOT isempty(known.months)"
        )
    return _positional(text, params)


def _positional(text: str, params: Mapping[str, Any]) -> Sql:
    """The same SQL with parameters in order, so that fragments can be put together."""
    pieces = text.split("%(")
    values = []
    result = pieces[0]
    for piece in pieces[1:]:
        name, rest = piece.split(")s", 1)
        values.append(params[name])
        # A month must be a date to the server even where nothing else says so.
        result += ("%s::date" if name in {"start", "bound", "today"} else "%s") + rest
    return Sql(result, tuple(values))


def children(  # noqa: PLR0913 a read names everything that decides it
    *,
    viewer: Viewer,
    parent: Parent,
    period: Period,
    first: int,
    after: tuple[str, str, int] | None = None,
    view: HierarchyView = HierarchyView.AS_WAS,
    version: int | None = None,
) -> list[ChildRow]:
    """The first so many children by (name, kind, id), after a key of that form; Miscellaneous is named so.

    Hidden children are absent. Five statements and a few for the names, whatever the number of children.
    """
    sql = children_sql(viewer=viewer, parent=parent, period=period, view=view, version=version, purpose=Purpose.SEE)
    key = after or ("", "", 0)
    text = f"""
        WITH known AS ({sql.text}), one AS (
            SELECT known.kind, known.node_id, bool_or(known.visible) AS visible,
                   array_agg(known.valid_from ORDER BY known.valid_from, known.valid_to) AS starts,
                   array_agg(known.valid_to ORDER BY known.valid_from, known.valid_to) AS ends,
                   array_agg(known.visible ORDER BY known.valid_from, known.valid_to) AS sees
            FROM known GROUP BY 1, 2
        ), named AS (
            SELECT one.*, COALESCE(NULLIF(COALESCE(directory.name, grouping.name, account.name, part.name), ''),
                                   account.external_id, part.code, 'Miscellaneous') AS name
            FROM one
            LEFT JOIN accounts_resourcedirectory directory
                ON one.kind = 'resource_directory' AND directory.id = one.node_id
            LEFT JOIN accounts_accountgroup grouping ON one.kind = 'account_group' AND grouping.id = one.node_id
            LEFT JOIN accounts_account account ON one.kind = 'account' AND account.id = one.node_id
            LEFT JOIN accounts_resourcegroup part ON one.kind = 'resource_group' AND part.id = one.node_id
        )
        SELECT kind, node_id, visible, starts, ends, sees, name FROM named
        WHERE (name, kind, node_id) > (%s, %s, %s) ORDER BY name, kind, node_id LIMIT %s"""  # noqa: S608 fixed texts
    with connection.cursor() as cursor:
        cursor.execute(text, [*sql.params, *key, first])
        rows = cursor.fetchall()
    refs = [NodeRef(NodeKind(row[0]), row[1]) for row in rows if row[0] != MISCELLANEOUS]
    known = nodes(viewer=viewer, refs=refs)
    result = []
    for kind, node_id, visible, starts, ends, sees, name in rows:
        spans: dict[bool, list[Period]] = defaultdict(list)
        for start, end, seen in zip(starts, ends, sees, strict=True):
            span = between(start, end)
            if span is not None:
                spans[seen].append(span)
        ref = None if kind == MISCELLANEOUS else NodeRef(NodeKind(kind), node_id)
        result.append(
            ChildRow(
                parent=parent,
                ref=ref,
                name=name,
                external_id="" if ref is None else known[ref].external_id,
                access=Access.VISIBLE if visible else Access.NAME_ONLY,
                months=tuple(spans[True] or spans[False]),
                sees=tuple(spans[True]),
            )
        )
    return result
