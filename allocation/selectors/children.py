"""What stands directly below a node, in one mixed list with its emissions: groups, accounts, *Miscellaneous*.

A child counts for the months in which it stands directly below the node, so that children add up to their parent. A
child is listed if the viewer may know it in one of these months, by its numbers or by name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from allocation.policies import KNOWN_NODE, Asked, Kind, NodeKey, Question
from allocation.selectors.amounts import COLUMNS, Amounts, Method, sums_sql, total_sql
from allocation.selectors.facts import facts
from allocation.selectors.nodes import DESCRIBED, Node, node_of
from allocation.selectors.standing import each_standing, presence_over
from allocation.selectors.statuses import Figure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


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
    SELECT '{{kind}}' AS parent_kind, {{parent}} AS parent_id, 'account_group' AS kind, edge.group_id AS node_id,
           3 AS kind_rank, range_agg(daterange(edge.valid_from, edge.valid_to)) * {_WINDOW} AS months
    FROM accounts_groupedge edge
    WHERE edge.superseded_by_id IS NULL AND {{where}}
    GROUP BY {{parent}}, edge.group_id"""  # noqa: S608 fixed texts
_MEMBERS = f"""
    SELECT '{{kind}}' AS parent_kind, {{parent}} AS parent_id, 'account' AS kind, member.account_id AS node_id,
           5 AS kind_rank, range_agg(daterange(member.valid_from, member.valid_to)) * {_WINDOW} AS months
    FROM accounts_accountmembership member{{join}}
    WHERE member.superseded_by_id IS NULL AND {{where}}
    GROUP BY {{parent}}, member.account_id"""  # noqa: S608 fixed texts
# Arrays, not a join with the parents: the planner knows how much stands below these, and not below just any.
_DIRECT = "member.directory_id = ANY(%({})s::bigint[]) AND member.group_id IS NULL"
_CANDIDATES = {
    Kind.ENTERPRISE_PARENT: f"""
    SELECT 'enterprise_parent' AS parent_kind, directory.enterprise_id AS parent_id, 'resource_directory' AS kind,
           directory.id AS node_id, 2 AS kind_rank, {_WINDOW} AS months
    FROM accounts_resourcedirectory directory
    WHERE directory.enterprise_id = ANY(%(enterprise_parent)s::bigint[])""",  # noqa: S608 fixed texts
    Kind.RESOURCE_DIRECTORY: f"""
    {
        _SUBGROUPS.format(
            kind="resource_directory",
            parent="edge.directory_id",
            where="edge.directory_id = ANY(%(resource_directory)s::bigint[]) AND edge.parent_id IS NULL",
        )
    }
    UNION ALL
    SELECT 'resource_directory', member.directory_id, 'miscellaneous', member.directory_id, 4,
           range_agg(daterange(member.valid_from, member.valid_to)) * {_WINDOW}
    FROM accounts_accountmembership member
    WHERE member.superseded_by_id IS NULL AND {_DIRECT.format("gathered")}
    GROUP BY member.directory_id
    UNION ALL
    {
        _MEMBERS.format(
            kind="resource_directory", parent="member.directory_id", join="", where=_DIRECT.format("ungrouped")
        )
    }""",  # noqa: S608 fixed texts
    Kind.MISCELLANEOUS: _MEMBERS.format(
        kind="miscellaneous", parent="member.directory_id", join="", where=_DIRECT.format("miscellaneous")
    ),
    Kind.ACCOUNT_GROUP: f"""
    {
        _SUBGROUPS.format(
            kind="account_group", parent="edge.parent_id", where="edge.parent_id = ANY(%(account_group)s::bigint[])"
        )
    }
    UNION ALL
    {
        _MEMBERS.format(
            kind="account_group",
            parent="member.group_id",
            join="",
            where="member.group_id = ANY(%(account_group)s::bigint[])",
        )
    }""",
    Kind.ACCOUNT: f"""
    SELECT 'account' AS parent_kind, part.account_id AS parent_id, 'resource_group' AS kind, part.id AS node_id,
           6 AS kind_rank, {_WINDOW} AS months
    FROM accounts_resourcegroup part WHERE part.account_id = ANY(%(account)s::bigint[])""",  # noqa: S608 fixed texts
}

