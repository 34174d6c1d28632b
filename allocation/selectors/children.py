"""What stands directly below a node, in one mixed list with its emissions: groups, accounts, *Miscellaneous*.

A child counts for the months in which it stands directly below the node, so that children add up to their parent. A
child is listed if the viewer may know it in one of these months, by its numbers or by name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from allocation.policies import Asked, Kind, NodeKey, Question
from allocation.selectors.amounts import COLUMNS, Amounts, Method, sums_sql, total_sql
from allocation.selectors.facts import facts
from allocation.selectors.nodes import DESCRIBED, Node, node_of
from allocation.selectors.standing import presence_over, standings
from allocation.selectors.statuses import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence


class ChildOrder(enum.StrEnum):
    """How children are sorted; nodes without emissions stand last."""

    EMISSIONS_DESC = "emissions_desc"
    EMISSIONS_ASC = "emissions_asc"
    NAME_ASC = "name_asc"


class Child(NamedTuple):
    """A child with its emissions in the months in which it stands below the node asked for."""

    node: Node
    figure: Figure
    total_ug: int
    kind_rank: int


@dataclass(frozen=True, slots=True)
class ChildPage:
    """Which page: sorted how, after which key, at most so many."""

    limit: int
    order: ChildOrder = ChildOrder.EMISSIONS_DESC
    method: Method = Method.LOCATION_BASED
    after: tuple[str | int, ...] | None = None


_WINDOW = "datemultirange(daterange(%(start)s, %(bound)s))"
_SUBGROUPS = f"""
    SELECT 'account_group' AS kind, edge.group_id AS node_id, 3 AS kind_rank,
           range_agg(daterange(edge.valid_from, edge.valid_to)) * {_WINDOW} AS months
    FROM accounts_groupedge edge
    WHERE edge.superseded_by_id IS NULL AND {{where}}
    GROUP BY edge.group_id"""  # noqa: S608 fixed texts
_MEMBERS = f"""
    SELECT 'account' AS kind, member.account_id AS node_id, 5 AS kind_rank,
           range_agg(daterange(member.valid_from, member.valid_to)) * {_WINDOW} AS months
    FROM accounts_accountmembership member
    WHERE member.superseded_by_id IS NULL AND {{where}}
    GROUP BY member.account_id"""  # noqa: S608 fixed texts
_HAS_GROUPS = """EXISTS (
    SELECT FROM accounts_groupedge edge WHERE edge.directory_id = %(parent)s AND edge.parent_id IS NULL
        AND edge.superseded_by_id IS NULL
        AND daterange(edge.valid_from, edge.valid_to) && daterange(%(start)s, %(bound)s))"""
_DIRECT = "member.directory_id = %(parent)s AND member.group_id IS NULL"
_CANDIDATES = {
    Kind.ENTERPRISE_PARENT: f"""
    SELECT 'resource_directory' AS kind, directory.id AS node_id, 2 AS kind_rank, {_WINDOW} AS months
    FROM accounts_resourcedirectory directory WHERE directory.enterprise_id = %(parent)s""",  # noqa: S608 fixed texts
    Kind.RESOURCE_DIRECTORY: f"""
    {_SUBGROUPS.format(where="edge.directory_id = %(parent)s AND edge.parent_id IS NULL")}
    UNION ALL
    SELECT 'miscellaneous', %(parent)s::bigint, 4, range_agg(direct.months)
    FROM ({_MEMBERS.format(where=_DIRECT)}) AS direct
    WHERE {_HAS_GROUPS} HAVING NOT isempty(range_agg(direct.months))
    UNION ALL
    SELECT * FROM ({_MEMBERS.format(where=_DIRECT)}) AS direct WHERE NOT {_HAS_GROUPS}""",  # noqa: S608 fixed texts
    Kind.MISCELLANEOUS: _MEMBERS.format(where=_DIRECT),
    Kind.ACCOUNT_GROUP: f"""
    {_SUBGROUPS.format(where="edge.parent_id = %(parent)s")}
    UNION ALL
    {_MEMBERS.format(where="member.group_id = %(parent)s")}""",
    Kind.ACCOUNT: f"""
    SELECT 'resource_group' AS kind, part.id AS node_id, 6 AS kind_rank, {_WINDOW} AS months
    FROM accounts_resourcegroup part WHERE part.account_id = %(parent)s""",  # noqa: S608 fixed texts
    Kind.RESOURCE_GROUP: """
    SELECT 'resource_group' AS kind, 0::bigint AS node_id, 6 AS kind_rank, '{}'::datemultirange AS months
    WHERE false""",
}

# All accounts below a node, at any depth, in the months in which they are.
_BELOW = {
    Kind.ENTERPRISE_PARENT: _MEMBERS.format(
        where="member.directory_id IN (SELECT id FROM accounts_resourcedirectory WHERE enterprise_id = %(parent)s)"
    ),
    Kind.RESOURCE_DIRECTORY: _MEMBERS.format(where="member.directory_id = %(parent)s"),
    Kind.MISCELLANEOUS: _MEMBERS.format(where=_DIRECT),
    Kind.ACCOUNT_GROUP: f"""
    SELECT 'account' AS kind, member.account_id AS node_id, 5 AS kind_rank,
           range_agg(daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to))
           * {_WINDOW} AS months
    FROM accounts_groupclosure closure
    JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id
    WHERE closure.ancestor_id = %(parent)s AND member.superseded_by_id IS NULL
    GROUP BY member.account_id""",  # noqa: S608 fixed texts
}
_KNOWN_BELOW = """
candidate AS MATERIALIZED ({candidates}
), seen AS MATERIALIZED (
    SELECT account_id, range_agg(daterange(valid_from, valid_to)) AS months
    FROM accounts_viewer_accounts(%(viewer)s, %(now)s, 'see') WHERE valid_from < valid_to GROUP BY account_id
), child AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY candidate.node_id) AS key, candidate.*, true AS visible
    FROM candidate
    LEFT JOIN seen ON seen.account_id = candidate.node_id
    WHERE (candidate.months && seen.months
           OR (NOT isempty(candidate.months) AND accounts_is_operator(%(viewer)s))){cut}
), asked AS MATERIALIZED (
    SELECT child.key, child.kind, child.node_id, child.months FROM child
)"""
# By name a page is cut before amounts are read, so that a list of any length costs what a page costs.
_CUT = """
        AND EXISTS (
            SELECT FROM accounts_account account WHERE account.id = candidate.node_id
                AND (COALESCE(NULLIF(account.name, ''), account.external_id) COLLATE "C", 5, account.id)
                    > (%(after_value)s, %(after_rank)s, %(after_id)s))
    ORDER BY (SELECT COALESCE(NULLIF(account.name, ''), account.external_id) COLLATE "C"
              FROM accounts_account account WHERE account.id = candidate.node_id), candidate.node_id
    LIMIT %(limit)s"""

# Whoever sees the parent in a month sees its children then; else a child needs a role of its own, or one below it.
_KNOWN_CHILDREN = """
candidate AS MATERIALIZED ({candidates}
), parent_seen AS MATERIALIZED (
    SELECT COALESCE(range_agg(daterange(seen.valid_from, seen.valid_to)), '{{}}'::datemultirange)
           + CASE WHEN accounts_is_operator(%(viewer)s) THEN '{{(,)}}' ELSE '{{}}' END::datemultirange AS months
    FROM accounts_viewer_months(%(viewer)s, %(now)s, 'see', %(parent_kind)s, ARRAY[%(parent)s]::bigint[]) AS seen
), own AS MATERIALIZED (
    SELECT role.node_kind, role.node_id, range_agg(daterange(role.valid_from, role.valid_to)) AS months,
           range_agg(daterange(role.valid_from, role.valid_to)) FILTER (WHERE role.visible) AS visible_months
    FROM (SELECT node_kind, node_id, valid_from, valid_to, true AS visible
          FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see')
          UNION ALL
          SELECT above.node_kind, above.node_id, above.valid_from, above.valid_to, false
          FROM (SELECT candidate.kind, array_agg(candidate.node_id) AS nodes FROM candidate GROUP BY candidate.kind
                UNION ALL
                SELECT 'account', NULL WHERE %(parent_kind)s = 'resource_directory') AS each
          CROSS JOIN LATERAL accounts_viewer_explorable(%(viewer)s, %(now)s, each.kind, each.nodes) AS above) AS role
    WHERE role.valid_from < role.valid_to
    GROUP BY role.node_kind, role.node_id
), loose AS MATERIALIZED (
    -- Accounts known by a role of their own that stand directly under the directory: they make Miscellaneous known.
    SELECT range_agg(own.months * datemultirange(daterange(member.valid_from, member.valid_to))) AS months
    FROM own JOIN accounts_accountmembership member ON member.account_id = own.node_id
    WHERE own.node_kind = 'account' AND %(parent_kind)s = 'resource_directory' AND member.superseded_by_id IS NULL
        AND member.directory_id = %(parent)s AND member.group_id IS NULL
), child AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY candidate.kind_rank, candidate.node_id) AS key, candidate.*,
           candidate.months && parent_seen.months
           OR COALESCE(candidate.months && own.visible_months, false) AS visible
    FROM candidate
    CROSS JOIN parent_seen
    CROSS JOIN loose
    LEFT JOIN own ON own.node_kind = candidate.kind AND own.node_id = candidate.node_id
    WHERE NOT isempty(candidate.months) AND candidate.kind = ANY(%(kinds_below)s::text[])
        AND (candidate.months && parent_seen.months OR candidate.months && own.months
             OR (candidate.kind = 'miscellaneous' AND candidate.months && loose.months))
), asked AS MATERIALIZED (
    SELECT child.key, child.kind, child.node_id, child.months FROM child
)"""
_PAGE = """
, amount AS (
    SELECT fact.key, {sums} FROM fact GROUP BY fact.key
), {described}, line AS (
    SELECT child.kind_rank, child.months::text AS months, COALESCE({total}, -1) AS total_ug, child.visible, described.*,
           {columns}
    FROM child
    JOIN described USING (kind, node_id)
    LEFT JOIN amount ON amount.key = child.key
)
SELECT line.* FROM line {after} ORDER BY {order} LIMIT %(limit)s
"""
_ORDERS = {
    ChildOrder.EMISSIONS_DESC: (
        "WHERE (-line.total_ug, line.kind_rank, line.node_id) > (-%(after_value)s, %(after_rank)s, %(after_id)s)",
        "-line.total_ug, line.kind_rank, line.node_id",
    ),
    ChildOrder.EMISSIONS_ASC: (
        """WHERE (line.total_ug < 0, line.total_ug, line.kind_rank, line.node_id)
        > (%(after_value)s < 0, %(after_value)s, %(after_rank)s, %(after_id)s)""",
        "line.total_ug < 0, line.total_ug, line.kind_rank, line.node_id",
    ),
    ChildOrder.NAME_ASC: (
        'WHERE (line.name COLLATE "C", line.kind_rank, line.node_id) > (%(after_value)s, %(after_rank)s, %(after_id)s)',
        'line.name COLLATE "C", line.kind_rank, line.node_id',
    ),
}
_DESCRIBED_COLUMNS = 10


_KINDS = {
    Kind.ENTERPRISE_PARENT: {Kind.RESOURCE_DIRECTORY},
    Kind.RESOURCE_DIRECTORY: {Kind.ACCOUNT_GROUP, Kind.MISCELLANEOUS, Kind.ACCOUNT},
    Kind.MISCELLANEOUS: {Kind.ACCOUNT},
    Kind.ACCOUNT_GROUP: {Kind.ACCOUNT_GROUP, Kind.ACCOUNT},
    Kind.ACCOUNT: {Kind.RESOURCE_GROUP},
    Kind.RESOURCE_GROUP: set[Kind](),
}


# Which kinds stand below containers that may hold several: a look into two indexes spares the planner every partition
# of the account totals where no accounts are among the children.
_MIXED = {
    Kind.RESOURCE_DIRECTORY: (
        "edge.directory_id = %(parent)s AND edge.parent_id IS NULL",
        "member.directory_id = %(parent)s AND member.group_id IS NULL",
    ),
    Kind.ACCOUNT_GROUP: ("edge.parent_id = %(parent)s", "member.group_id = %(parent)s"),
}
_KINDS_BELOW = """
SELECT EXISTS (SELECT FROM accounts_groupedge edge WHERE edge.superseded_by_id IS NULL AND {groups}
               AND daterange(edge.valid_from, edge.valid_to) && daterange(%(start)s, %(bound)s)),
       EXISTS (SELECT FROM accounts_accountmembership member WHERE member.superseded_by_id IS NULL AND {members}
               AND daterange(member.valid_from, member.valid_to) && daterange(%(start)s, %(bound)s))
