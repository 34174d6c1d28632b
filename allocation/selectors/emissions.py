"""Emissions of nodes: by month, by service and by location."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from allocation.selectors.amounts import COLUMNS, EMPTY, Amounts, Method, sums_sql, total_sql
from allocation.selectors.facts import NO_FILTER, EmissionsFilter, asked_for, facts
from allocation.selectors.standing import Omission, Standing, omissions, presence, standings
from allocation.selectors.statuses import Figure, Presence, combined

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from allocation.policies import NodeKey, Question

_WIDTH = len(COLUMNS)


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


_MONTHS = """
SELECT fact.key, fact.month, {sums} FROM fact GROUP BY fact.key, fact.month ORDER BY fact.key, fact.month
"""


def by_month(
    *, question: Question, nodes: Sequence[NodeKey], restricted: EmissionsFilter = NO_FILTER
) -> dict[NodeKey, Series]:
    """Each node's emissions month by month; two statements whatever the number of nodes and accounts.

    Every month of the period is there, with the presence of its amounts. Nodes that do not exist are NOT_PERMITTED
    throughout, like those that are hidden.
    """
    begun = facts(question, asked=asked_for(nodes), restricted=restricted)
    amounts: dict[tuple[int, date], Amounts] = {}
    with connection.cursor() as cursor:
        cursor.execute(begun.text + _MONTHS.format(sums=sums_sql("fact")), begun.params)
        for key, month, *values in cursor.fetchall():
            amounts[key, month] = Amounts.of(values)
    standing = standings(question=question, nodes=nodes)
    return {
        node: _series(question, node, standing.get(node, []), {m: a for (k, m), a in amounts.items() if k == key})
        for key, node in enumerate(nodes, start=1)
    }


def _series(question: Question, node: NodeKey, rows: list[Standing], amounts: dict[date, Amounts]) -> Series:
    points = []
    for month in question.period.months():
        found = presence(rows, month, question.published)
        there = found in {Presence.WHOLE, Presence.PART}
        points.append(Point(month, Figure(amounts.get(month, EMPTY) if there else EMPTY, found)))
    left_out = omissions(rows, question.period, question.published)
    return Series(node, tuple(points), tuple(left_out), tuple(rows))


class Order(enum.StrEnum):
    """How a breakdown is sorted."""

    EMISSIONS_DESC = "emissions_desc"
    NAME_ASC = "name_asc"


class ServiceShare(NamedTuple):
    """The emissions of one service."""

    service_id: int
    provider_code: str
    code: str
    name: str
    category: str
    total_ug: int
    figure: Figure


class LocationLevel(enum.StrEnum):
    """How finely places are told apart."""

    COUNTRY = "country"
    REGION = "region"
    CLUSTER = "cluster"


class LocationShare(NamedTuple):
    """The emissions of one place; `code` is empty for *Global services* and where no country or region is named."""

    code: str
    name: str
    kind: str
    provider_code: str
    total_ug: int
    figure: Figure


@dataclass(frozen=True, slots=True)
class Cut:
    """Which page of a breakdown: sorted by a method's total or by name, after a key, at most so many rows."""

    limit: int
    method: Method = Method.LOCATION_BASED
    order: Order = Order.EMISSIONS_DESC
    after: tuple[str | int, ...] | None = None


_BY_SERVICE = """
, amount AS (
    SELECT fact.service_id, {sums} FROM fact GROUP BY fact.service_id
), line AS (
    SELECT amount.service_id, provider.code AS provider_code, service.code,
           COALESCE(NULLIF(service.name, ''), service.code) AS name,
           service.category, COALESCE({total}, -1) AS total_ug, {columns}
    FROM amount
    JOIN allocation_service service ON service.id = amount.service_id
    JOIN accounts_provider provider ON provider.id = service.provider_id
)
SELECT line.* FROM line {after} ORDER BY {order} LIMIT %(limit)s
"""
_PAGES = {
    Order.EMISSIONS_DESC: (
        "WHERE (line.total_ug, -line.service_id) < (%(after_total)s, -%(after_id)s)",
        "line.total_ug DESC, line.service_id",
    ),
    Order.NAME_ASC: (
        'WHERE (line.name COLLATE "C", line.service_id) > (%(after_name)s, %(after_id)s)',
        'line.name COLLATE "C", line.service_id',
    ),
}