# All accounts below a node, at any depth, in the months in which they are.
_BELOW = {
    Kind.ENTERPRISE_PARENT: _MEMBERS.format(
        kind="enterprise_parent",
        parent="directory.enterprise_id",
        join=" JOIN accounts_resourcedirectory directory ON directory.id = member.directory_id",
        where="directory.enterprise_id = ANY(%(enterprise_parent)s::bigint[])",
    ),
    Kind.RESOURCE_DIRECTORY: _MEMBERS.format(
        kind="resource_directory",
        parent="member.directory_id",
        join="",
        where="member.directory_id = ANY(%(resource_directory)s::bigint[])",
    ),
    Kind.MISCELLANEOUS: _CANDIDATES[Kind.MISCELLANEOUS],
    Kind.ACCOUNT_GROUP: f"""
    SELECT 'account_group' AS parent_kind, closure.ancestor_id AS parent_id, 'account' AS kind,
           member.account_id AS node_id, 5 AS kind_rank,
           range_agg(daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to))
           * {_WINDOW} AS months
    FROM accounts_groupclosure closure
    JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id
    WHERE closure.ancestor_id = ANY(%(account_group)s::bigint[]) AND member.superseded_by_id IS NULL
    GROUP BY closure.ancestor_id, member.account_id""",  # noqa: S608 fixed texts
}
_KNOWN_BELOW = """
candidate AS MATERIALIZED ({candidates}
), seen AS MATERIALIZED (
    SELECT account_id, range_agg(daterange(valid_from, valid_to)) AS months
    FROM accounts_viewer_accounts(%(viewer)s, %(now)s, 'see') WHERE valid_from < valid_to GROUP BY account_id
), child AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY known.parent_kind, known.parent_id, known.node_id) AS key, known.*,
           true AS visible
    FROM (
        SELECT candidate.*{place}
        FROM candidate
        LEFT JOIN seen ON seen.account_id = candidate.node_id
        WHERE (candidate.months && seen.months
               OR (NOT isempty(candidate.months) AND accounts_is_operator(%(viewer)s))){cut}
    ) AS known{placed}
), asked AS MATERIALIZED (
    SELECT child.key, child.kind, child.node_id, child.months FROM child
)"""
# By name a page is cut before amounts are read, so that a list of any length costs what a page costs.
_NAME = """(SELECT COALESCE(NULLIF(account.name, ''), account.external_id) COLLATE "C"
              FROM accounts_account account WHERE account.id = candidate.node_id)"""
_CUT = f"""
        AND EXISTS (
            SELECT FROM accounts_account account WHERE account.id = candidate.node_id
                AND (COALESCE(NULLIF(account.name, ''), account.external_id) COLLATE "C", 5, account.id)
                    > (%(after_value)s, %(after_rank)s, %(after_id)s))
    ORDER BY {_NAME}, candidate.node_id
    LIMIT %(limit)s"""
_PLACE = f""",
           row_number() OVER (PARTITION BY candidate.parent_kind, candidate.parent_id
                              ORDER BY {_NAME}, candidate.node_id) AS place"""

# Whoever sees the parent in a month sees its children then; else a child needs a role of its own, or one below it.
_KNOWN_CHILDREN = f"""
parent AS MATERIALIZED (
    SELECT * FROM unnest(%(parent_kinds)s::text[], %(parent_ids)s::bigint[]) AS parent (kind, node_id)
), candidate AS MATERIALIZED ({{candidates}}
), {KNOWN_NODE.format(nodes="parent").strip().replace("known_node", "known_parent")}, own AS MATERIALIZED (
    SELECT role.node_kind, role.node_id, range_agg(daterange(role.valid_from, role.valid_to)) AS months,
           range_agg(daterange(role.valid_from, role.valid_to)) FILTER (WHERE role.visible) AS visible_months
    FROM (SELECT node_kind, node_id, valid_from, valid_to, true AS visible
          FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see')
          UNION ALL
          SELECT above.node_kind, above.node_id, above.valid_from, above.valid_to, false
          FROM (SELECT candidate.kind, array_agg(candidate.node_id) AS nodes FROM candidate GROUP BY candidate.kind
                UNION ALL
                SELECT 'account', NULL WHERE %(gathered)s::bigint[] <> '{{{{}}}}') AS each
          CROSS JOIN LATERAL accounts_viewer_explorable(%(viewer)s, %(now)s, each.kind, each.nodes) AS above) AS role
    WHERE role.valid_from < role.valid_to
    GROUP BY role.node_kind, role.node_id
), loose AS MATERIALIZED (
    -- Accounts known by a role of their own that stand directly under a directory: they make Miscellaneous known.
    SELECT member.directory_id, range_agg(own.months * datemultirange(daterange(member.valid_from, member.valid_to)))
               AS months
    FROM own JOIN accounts_accountmembership member ON member.account_id = own.node_id
    WHERE own.node_kind = 'account' AND member.superseded_by_id IS NULL
        AND member.directory_id = ANY(%(gathered)s::bigint[]) AND member.group_id IS NULL
    GROUP BY member.directory_id
), child AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY candidate.kind_rank, candidate.parent_kind, candidate.parent_id,
                                       candidate.node_id) AS key, candidate.*,
           COALESCE(candidate.months && known_parent.months, false)
           OR COALESCE(candidate.months && own.visible_months, false) AS visible
    FROM candidate
    LEFT JOIN known_parent ON known_parent.kind = candidate.parent_kind AND known_parent.node_id = candidate.parent_id
    LEFT JOIN loose ON candidate.kind = 'miscellaneous' AND loose.directory_id = candidate.parent_id
    LEFT JOIN own ON own.node_kind = candidate.kind AND own.node_id = candidate.node_id
    WHERE NOT isempty(candidate.months) AND candidate.kind = ANY(%(kinds_below)s::text[])
        AND (candidate.months && known_parent.months OR candidate.months && own.months
             OR candidate.months && loose.months)
), asked AS MATERIALIZED (
    SELECT child.key, child.kind, child.node_id, child.months FROM child
)"""  # noqa: S608 fixed texts
_PAGE = """
, amount AS (
    SELECT fact.key, {sums} FROM fact GROUP BY fact.key
), {described}, line AS (
    SELECT child.parent_kind, child.parent_id, child.kind_rank, child.months::text AS months,
           COALESCE({total}, -1) AS total_ug, child.visible, described.*, {columns}
    FROM child
    JOIN described USING (kind, node_id)
    LEFT JOIN amount ON amount.key = child.key
)
{cut}
"""
_OF_ONE = "SELECT line.* FROM line {after} ORDER BY {order} LIMIT %(limit)s"
# A limit keeps no more rows than a page while it sorts; numbering the rows of several lists sorts all of them.
_OF_EACH = """SELECT line.* FROM (
    SELECT line.*, row_number() OVER (PARTITION BY line.parent_kind, line.parent_id ORDER BY {order}) AS place FROM line
) AS line WHERE line.place <= %(limit)s ORDER BY {order}"""
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
_FIXED = 6
_DESCRIBED_COLUMNS = 10


