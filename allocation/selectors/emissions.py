"""Emissions of nodes, month by month."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from accounts.statements import rows_of
from allocation.policies import asked_for
from allocation.selectors.amounts import EMPTY, Amounts, Method, sums_sql
from allocation.selectors.facts import NO_FILTER, Cut, EmissionsFilter, facts
from allocation.selectors.publications import Published
from allocation.selectors.standing import Omission, Reason, Standing, omissions, presence, standings
from allocation.selectors.statuses import Figure, Presence, combined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.policies import NodeKey, Question


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


_SUMS = """
SELECT fact.key, fact.{place}, {sums} FROM fact GROUP BY fact.key, fact.{place}
"""
Place = TypeVar("Place", date, int)


def by_month(
    *, question: Question, nodes: Sequence[NodeKey], restricted: EmissionsFilter = NO_FILTER
) -> dict[NodeKey, Series]:
    """Each node's emissions month by month; two or three statements whatever the number of nodes and accounts.

    Every month of the period is there, with the presence of its amounts. Nodes that do not exist are NOT_PERMITTED
    throughout, like those that are hidden.
    """
    amounts: dict[int, dict[date, _Sum]] = _amounts(question, nodes, restricted, "month")
    standing = standings(question=question, nodes=nodes)
    return {
        node: _series(question, node, standing.get(node, []), amounts.get(key, {}))
        for key, node in enumerate(nodes, start=1)
    }


def by_publication(*, question: Question, nodes: Sequence[NodeKey]) -> dict[tuple[NodeKey, int], Figure]:
    """Each node's figure of the month of each publication of the question, by that publication alone.

    The question may name several publications of one month. Two or three statements whatever their number.
    """
    amounts: dict[int, dict[int, _Sum]] = _amounts(question, nodes, NO_FILTER, "publication_id")
    standing = standings(question=question, nodes=nodes)
    return {
        (node, pin.publication_id): _figure(
            presence(standing.get(node, []), pin.month, Published((pin,))), amounts.get(key, {}).get(pin.publication_id)
        )
        for key, node in enumerate(nodes, start=1)
        for pin in question.published.within(question.period)
    }


class _Sum(NamedTuple):
    amounts: Amounts
    zero_emission: bool


def _amounts(
    question: Question, nodes: Sequence[NodeKey], restricted: EmissionsFilter, place: str
) -> dict[int, dict[Place, _Sum]]:
    """The sums of each key and place: a column of `fact`, `month` or `publication_id`."""
    begun = facts(question, asked=asked_for(nodes, question.view), cut=Cut(restricted=restricted))
    amounts: dict[tuple[int, Place], Amounts] = {}
    for key, where, *values in rows_of(begun.text + _SUMS.format(sums=sums_sql("fact"), place=place), begun.params):
        amounts[key, where] = Amounts.of(values)
    zero: set[tuple[int, Place]] = set()
    # Places are only looked at, by one more statement, where there is electricity and nothing emitted by the market.
    if any(one.energy_wh and one.total_ug(Method.MARKET_BASED) == 0 for one in amounts.values()):
        cut = Cut(clusters=True, restricted=restricted)
        begun = facts(question, asked=asked_for(nodes, question.view), cut=cut)
        zero = {(key, where) for key, where in rows_of(begun.text + _ZERO.format(place=place), begun.params)}
    found: dict[int, dict[Place, _Sum]] = defaultdict(dict)
    for (key, where), one in amounts.items():
        found[key][where] = _Sum(one, (key, where) in zero)
    return found


_ZERO = """
SELECT fact.key, fact.{place}
FROM fact
LEFT JOIN allocation_runlocation location
    ON location.run_id = fact.run_id AND location.cluster_id = fact.cluster_id
WHERE fact.energy_wh > 0
GROUP BY fact.key, fact.{place} HAVING bool_and(COALESCE(location.zero_emission, false))
"""


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


def _series(question: Question, node: NodeKey, rows: list[Standing], amounts: dict[date, _Sum]) -> Series:
    points = [
        Point(month, _figure(presence(rows, month, question.published), amounts.get(month)))
        for month in question.period.months()
    ]
    left_out = omissions(rows, question.period, question.published, _withheld(points))
    return Series(node, tuple(points), tuple(left_out), tuple(rows))


def _figure(found: Presence, given: _Sum | None) -> Figure:
    """Amounts are told where they are there as a whole or in part."""
    if given is None or found not in {Presence.WHOLE, Presence.PART}:
        return Figure(EMPTY, found)
    return Figure(given.amounts, found, given.zero_emission)


def _withheld(points: Sequence[Point]) -> dict[Reason, set[date]]:
    """The months in which something of the amounts is withheld, by reason."""
    return {
        Reason.NOT_COVERED: {point.month for point in points if point.figure.amounts.not_covered},
        Reason.BELOW_THRESHOLD: {point.month for point in points if point.figure.amounts.below_threshold},
    }