"""


def _kinds_below(question: Question, parent: NodeKey) -> set[Kind]:
    """The kinds of a node's children, whoever may know them: no child of another kind is listed."""
    if parent.kind not in _MIXED:
        return _KINDS[parent.kind]
    groups, members = _MIXED[parent.kind]
    with connection.cursor() as cursor:
        cursor.execute(
            _KINDS_BELOW.format(groups=groups, members=members),
            {"parent": parent.id, "start": question.period.start, "bound": question.period.bound},
        )
        has_groups, has_members = cursor.fetchone()
    found = {Kind.ACCOUNT_GROUP} if has_groups else set()
    if has_members:
        gathered = parent.kind is Kind.RESOURCE_DIRECTORY and has_groups
        found.add(Kind.MISCELLANEOUS if gathered else Kind.ACCOUNT)
    return found


def _begin(question: Question, parent: NodeKey) -> Asked:
    kind = Kind.RESOURCE_DIRECTORY if parent.kind is Kind.MISCELLANEOUS else parent.kind
    kinds = _kinds_below(question, parent)
    text = _KNOWN_CHILDREN.format(candidates=_CANDIDATES[parent.kind])
    params = {"parent": parent.id, "parent_kind": kind.value, "kinds_below": [kind.value for kind in kinds]}
    return Asked(text, params, frozenset(kinds))