_KINDS = {
    Kind.ENTERPRISE_PARENT: {Kind.RESOURCE_DIRECTORY},
    Kind.MISCELLANEOUS: {Kind.ACCOUNT},
    Kind.ACCOUNT: {Kind.RESOURCE_GROUP},
    Kind.RESOURCE_GROUP: set[Kind](),
}


# Which kinds stand below containers that may hold several: a look into two indexes spares the planner every partition
# of the account totals where no accounts are among the children.
_MIXED = {
    Kind.RESOURCE_DIRECTORY: (
        "edge.directory_id = container.id AND edge.parent_id IS NULL",
        "member.directory_id = container.id AND member.group_id IS NULL",
    ),
    Kind.ACCOUNT_GROUP: ("edge.parent_id = container.id", "member.group_id = container.id"),
}
_HOLDS = """
SELECT '{kind}', container.id,
       EXISTS (SELECT FROM accounts_groupedge edge WHERE edge.superseded_by_id IS NULL AND {groups}
               AND daterange(edge.valid_from, edge.valid_to) && daterange(%(start)s, %(bound)s)),
       EXISTS (SELECT FROM accounts_accountmembership member WHERE member.superseded_by_id IS NULL AND {members}
               AND daterange(member.valid_from, member.valid_to) && daterange(%(start)s, %(bound)s))
FROM unnest(%({kind})s::bigint[]) AS container (id)
"""
_KINDS_BELOW = " UNION ALL ".join(
    _HOLDS.format(kind=kind.value, groups=groups, members=members) for kind, (groups, members) in _MIXED.items()
)


def _ids(parents: Collection[NodeKey]) -> dict[str, Any]:
    """The parents by kind, as parameters."""
    found: dict[str, Any] = {kind.value: [] for kind in Kind}
    for parent in parents:
        found[parent.kind.value].append(parent.id)
    return found


def _kinds_below(question: Question, ids: dict[str, Any]) -> tuple[set[Kind], dict[str, list[int]]]:
    """The kinds of the children, whoever may know them, and which directories gather accounts as *Miscellaneous*."""
    found = {below for kind, kinds in _KINDS.items() if ids[kind.value] for below in kinds}
    directories: dict[str, list[int]] = {"gathered": [], "ungrouped": []}
    if not any(ids[kind.value] for kind in _MIXED):
        return found, directories
    with connection.cursor() as cursor:
        cursor.execute(_KINDS_BELOW, ids | {"start": question.period.start, "bound": question.period.bound})
        for kind, node_id, has_groups, has_members in cursor.fetchall():
            if kind == Kind.RESOURCE_DIRECTORY:
                directories["gathered" if has_groups else "ungrouped"].append(node_id)
            if has_groups:
                found.add(Kind.ACCOUNT_GROUP)
            if has_members:
                gathered = has_groups and kind == Kind.RESOURCE_DIRECTORY
                found.add(Kind.MISCELLANEOUS if gathered else Kind.ACCOUNT)
    return found, directories