def by_service(
    *, question: Question, node: NodeKey, cut: Cut, presence_of_total: Presence, restricted: EmissionsFilter = NO_FILTER
) -> list[ServiceShare]:
    """One page of a node's emissions by service; the key of a row is (total in ug or name, service id)."""
    begun = facts(question, asked=asked_for([node]), services=True, restricted=restricted)
    after, order = _PAGES[cut.order]
    text = _BY_SERVICE.format(
        sums=sums_sql("fact"),
        total=total_sql("amount", cut.method),
        columns=", ".join(f"amount.{column}" for column in COLUMNS),
        after=after if cut.after else "",
        order=order,
    )
    with connection.cursor() as cursor:
        cursor.execute(begun.text + text, begun.params | _after(cut))
        rows = cursor.fetchall()
    return [
        ServiceShare(*labels, int(total), Figure(Amounts.of(values), _of_a_row(presence_of_total)))
        for *labels, total, values in ((*row[:6], row[6:]) for row in rows)
    ]


def _of_a_row(total: Presence) -> Presence:
    """A row exists only where there are amounts; it is as incomplete as the total it is a part of."""
    return Presence.WHOLE if total is Presence.WHOLE else Presence.PART


def _after(cut: Cut) -> dict[str, object]:
    params: dict[str, object] = {"limit": cut.limit}
    if cut.after:
        value, ident = cut.after
        params |= {"after_total": value, "after_name": value, "after_id": ident}
    return params


_PLACE = {
    LocationLevel.COUNTRY: ("CASE WHEN location.kind = 'edge' THEN '' ELSE location.country END", "''", "''"),
    LocationLevel.REGION: (
        "CASE WHEN location.kind = 'edge' THEN '' ELSE location.region END",
        "''",
        "provider.code",
    ),
    LocationLevel.CLUSTER: ("cluster.code", "location.kind", "provider.code"),
}
_BY_LOCATION = """
, placed AS (
    SELECT {code} AS code, {provider} AS provider_code, {kind} AS kind,
           CASE WHEN {code} = cluster.code THEN location.name
                WHEN location.kind = 'edge' THEN 'Global services' ELSE '' END AS name,
           location.zero_emission, fact.*
    FROM fact
    JOIN allocation_cluster cluster ON cluster.id = fact.cluster_id
    JOIN accounts_provider provider ON provider.id = cluster.provider_id
    JOIN allocation_runlocation location ON location.run_id = fact.run_id AND location.cluster_id = fact.cluster_id
), amount AS (
    SELECT placed.code, placed.provider_code, max(placed.kind) AS kind, max(placed.name) AS name,
           bool_and(placed.zero_emission) AS zero_emission, {sums}
    FROM placed GROUP BY placed.code, placed.provider_code
), line AS (
    SELECT amount.code, COALESCE(NULLIF(amount.name, ''), amount.code) AS name, amount.kind, amount.provider_code,
           amount.zero_emission, COALESCE({total}, -1) AS total_ug, {columns}
    FROM amount
)
SELECT line.* FROM line {after} ORDER BY {order} LIMIT %(limit)s
"""
_PLACE_PAGES = {
    Order.EMISSIONS_DESC: (
        """WHERE line.total_ug < %(after_value)s OR (line.total_ug = %(after_value)s
        AND (line.code COLLATE "C", line.provider_code COLLATE "C") > (%(after_code)s, %(after_provider)s))""",
        'line.total_ug DESC, line.code COLLATE "C", line.provider_code COLLATE "C"',
    ),
    Order.NAME_ASC: (
        """WHERE (line.name COLLATE "C", line.code COLLATE "C", line.provider_code COLLATE "C")
        > (%(after_value)s, %(after_code)s, %(after_provider)s)""",
        'line.name COLLATE "C", line.code COLLATE "C", line.provider_code COLLATE "C"',
    ),
}


def by_location(  # noqa: PLR0913 the level is one more than the rule allows
    *,
    question: Question,
    node: NodeKey,
    level: LocationLevel,
    cut: Cut,
    presence_of_total: Presence,
    restricted: EmissionsFilter = NO_FILTER,
) -> list[LocationShare]:
    """One page of a node's emissions by place; edge locations stand under *Global services* above the cluster level.

    The key of a row is (total in ug or name, code, provider code).
    """
    begun = facts(question, asked=asked_for([node]), clusters=True, restricted=restricted)
    code, kind, provider = _PLACE[level]
    after, order = _PLACE_PAGES[cut.order]
    text = _BY_LOCATION.format(
        code=code,
        kind=kind,
        provider=provider,
        sums=sums_sql("placed"),
        total=total_sql("amount", cut.method),
        columns=", ".join(f"amount.{column}" for column in COLUMNS),
        after=after if cut.after else "",
        order=order,
    )
    params: dict[str, object] = {"limit": cut.limit}
    if cut.after:
        params |= dict(zip(("after_value", "after_code", "after_provider"), cut.after, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(begun.text + text, begun.params | params)
        rows = cursor.fetchall()
    row_presence = _of_a_row(presence_of_total)
    return [
        LocationShare(code, name, kind, provider_code, int(total), Figure(Amounts.of(values), row_presence, zero))
        for code, name, kind, provider_code, zero, total, *values in rows
    ]
