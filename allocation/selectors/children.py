"""What stands directly below a node, in one mixed list with its emissions: groups, accounts, *Miscellaneous*.

A child counts for the months in which it stands directly below the node, so that children add up to their parent. A
child is listed if the viewer may know it in one of these months, by its numbers or by name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from accounts.statements import rows_of
from allocation.policies import Asked, Kind, NodeKey, Question
from allocation.selectors.amounts import COLUMNS, Amounts, sums_sql, total_sql
from allocation.selectors.candidates import DIRECT, FEW, MEMBERS, WINDOW, candidates_below, ids_by_kind
from allocation.selectors.child_page import ORDERS, ChildOrder, ChildPage
from allocation.selectors.facts import facts
from allocation.selectors.front_runners import front_runners
from allocation.selectors.nodes import DESCRIBED, Node, node_of
from allocation.selectors.standing import each_standing, presence_over
from allocation.selectors.statuses import Figure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Child(NamedTuple):
    """A child with its emissions in the months in which it stands below the node asked for."""

    node: Node
    figure: Figure
    total_ug: int
    kind_rank: int


# All accounts below a node, at any depth, in the months in which they are.
_BELOW = {
    Kind.ENTERPRISE_PARENT: MEMBERS.format(
        kind="enterprise_parent",
        parent="directory.enterprise_id",
        join=" JOIN accounts_resourcedirectory directory ON directory.id = member.directory_id",
        where="directory.enterprise_id = ANY(%(enterprise_parent)s::bigint[])",
    ),
    Kind.RESOURCE_DIRECTORY: MEMBERS.format(
        kind="resource_directory",
        parent="member.directory_id",
        join="",
        where="member.directory_id = ANY(%(resource_directory)s::bigint[])",
    ),
    Kind.MISCELLANEOUS: MEMBERS.format(
        kind="miscellaneous", parent="member.directory_id", join="", where=DIRECT.format("miscellaneous")
    ),
    Kind.ACCOUNT_GROUP: f"""
    SELECT 'account_group' AS parent_kind, closure.ancestor_id AS parent_id, 'account' AS kind,
           member.account_id AS node_id, 5 AS kind_rank,
           range_agg(daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to))
           * {WINDOW} AS months
    FROM accounts_groupclosure closure
    JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id
    WHERE closure.ancestor_id = ANY(%(account_group)s::bigint[]) AND member.superseded_by_id IS NULL
    GROUP BY closure.ancestor_id, member.account_id""",  # noqa: S608 fixed texts
}
_KNOWN_BELOW = """
candidate AS MATERIALIZED ({candidates}
), few AS MATERIALIZED (
    SELECT count(*) <= {few} AS are, CASE WHEN count(*) <= {few} THEN array_agg(node_id) END AS nodes FROM candidate
), seen AS MATERIALIZED (
    -- Up from a few accounts, else down to all that the viewer sees.
    SELECT found.node_id AS account_id, range_agg(daterange(found.valid_from, found.valid_to)) AS months
    FROM (SELECT months.* FROM few CROSS JOIN LATERAL accounts_viewer_months(
              %(viewer)s, %(now)s, 'see', 'account', few.nodes) AS months
          WHERE few.are
          UNION ALL
          SELECT * FROM accounts_viewer_accounts(%(viewer)s, %(now)s, 'see') WHERE NOT (SELECT few.are FROM few)
         ) AS found
    WHERE found.valid_from < found.valid_to GROUP BY found.node_id
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
# Accounts are cut by name as children are.
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

# By name a page is cut before amounts are read, so that a list of any length costs what a page costs.
_CUT_BY_NAME = f""", {DESCRIBED.format(wanted="every_child").strip()}, child AS MATERIALIZED (
    {{cut}}
)"""
_NAMED = "(SELECT every_child.*, described.name FROM every_child JOIN described USING (kind, node_id)) AS line"
_DESCRIBED_CHILDREN = f", {DESCRIBED.format(wanted='child').strip()}"
# `amount` and `described` are worked out once: where the planner expects one child, it would do it again for each.
_PAGE = """
, amount AS MATERIALIZED (
    SELECT fact.key, {sums} FROM fact GROUP BY fact.key
){described}, line AS (
    SELECT child.parent_kind, child.parent_id, child.kind_rank, child.months::text AS months,
           COALESCE({total}, -1) AS total_ug, child.visible, described.*, {columns}
    FROM child
    JOIN described USING (kind, node_id)
    LEFT JOIN amount ON amount.key = child.key
)
{cut}
"""
_OF_ONE = "SELECT line.* FROM {line} {after} ORDER BY {order} LIMIT %(limit)s"
# A limit keeps no more rows than a page while it sorts; numbering the rows of several lists sorts all of them.
_OF_EACH = """SELECT line.* FROM (
    SELECT line.*, row_number() OVER (PARTITION BY line.parent_kind, line.parent_id ORDER BY {order}) AS place
    FROM {line}
) AS line WHERE line.place <= %(limit)s ORDER BY {order}"""
_RANK, _MONTHS, _TOTAL, _VISIBLE, _DESCRIBED = range(2, 7)
_AMOUNTS = _DESCRIBED + 10


def children(*, question: Question, parents: Collection[NodeKey], page: ChildPage) -> dict[NodeKey, list[Child]]:
    """For each of some nodes one page of its children with their emissions; three statements for all of them.

    Of a single node with very many children a few more. The key of a row is (total in ug, or name; kind rank; id). Only
    the list of a single node has a page after a key.
    """
    found = candidates_below(question, parents)
    if not found.kinds:
        return {parent: [] for parent in parents}
    several = len(parents) > 1
    if page.order is ChildOrder.NAME_ASC:
        asked = found.asked(_CUT_BY_NAME.format(cut=_cut(page, _NAMED, several=several)))
        return _by_parent(question, parents, _page(question, asked, page, several=several, described=""))
    if not found.many or several:
        return _by_parent(question, parents, _page(question, found.asked(), page, several=several))
    rows: list[tuple[Any, ...]] = []
    for choice in front_runners(question, found, page):
        rows = _page(question, choice.candidates.asked(), page)
        if choice.bound_ug is None or (len(rows) == page.limit and rows[-1][_TOTAL] > choice.bound_ug):
            break
    return _by_parent(question, parents, rows)


def accounts_below(*, question: Question, parents: Collection[NodeKey], page: ChildPage) -> dict[NodeKey, list[Child]]:
    """For each of some nodes one page of all accounts below it, at any depth, that the viewer may see; two statements.

    Each with what it emitted in the months in which it stood below. Empty for accounts and resource groups.
    """
    ids, several = ids_by_kind(parents), len(parents) > 1
    candidates = [text for kind, text in _BELOW.items() if ids[kind.value]]
    if not candidates:
        return {parent: [] for parent in parents}
    by_name = page.order is ChildOrder.NAME_ASC
    if page.after is None:
        page = replace(page, after=("", 0, 0)) if by_name and not several else page
    text = _KNOWN_BELOW.format(
        few=FEW,
        candidates=" UNION ALL ".join(candidates),
        cut=_CUT if by_name and not several else "",
        place=_PLACE if by_name and several else "",
        placed=" WHERE known.place <= %(limit)s" if by_name and several else "",
    )
    rows = _page(question, Asked(text, ids, frozenset({Kind.ACCOUNT})), page, several=several)
    return _by_parent(question, parents, rows)


def _cut(page: ChildPage, line: str, *, several: bool) -> str:
    after, order = ORDERS[page.order]
    text = _OF_EACH if several else _OF_ONE
    return text.format(line=line, after=after if page.after else "", order=order)


def _page(
    question: Question, asked: Asked, page: ChildPage, *, several: bool = False, described: str = _DESCRIBED_CHILDREN
) -> list[tuple[Any, ...]]:
    if page.after and several:
        raise ValueError(page.after)
    begun = facts(question, asked=asked)
    text = _PAGE.format(
        sums=sums_sql("fact"),
        described=described,
        total=total_sql("amount", page.method),
        columns=", ".join(f"amount.{column}" for column in COLUMNS),
        cut=_cut(page, "line", several=several),
    )
    return rows_of(begun.text + text, begun.params | page.cut() | {"limit": page.limit})


def _by_parent(
    question: Question, parents: Collection[NodeKey], rows: Sequence[tuple[Any, ...]]
) -> dict[NodeKey, list[Child]]:
    found: dict[NodeKey, list[Child]] = {parent: [] for parent in parents}
    for row, child in zip(rows, _with_presence(question, rows), strict=True):
        found[NodeKey(Kind(row[0]), row[1])].append(child)
    return found


def _with_presence(question: Question, rows: Sequence[tuple[Any, ...]]) -> list[Child]:
    described = [node_of(row[_DESCRIBED:_AMOUNTS], visible=row[_VISIBLE]) for row in rows]
    # A node that moved may stand in two of the lists, in other months.
    standing = each_standing(
        question=question, nodes=[node.key for node in described], windows=[row[_MONTHS] for row in rows]
    )
    return [
        Child(
            node,
            Figure(
                Amounts.of(row[_AMOUNTS : _AMOUNTS + len(COLUMNS)]),
                presence_over(stands, question.period, question.published),
            ),
            int(row[_TOTAL]),
            row[_RANK],
        )
        for node, stands, row in zip(described, standing, rows, strict=True)
    ]


def count(*, question: Question, parents: Collection[NodeKey]) -> dict[NodeKey, int]:
    """How many children of each of some nodes the viewer may know; two statements."""
    found = dict.fromkeys(parents, 0)
    candidates = candidates_below(question, parents)
    if not candidates.kinds:
        return found
    asked = candidates.asked()
    counted = rows_of(
        f"WITH {asked.text} SELECT parent_kind, parent_id, count(*) FROM child GROUP BY 1, 2",  # noqa: S608 fixed texts
        question.params() | asked.params,
    )
    return found | {NodeKey(Kind(kind), node_id): number for kind, node_id, number in counted}
