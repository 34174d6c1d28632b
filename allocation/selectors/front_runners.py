"""Which of very many children can stand on a page by emissions, found by few columns or few rows.

Two ways. The read model keeps the subgroups of each node in the order of their totals, month by month. Whoever stands
on the first page for a period is, as a rule, among the first of some month; and who is among the first of no month
cannot have more than the last of these have in all months together. So a page is right if its last child has more than
that (Fagin's threshold algorithm), whatever the viewer may see: what is hidden only lowers a total. Where that is not
enough, all children are ranked, by what the order needs and nothing else.

Front runners are a choice of candidates. Who may know them, and what they show, is decided by the statement that reads
the page, as for any other list.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from accounts.statements import rows_of
from allocation.policies import Kind, View
from allocation.selectors.amounts import KEPT_TOTALS
from allocation.selectors.child_page import ORDERS, ChildOrder
from allocation.selectors.facts import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocation.policies import Question
    from allocation.selectors.candidates import Candidates
    from allocation.selectors.child_page import ChildPage

# How far down each month is read, in pages: at once, and if that was not enough.
_DEPTHS_PAGES: Final = (6, 100)
# Of nobody who does not see the node in all months: it would be a long search for the few children that they see.
_LEADERS: Final = """
WITH pin AS MATERIALIZED (
    SELECT * FROM unnest(%(publications)s::bigint[]) AS pin (publication_id)
), leader AS MATERIALIZED (
    SELECT pin.publication_id, top.group_id, top.total_ug
    FROM pin
    CROSS JOIN LATERAL (
        SELECT total.group_id, total.{total} AS total_ug
        FROM allocation_containertotal total
        WHERE total.publication_id = pin.publication_id AND {below} AND total.grain = 0 AND total.group_id IS NOT NULL
        ORDER BY total.parent_id, total.{total} DESC NULLS LAST
        LIMIT %(depth)s
    ) AS top
    WHERE (SELECT accounts_is_operator(%(viewer)s) OR EXISTS (
        SELECT
        FROM accounts_viewer_months(%(viewer)s, %(now)s, 'numbers', %(parent_kind)s, ARRAY[%(parent)s]::bigint[]) seen
        WHERE daterange(seen.valid_from, seen.valid_to) @> daterange(%(start)s, %(bound)s)))
)
SELECT ARRAY(SELECT DISTINCT group_id FROM leader), (
    SELECT COALESCE(sum(lowest.ug), 0)
    FROM (SELECT COALESCE(min(total_ug), 0) AS ug
          FROM leader GROUP BY publication_id HAVING count(*) = %(depth)s) AS lowest)
"""
_BELOW: Final = {
    Kind.RESOURCE_DIRECTORY: "total.directory_id = %(parent)s AND total.parent_id IS NULL",
    Kind.ACCOUNT_GROUP: """total.directory_id = (SELECT directory_id FROM accounts_accountgroup WHERE id = %(parent)s)
            AND total.parent_id = %(parent)s""",
}
_RANKED: Final = """
, amount AS MATERIALIZED (
    SELECT fact.key, sum({total}) AS total_ug FROM fact GROUP BY fact.key
), line AS (
    SELECT child.kind, child.kind_rank, child.node_id, COALESCE(amount.total_ug, -1) AS total_ug
    FROM child LEFT JOIN amount ON amount.key = child.key
)
SELECT array_agg(chosen.node_id) FILTER (WHERE chosen.kind = 'account_group'),
       array_agg(chosen.node_id) FILTER (WHERE chosen.kind = 'account')
FROM (SELECT line.kind, line.node_id FROM line {after} ORDER BY {order} LIMIT %(limit)s) AS chosen
"""


class FrontRunners(NamedTuple):
    """Candidates of a page; nobody else has more than `bound_ug` (None: nobody else stands on it)."""

    candidates: Candidates
    bound_ug: int | None


def front_runners(question: Question, candidates: Candidates, page: ChildPage) -> Iterator[FrontRunners]:
    """Choose the candidates of a page of a single node, ever more carefully; the last choice is right."""
    if _are_led(question, candidates, page):
        for depth in _DEPTHS_PAGES:
            leaders = _leaders(question, candidates, page, depth * page.limit)
            if leaders is None:
                break
            yield leaders
    yield FrontRunners(_ranked(question, candidates, page), None)


def _are_led(question: Question, candidates: Candidates, page: ChildPage) -> bool:
    """Whether the order that the read model keeps is the one asked for."""
    return (
        page.order is ChildOrder.EMISSIONS_DESC
        and candidates.many == {Kind.ACCOUNT_GROUP}
        and question.view is View.AS_WAS
        and question.published.moment is None
    )


def _leaders(question: Question, candidates: Candidates, page: ChildPage, depth: int) -> FrontRunners | None:
    (parent,) = candidates.parents
    text = _LEADERS.format(total=KEPT_TOTALS[page.method], below=_BELOW[parent.kind])
    params = question.params() | {"parent": parent.id, "parent_kind": parent.kind.value, "depth": depth}
    ((groups, bound_ug),) = rows_of(text, params)
    return FrontRunners(replace(candidates, groups=groups), int(bound_ug)) if groups else None


def _ranked(question: Question, candidates: Candidates, page: ChildPage) -> Candidates:
    asked = candidates.asked()
    after, order = ORDERS[page.order]
    begun = facts(question, asked=asked)
    ranked = _RANKED.format(
        total=begun.total_sql(page.method),
        after=after if page.after else "",
        order=order,
    )
    ((groups, accounts),) = rows_of(begun.text + ranked, begun.params | page.cut() | {"limit": page.limit})
    return replace(candidates, groups=groups or (), accounts=accounts or ())