def children(*, question: Question, parent: NodeKey, page: ChildPage) -> list[Child]:
    """One page of the children of a node with their emissions; three statements.

    The key of a row is (total in ug, or name; kind rank; id).
    """
    asked = _begin(question, parent)
    return _page(question, asked, page) if asked.kinds else []


def accounts_below(*, question: Question, parent: NodeKey, page: ChildPage) -> list[Child]:
    """One page of all accounts below a node, at any depth, that the viewer may see; two statements.

    Each with what it emitted in the months in which it stood below. Empty for accounts and resource groups.
    """
    if parent.kind not in _BELOW:
        return []
    by_name = page.order is ChildOrder.NAME_ASC
    cut = _CUT if by_name else ""
    if page.after is None:
        page = replace(page, after=("", 0, 0)) if by_name else page
    text = _KNOWN_BELOW.format(candidates=_BELOW[parent.kind], cut=cut)
    return _page(question, Asked(text, {"parent": parent.id}, frozenset({Kind.ACCOUNT})), page)


def _page(question: Question, asked: Asked, page: ChildPage) -> list[Child]:
    begun = facts(question, asked=asked)
    after, order = _ORDERS[page.order]
    text = _PAGE.format(
        sums=sums_sql("fact"),
        described=DESCRIBED.format(wanted="child").strip(),
        total=total_sql("amount", page.method),
        columns=", ".join(f"amount.{column}" for column in COLUMNS),
        after=after if page.after else "",
        order=order,
    )
    names = ("after_value", "after_rank", "after_id")
    cut = dict(zip(names, page.after, strict=True)) if page.after else {}
    with connection.cursor() as cursor:
        cursor.execute(begun.text + text, begun.params | cut | {"limit": page.limit})
        rows = cursor.fetchall()
    return _with_presence(question, rows)


def _with_presence(question: Question, rows: Sequence[tuple[Any, ...]]) -> list[Child]:
    described = [node_of(row[4 : 4 + _DESCRIBED_COLUMNS], visible=row[3]) for row in rows]
    standing = standings(question=question, nodes=[node.key for node in described], windows=[row[1] for row in rows])
    return [
        Child(
            node,
            Figure(
                Amounts.of(row[4 + _DESCRIBED_COLUMNS :]),
                presence_over(standing.get(node.key, []), question.period, question.published),
            ),
            int(row[2]),
            row[0],
        )
        for node, row in zip(described, rows, strict=True)
    ]


def count(*, question: Question, parent: NodeKey) -> int:
    """How many children the viewer may know."""
    asked = _begin(question, parent)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {asked.text} SELECT count(*) FROM child", question.params() | asked.params)  # noqa: S608 fixed texts
        row = cursor.fetchone()
    return int(row[0]) if row else 0