def _begin(question: Question, parents: Collection[NodeKey]) -> Asked:
    ids = _ids(parents)
    kinds, directories = _kinds_below(question, ids)
    candidates = " UNION ALL ".join(text for kind, text in _CANDIDATES.items() if ids[kind.value])
    params = {
        "parent_kinds": [parent.kind.value for parent in parents],
        "parent_ids": [parent.id for parent in parents],
        "kinds_below": [kind.value for kind in kinds],
    }
    return Asked(_KNOWN_CHILDREN.format(candidates=candidates), ids | directories | params, frozenset(kinds))


def children(*, question: Question, parents: Collection[NodeKey], page: ChildPage) -> dict[NodeKey, list[Child]]:
    """For each of some nodes one page of its children with their emissions; three statements for all of them.

    The key of a row is (total in ug, or name; kind rank; id). Only the list of a single parent has a page after a key.
    """
    asked = _begin(question, parents)
    return _pages(question, parents, asked, page) if asked.kinds else {parent: [] for parent in parents}


def accounts_below(*, question: Question, parents: Collection[NodeKey], page: ChildPage) -> dict[NodeKey, list[Child]]:
    """For each of some nodes one page of all accounts below it, at any depth, that the viewer may see; two statements.

    Each with what it emitted in the months in which it stood below. Empty for accounts and resource groups.
    """
    ids = _ids(parents)
    candidates = [text for kind, text in _BELOW.items() if ids[kind.value]]
    if not candidates:
        return {parent: [] for parent in parents}
    by_name, several = page.order is ChildOrder.NAME_ASC, len(parents) > 1
    if page.after is None:
        page = replace(page, after=("", 0, 0)) if by_name and not several else page
    text = _KNOWN_BELOW.format(
        candidates=" UNION ALL ".join(candidates),
        cut=_CUT if by_name and not several else "",
        place=_PLACE if by_name and several else "",
        placed=" WHERE known.place <= %(limit)s" if by_name and several else "",
    )
    return _pages(question, parents, Asked(text, ids, frozenset({Kind.ACCOUNT})), page)


def _pages(
    question: Question, parents: Collection[NodeKey], asked: Asked, page: ChildPage
) -> dict[NodeKey, list[Child]]:
    if page.after and len(parents) > 1:
        raise ValueError(page.after)
    begun = facts(question, asked=asked)
    after, order = _ORDERS[page.order]
    text = _PAGE.format(
        sums=sums_sql("fact"),
        described=DESCRIBED.format(wanted="child").strip(),
        total=total_sql("amount", page.method),
        columns=", ".join(f"amount.{column}" for column in COLUMNS),
        cut=(_OF_EACH if len(parents) > 1 else _OF_ONE).format(after=after if page.after else "", order=order),
    )
    names = ("after_value", "after_rank", "after_id")
    cut = dict(zip(names, page.after, strict=True)) if page.after else {}
    with connection.cursor() as cursor:
        cursor.execute(begun.text + text, begun.params | cut | {"limit": page.limit})
        rows = cursor.fetchall()
    found: dict[NodeKey, list[Child]] = {parent: [] for parent in parents}
    for row, child in zip(rows, _with_presence(question, rows), strict=True):
        found[NodeKey(Kind(row[0]), row[1])].append(child)
    return found


def _with_presence(question: Question, rows: Sequence[tuple[Any, ...]]) -> list[Child]:
    described = [node_of(row[_FIXED : _FIXED + _DESCRIBED_COLUMNS], visible=row[5]) for row in rows]
    # A node that moved may stand in two of the lists, in other months.
    standing = each_standing(
        question=question, nodes=[node.key for node in described], windows=[row[3] for row in rows]
    )
    first = _FIXED + _DESCRIBED_COLUMNS
    return [
        Child(
            node,
            Figure(
                Amounts.of(row[first : first + len(COLUMNS)]),
                presence_over(stands, question.period, question.published),
            ),
            int(row[4]),
            row[2],
        )
        for node, stands, row in zip(described, standing, rows, strict=True)
    ]


def count(*, question: Question, parents: Collection[NodeKey]) -> dict[NodeKey, int]:
    """How many children of each of some nodes the viewer may know; two statements."""
    found = dict.fromkeys(parents, 0)
    asked = _begin(question, parents)
    if not asked.kinds:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {asked.text} SELECT parent_kind, parent_id, count(*) FROM child GROUP BY 1, 2",  # noqa: S608 fixed texts
            question.params() | asked.params,
        )
        return found | {NodeKey(Kind(kind), node_id): number for kind, node_id, number in cursor.fetchall()}
