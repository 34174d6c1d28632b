"""Emissions of nodes, month by month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from allocation.policies import asked_for
from allocation.selectors.amounts import EMPTY, Amounts, Method, sums_sql
from allocation.selectors.facts import NO_FILTER, Cut, EmissionsFilter, facts
from allocation.selectors.standing import Omission, Reason, Standing, omissions, presence, standings
from allocation.selectors.statuses import Figure, Presence, combined

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from allocation.policies import NodeKey, Question
    from allocation.selectors.publications import Published


class Point(NamedTuple):
    """The emissions of one month."""

    month: date
    figure: Figure


@dataclass(frozen=True, slots=True)
class Series:
    """A node's emissions over a period, month by month, and what is left out of them."""

    node: NodeKey
    points: tuple[Point, ...]
    omissions: tuple[Omission, ...]
    standings: tuple[Standing, ...]

    @property
    def total(self) -> Figure:
        """All months together."""
        return combined(point.figure for point in self.points)

    def of_month(self, month: date) -> Figure:
        """One month of the period; StopIteration for a month outside."""
        return next(point.figure for point in self.points if point.month == month)


_MONTHS = """
SELECT fact.key, fact.month, {sums} FROM fact GROUP BY fact.key, fact.month ORDER BY fact.key, fact.month
"""


def by_month(
    *, question: Question, nodes: Sequence[NodeKey], restricted: EmissionsFilter = NO_FILTER
) -> dict[NodeKey, Series]:
    """Each node's emissions month by month; two or three statements whatever the number of nodes and accounts.

    Every month of the period is there, with the presence of its amounts. Nodes that do not exist are NOT_PERMITTED
    throughout, like those that are hidden.
    """
    begun = facts(question, asked=asked_for(nodes, question.view), cut=Cut(restricted=restricted))
    amounts: dict[tuple[int, date], Amounts] = {}
    with connection.cursor() as cursor:
        cursor.execute(begun.text + _MONTHS.format(sums=sums_sql("fact")), begun.params)
        for key, month, *values in cursor.fetchall():
            amounts[key, month] = Amounts.of(values)
    standing = standings(question=question, nodes=nodes)
    zero = _zero_emission(question, nodes, restricted, amounts)
    return {
        node: _series(
            question,
            node,
            standing.get(node, []),
            {m: (a, (k, m) in zero) for (k, m), a in amounts.items() if k == key},
        )
        for key, node in enumerate(nodes, start=1)
    }


_ZERO = """
SELECT fact.key, fact.month
FROM fact
LEFT JOIN allocation_runlocation location
    ON location.run_id = fact.run_id AND location.cluster_id = fact.cluster_id
WHERE fact.energy_wh > 0
GROUP BY fact.key, fact.month HAVING bool_and(COALESCE(location.zero_emission, false))
"""


def _zero_emission(
    question: Question, nodes: Sequence[NodeKey], restricted: EmissionsFilter, amounts: dict[tuple[int, date], Amounts]
) -> set[tuple[int, date]]:
    """The months whose electricity comes from zero-emission sites alone.

    Places are only looked at, by one more statement, where there is electricity and nothing was emitted by the market.
    """
    if not any(one.energy_wh and one.total_ug(Method.MARKET_BASED) == 0 for one in amounts.values()):
        return set()
    cut = Cut(clusters=True, restricted=restricted)
    begun = facts(question, asked=asked_for(nodes, question.view), cut=cut)
    with connection.cursor() as cursor:
        cursor.execute(begun.text + _ZERO, begun.params)
        return set(cursor.fetchall())


def runs_behind(series: Series, published: Published) -> list[int]:
    """The runs whose amounts the viewer sees in a series."""
    found = {
        published.by_month[row.provider_id, point.month].run_id
        for row in series.standings
        for point in series.points
        if (point.month in row.whole or point.month in row.part)
        and (row.provider_id, point.month) in published.by_month
    }
    return sorted(found)


def _series(
    question: Question, node: NodeKey, rows: list[Standing], amounts: dict[date, tuple[Amounts, bool]]
) -> Series:
    points = []
    for month in question.period.months():
        found = presence(rows, month, question.published)
        there = found in {Presence.WHOLE, Presence.PART}
        figures, zero = amounts.get(month, (EMPTY, False)) if there else (EMPTY, False)
        points.append(Point(month, Figure(figures, found, zero)))
    left_out = omissions(rows, question.period, question.published, _withheld(points))
    return Series(node, tuple(points), tuple(left_out), tuple(rows))


def _withheld(points: Sequence[Point]) -> dict[Reason, set[date]]:
    """The months in which something of the amounts is withheld, by reason."""
    return {
        Reason.NOT_COVERED: {point.month for point in points if point.figure.amounts.not_covered},
        Reason.BELOW_THRESHOLD: {point.month for point in points if point.figure.amounts.below_threshold},
    }
