"""What stands directly below a node, in one mixed list with its emissions: groups, accounts, *Miscellaneous*.

A child counts for the months in which it stands directly below the node, so that children add up to their parent. A
child is listed if the viewer may know it in one of these months, by its numbers or by name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from allocation.policies import Asked, Kind, NodeKey, Question
from allocation.selectors.amounts import COLUMNS, Amounts, sums_sql, total_sql
from allocation.selectors.candidates import DIRECT, MEMBERS, WINDOW, candidates_below
from allocation.selectors.child_page import ORDERS, ChildOrder, ChildPage
from allocation.selectors.facts import facts
from allocation.selectors.front_runners import front_runners
from allocation.selectors.nodes import DESCRIBED, Node, node_of
from allocation.selectors.standing import presence_over, standings
from allocation.selectors.statuses import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence


class Child(NamedTuple):
    """A child with its emissions in the months in which it stands below the node asked for."""

    node: Node
    figure: Figure
    total_ug: int
    kind_rank: int


# All accounts below a node, at any depth, in the months in which they are.
_BELOW = {
    Kind.ENTERPRISE_PARENT: MEMBERS.format(
        where="member.directory_id IN (SELECT id FROM accounts_resourcedirectory WHERE enterprise_id = %(parent)s)"
    ),
    Kind.RESOURCE_DIRECTORY: MEMBERS.format(where="member.directory_id = %(parent)s"),
    Kind.MISCELLANEOUS: MEMBERS.format(where=DIRECT),
    Kind.ACCOUNT_GROUP: f"""
    SELECT 'account' AS kind, member.account_id AS node_id, 5 AS kind_rank,
           range_agg(daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to))
           * {WINDOW} AS months
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
# Accounts are cut by name as children are.
_CUT = """
        AND EXISTS (
            SELECT FROM accounts_account account WHERE account.id = candidate.node_id
                AND (COALESCE(NULLIF(account.name, ''), account.external_id) COLLATE "C", 5, account.id)
                    > (%(after_value)s, %(after_rank)s, %(after_id)s))
    ORDER BY (SELECT COALESCE(NULLIF(account.name, ''), account.external_id) COLLATE "C"
              FROM accounts_account account WHERE account.id = candidate.node_id), candidate.node_id
    LIMIT %(limit)s"""

# By name a page is cut before amounts are read, so that a list of any length costs what a page costs.
_CUT_BY_NAME = f""", {DESCRIBED.format(wanted="every_child").strip()}, child AS MATERIALIZED (
    SELECT line.*
    FROM (SELECT every_child.*, described.name FROM every_child JOIN described USING (kind, node_id)) AS line
    {{after}} ORDER BY {{order}} LIMIT %(limit)s
)"""  # noqa: S608 fixed texts
_DESCRIBED_CHILDREN = f", {DESCRIBED.format(wanted='child').strip()}"
# `amount` and `described` are worked out once: where the planner expects one child, it would do it again for each.
_PAGE = """
, amount AS MATERIALIZED (
    SELECT fact.key, {sums} FROM fact GROUP BY fact.key
){described}, line AS (
    SELECT child.kind_rank, child.months::text AS months, COALESCE({total}, -1) AS total_ug, child.visible, described.*,
           {columns}
    FROM child
    JOIN described USING (kind, node_id)
    LEFT JOIN amount ON amount.key = child.key
)
SELECT line.* FROM line {after} ORDER BY {order} LIMIT %(limit)s
"""
_TOTAL = 2
_DESCRIBED_COLUMNS = 10


def children(*, question: Question, parent: NodeKey, page: ChildPage) -> list[Child]:
    """One page of the children of a node with their emissions; three statements, of very many children a few more.

    The key of a row is (total in ug, or name; kind rank; id).
    """
    found = candidates_below(question, parent)
    if not found.kinds:
        return []
    if page.order is ChildOrder.NAME_ASC:
        after, order = ORDERS[page.order]
        cut = _CUT_BY_NAME.format(after=after if page.after else "", order=order)
        return _with_presence(question, _page(question, found.asked(cut), page, described=""))
    if not found.many:
        return _with_presence(question, _page(question, found.asked(), page))
    rows: list[tuple[Any, ...]] = []
    for choice in front_runners(question, found, page):
        rows = _page(question, choice.candidates.asked(), page)
        if choice.bound_ug is None or (len(rows) == page.limit and rows[-1][_TOTAL] > choice.bound_ug):
            break
    return _with_presence(question, rows)


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
    asked = Asked(text, {"parent": parent.id}, frozenset({Kind.ACCOUNT}))
    return _with_presence(question, _page(question, asked, page))


def _page(
    question: Question, asked: Asked, page: ChildPage, described: str = _DESCRIBED_CHILDREN
) -> list[tuple[Any, ...]]:
    begun = facts(question, asked=asked)
    after, order = ORDERS[page.order]
    text = _PAGE.format(
        sums=sums_sql("fact"),
        described=described,
        total=total_sql("amount", page.method),
        columns=", ".join(f"amount.{column}" for column in COLUMNS),
        after=after if page.after else "",
        order=order,
    )
    with connection.cursor() as cursor:
        cursor.execute(begun.text + text, begun.params | page.cut() | {"limit": page.limit})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


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
            int(row[_TOTAL]),
            row[0],
        )
        for node, row in zip(described, rows, strict=True)
    ]


def count(*, question: Question, parent: NodeKey) -> int:
    """How many children the viewer may know."""
    asked = candidates_below(question, parent).asked()
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {asked.text} SELECT count(*) FROM child", question.params() | asked.params)  # noqa: S608 fixed texts
        row = cursor.fetchone()
    return int(row[0]) if row else 0
