"""Emissions grouped by any dimensions, one page of rows at a time.

Keys are grouped first and named afterwards, so that names are looked up for rows of the result only.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from accounts.months import multirange
from accounts.statements import rows_of
from allocation.policies import NodeKey, asked_for
from allocation.selectors.account_counts import count_accounts, count_accounts_of_each
from allocation.selectors.amounts import COLUMNS, LINES, Amounts, Method, sums_sql, total_sql
from allocation.selectors.dimensions import LEDGER, PICKED, PLACES, RECIPES, SERVICES, Dimension
from allocation.selectors.emissions import by_month
from allocation.selectors.facts import (
    NO_FILTER,
    Cut,
    Detail,
    EmissionsFilter,
    facts,
    grain_of,
)
from allocation.selectors.spans import Granularity, Span, grouped
from allocation.selectors.statuses import Figure, Presence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from allocation.policies import Question
    from allocation.selectors.emissions import Series
    from allocation.selectors.facts import Facts

MAX_LEDGER_ACCOUNTS = 500
QUALITIES = (
    "metered",
    "invoice",
    "average_power",
    "estimated_profile",
    "regional_equal_split",
    "extrapolated",
    "proxy",
)


class TooManyAccounts(ValueError):  # noqa: N818 an answer to a question, not a malfunction
    """Resource groups and qualities stand in the ledger, which is not read for so many accounts at once."""


class CubeOrder(enum.StrEnum):
    """How rows are sorted: by size, or by time and then by names."""

    EMISSIONS_DESC = "emissions_desc"
    KEY_ASC = "key_asc"


@dataclass(frozen=True, slots=True)
class Grouping:
    """What rows are grouped by. `fiscal_start` is the first month of a year, 1 to 12.

    `together`: the nodes count as one (rows carry the first of them); only for values, amounts could count twice.
    """

    dimensions: tuple[Dimension, ...] = ()
    granularity: Granularity | None = None
    fiscal_start: int = 1
    together: bool = False


@dataclass(frozen=True, slots=True)
class CubePage:
    """Which rows: sorted how, after which key, at most so many; with `each` so many of each node, from the first on."""

    limit: int
    method: Method = Method.LOCATION_BASED
    order: CubeOrder = CubeOrder.EMISSIONS_DESC
    after: tuple[str | int, ...] | None = None
    each: bool = False


class Value(NamedTuple):
    """A row's value of one dimension. `node` is set for groups, accounts and resource groups."""

    dimension: Dimension
    code: str
    name: str
    provider: str | None
    kind: str | None
    node: NodeKey | None


@dataclass(frozen=True, slots=True)
class CubeRow:
    """One row: emissions of a node in a span of time, for one value of each dimension."""

    node: NodeKey
    span: Span | None
    values: tuple[Value, ...]
    figure: Figure
    total_ug: int
    sort_text: str
    label: str

    def key(self, order: CubeOrder) -> tuple[str | int, ...]:
        """The sort key, for cursors."""
        return (self.total_ug if order is CubeOrder.EMISSIONS_DESC else self.sort_text, self.label)


@dataclass(frozen=True, slots=True)
class CubeResult:
    """A page of rows, and each node's series, from which totals and omissions are told.

    `refused`: nodes left out of a question for a page of each, because they have more than `MAX_LEDGER_ACCOUNTS`.
    """

    rows: list[CubeRow]
    series: dict[NodeKey, Series]
    refused: frozenset[NodeKey] = frozenset()


# By emissions a page is cut by totals alone, before all columns are added up and names are looked up: a cube has many
# more rows than a page. Rows that tie with the last of the page, or with the row that it follows, stay until labels
# decide.
_CHOSEN = """{alone}
, ranked AS ({as_they_are}
    SELECT {node} AS key, {bucket} AS bucket{keys}, COALESCE(sum({row_total}), -1) AS total_ug{told}{no_place}
    FROM fact{joins}{added_up}
    GROUP BY 1, 2{numbers}
), largest AS (
    {largest}
), chosen AS (
    {chosen}
)"""
# Where no two parts of a node are of one provider, each row of a container is a row of the cube: nothing is to be added
# up, and sorting thousands of rows to find that out takes longer than reading them.
_ALONE = """
, alone AS MATERIALIZED (
    SELECT NOT EXISTS (
        SELECT FROM ({parts}) AS part GROUP BY part.key, part.provider_id HAVING count(*) > 1) AS are
)"""
_PART = "SELECT key, provider_id FROM {}"
_AS_THEY_ARE = """
    SELECT {node} AS key, {bucket} AS bucket{keys}, COALESCE({row_total}, -1) AS total_ug, fact.place
    FROM fact{joins} WHERE (SELECT are FROM alone)
    UNION ALL"""
_ADDED_UP = " WHERE NOT (SELECT are FROM alone)"
# Chosen as they stand, they are found by their places the second time: a hundred of thousands.
_AGAIN = """
, again AS (
    SELECT found.* FROM ({again}) AS found WHERE (SELECT are FROM alone)
    UNION ALL
    SELECT fact.* FROM fact WHERE NOT (SELECT are FROM alone)
)"""
_TIED = "SELECT * FROM ranked line WHERE ({there}) AND line.total_ug = %(after_value)s\n    UNION ALL "
_LARGEST = """
    {tied}(SELECT * FROM ranked line WHERE ({there}){below} ORDER BY total_ug DESC FETCH FIRST %(limit)s ROWS WITH TIES)
"""
_LARGEST_OF_EACH = """
    SELECT * FROM (SELECT line.*, rank() OVER (PARTITION BY line.key ORDER BY line.total_ug DESC) AS rank
                   FROM ranked line WHERE ({there})) AS line
    WHERE line.rank <= %(limit)s
"""
# `IS TRUE` keeps it a look-up in a hash table: the planner expects far too few facts and would compare each with each.
_OF_CHOSEN = """
    WHERE (({place}) IN (SELECT {chosen} FROM chosen)) IS TRUE"""
_CUBE = """{chosen}
, line AS (
    SELECT {node} AS key, {bucket} AS bucket{keys}, bool_and({zero}) AS zero_emission, {sums}
    FROM {read} AS fact{joins}{of_chosen}
    GROUP BY 1, 2{numbers}
){before}, named AS (
    SELECT line.key, line.bucket, line.zero_emission, COALESCE({total}, -1) AS total_ug,
           concat_ws('|', line.bucket::text{names}) AS sort_text,
           {label} AS label{columns}, {amounts}
    FROM line{named}
    WHERE {there}
)
{page}
"""
# A limit keeps no more rows than a page while it sorts; numbering the rows of each node sorts all of them.
_PAGE = "SELECT named.* FROM {named} {after} ORDER BY {order} LIMIT %(limit)s"
_PAGE_OF_EACH = """
SELECT named.* FROM (
    SELECT named.*, row_number() OVER (PARTITION BY named.key ORDER BY {order}) AS place FROM {named}
) AS named WHERE named.place <= %(limit)s ORDER BY {order}"""
_ORDERS = {
    CubeOrder.EMISSIONS_DESC: (
        """WHERE named.total_ug < %(after_value)s
        OR (named.total_ug = %(after_value)s AND named.label COLLATE "C" > %(after_label)s)""",
        'named.total_ug DESC, named.label COLLATE "C"',
    ),
    CubeOrder.KEY_ASC: (
        'WHERE (named.sort_text COLLATE "C", named.label COLLATE "C") > (%(after_value)s, %(after_label)s)',
        'named.sort_text COLLATE "C", named.label COLLATE "C"',
    ),
}
_BUCKETS = {
    None: "NULL::date",
    Granularity.MONTH: "fact.month",
    Granularity.QUARTER: "date_trunc('quarter', fact.month)::date",
    Granularity.YEAR: "(date_trunc('year', fact.month - make_interval(months => %(fiscal)s))"
    " + make_interval(months => %(fiscal)s))::date",
}


def cube(  # noqa: PLR0913 the series spares two statements where it is known
    *,
    question: Question,
    nodes: Sequence[NodeKey],
    grouping: Grouping,
    page: CubePage,
    restricted: EmissionsFilter = NO_FILTER,
    series: dict[NodeKey, Series] | None = None,
) -> CubeResult:
    """Group the emissions of nodes; at most four statements whatever the number of nodes, rows and accounts.

    `series` are those of the nodes for the same question, where they are known already.

    Raises:
        TooManyAccounts: resource groups or qualities of more than `MAX_LEDGER_ACCOUNTS` accounts were asked for.
    """
    wanted = frozenset(grouping.dimensions)
    asked = asked_for(nodes, question.view)
    refused: frozenset[NodeKey] = frozenset()
    if wanted & LEDGER and page.each:
        refused = _refused(question, nodes)
        nodes = [node for node in nodes if node not in refused]
        if not nodes:
            return CubeResult([], series or {}, refused)
        asked = asked_for(nodes, question.view)
    elif wanted & LEDGER and count_accounts(question, asked=asked) > MAX_LEDGER_ACCOUNTS:
        raise TooManyAccounts(MAX_LEDGER_ACCOUNTS)
    cut = Cut(
        services=bool(wanted & SERVICES),
        clusters=bool(wanted & PLACES),
        detail=_detail(wanted),
        quality=Dimension.QUALITY in wanted,
        restricted=restricted,
    )
    begun = facts(question, asked=asked, cut=cut, twice=page.order is CubeOrder.EMISSIONS_DESC)
    params = begun.params | {"limit": page.limit, "fiscal": grouping.fiscal_start - 1}
    if page.after:
        params |= dict(zip(("after_value", "after_label"), page.after, strict=True))
    found = rows_of(begun.text + _statement(begun, grouping, page, several=len(nodes) > 1), params)
    if series is None:
        series = by_month(question=question, nodes=nodes, restricted=restricted)
    spans = {node: _spans(of_node, grouping) for node, of_node in series.items()}
    # Without time, rows are as incomplete as the total that they are parts of; it is added up once.
    reached = {} if grouping.granularity else {node: of_node.total.reached for node, of_node in series.items()}
    return CubeResult([_row(row, nodes, grouping, reached, spans) for row in found], series, refused)


def _refused(question: Question, nodes: Sequence[NodeKey]) -> frozenset[NodeKey]:
    places = [(key, multirange([question.period])) for key in range(1, len(nodes) + 1)]
    counts = count_accounts_of_each(question, asked=asked_for(nodes, question.view), places=places)
    return frozenset(node for node, count in zip(nodes, counts, strict=True) if count > MAX_LEDGER_ACCOUNTS)


def _detail(wanted: frozenset[Dimension]) -> Detail:
    if wanted & LEDGER:
        return Detail.RESOURCE_GROUP
    if Dimension.ACCOUNT in wanted:
        return Detail.ACCOUNT
    return Detail.GROUP if Dimension.ACCOUNT_GROUP in wanted else Detail.NODE


def _statement(begun: Facts, grouping: Grouping, page: CubePage, *, several: bool) -> str:
    wanted = frozenset(grouping.dimensions)
    recipes = [(f"d{number}", f"t{number}", RECIPES[one]) for number, one in enumerate(grouping.dimensions)]
    after, order = _ORDERS[page.order]
    columns = "".join(
        f", line.{d}::text, {r.code}, {r.name}, {r.provider}, {r.kind}".format(d=d, t=t) for d, t, r in recipes
    )
    labels = "".join(f", line.{d}::text" for d, _, _ in recipes)
    parts = {
        "node": "1" if grouping.together else "fact.key",
        "bucket": _BUCKETS[grouping.granularity],
        "keys": "".join(f", {recipe.key} AS {d}" for d, _, recipe in recipes),
        "joins": _joins(wanted, page.method),
        "numbers": "".join(f", {number}" for number in range(3, 3 + len(recipes))),
        # A page of each node goes on where it ends, whatever nodes were asked for beside it.
        "label": f"concat_ws('|'{'' if page.each else ', line.key::text'}, line.bucket::text{labels})",
        "after": after if page.after else "",
        "order": order,
    }
    by_emissions = page.order is CubeOrder.EMISSIONS_DESC
    return _CUBE.format(
        **parts,
        chosen=_chosen(begun, grouping, page, parts, several=several) if by_emissions else "",
        read="again" if by_emissions and _may_stand_alone(begun, grouping) else "fact",
        of_chosen=_of_chosen(grouping, parts, [(d, recipe.key) for d, _, recipe in recipes]) if by_emissions else "",
        zero="COALESCE(location.zero_emission, false)" if wanted & PLACES else "false",
        sums=_picked_sums(wanted),
        total=total_sql("line", page.method),
        names="".join(f", {r.name}".format(d=d, t=t) for d, t, r in recipes),
        columns=columns,
        amounts=", ".join(f"line.{column}" for column in COLUMNS),
        before="".join(r.before.format(d=d, t=t) for d, t, r in recipes),
        named="".join(" " + r.join.format(d=d, t=t) for d, t, r in recipes if r.join),
        # Inclusive totals minus those of subgroups leave zeros where no account stands directly in a group.
        there=_NOT_ZERO.format(total_sql("line", page.method)) if _detail(wanted) is Detail.GROUP else "true",
        page=(_PAGE_OF_EACH if page.each and several else _PAGE).format(named="named", **parts),
    )


def _chosen(begun: Facts, grouping: Grouping, page: CubePage, parts: dict[str, str], *, several: bool) -> str:
    wanted = frozenset(grouping.dimensions)
    amounts_of = "picked" if wanted & PICKED else "fact"
    largest, chosen = (_LARGEST_OF_EACH, _PAGE_OF_EACH) if page.each and several else (_LARGEST, _PAGE)
    there = _NOT_ZERO.format("line.total_ug") if _detail(wanted) is Detail.GROUP else "true"
    total = total_sql("picked", page.method) if wanted & PICKED else begun.total_sql(page.method)
    may_stand_alone = _may_stand_alone(begun, grouping)
    alone = _ALONE.format(parts=" UNION ALL ".join(map(_PART.format, sorted(begun.parts))))
    text = _CHOSEN.format(
        **parts,
        alone=alone if may_stand_alone else "",
        as_they_are=_AS_THEY_ARE.format(**parts, row_total=total) if may_stand_alone else "",
        added_up=_ADDED_UP if may_stand_alone else "",
        no_place=", NULL::tid" if may_stand_alone else "",
        row_total=total,
        told=_TOLD.format(amounts_of) if there != "true" else "",
        largest=largest.format(
            there=there,
            tied=_TIED.format(there=there) if page.after else "",
            below=" AND line.total_ug < %(after_value)s" if page.after else "",
        ).strip(),
        chosen=chosen.format(
            named=f"(SELECT line.*, {parts['label']} AS label FROM largest line) AS named",  # noqa: S608 fixed texts
            **parts,
        ).strip(),
    )
    return text + _AGAIN.format(again=begun.again) if may_stand_alone else text


def _may_stand_alone(begun: Facts, grouping: Grouping) -> bool:
    """Whether rows are of containers, and told apart by all that these are told apart by."""
    wanted = frozenset(grouping.dimensions)
    kept = grain_of(services=Dimension.SERVICE in wanted, clusters=Dimension.CLUSTER in wanted)
    return (
        begun.keeps_totals
        and grouping.granularity is Granularity.MONTH
        and not grouping.together
        and bool(wanted)
        and wanted <= {Dimension.PROVIDER, Dimension.SERVICE, Dimension.CLUSTER}
        and begun.params["grain"] == kept
    )


def _of_chosen(grouping: Grouping, parts: dict[str, str], keys: Sequence[tuple[str, str]]) -> str:
    place, chosen = [parts["node"]], ["chosen.key"]
    if grouping.granularity is not None:
        place.append(parts["bucket"])
        chosen.append("chosen.bucket")
    for name, key in keys:
        place.append(key)
        chosen.append(f"chosen.{name}")
    return _OF_CHOSEN.format(place=", ".join(place), chosen=", ".join(chosen))


_TOLD = "".join(f", sum({{0}}.{column}) AS {column}" for column in ("energy_wh", "below_threshold", "not_covered"))
_NOT_ZERO = "({}) > 0 OR line.energy_wh > 0 OR line.below_threshold > 0 OR line.not_covered > 0"


def _joins(wanted: frozenset[Dimension], method: Method) -> str:
    found = ""
    if Dimension.SERVICE_CATEGORY in wanted:
        found += " JOIN allocation_service category_of ON category_of.id = fact.service_id"
    if wanted & PLACES:
        found += (
            " LEFT JOIN allocation_runlocation location"
            " ON location.run_id = fact.run_id AND location.cluster_id = fact.cluster_id"
        )
    if wanted & PICKED:
        found += f" CROSS JOIN LATERAL ({_picked(wanted, method)}) AS picked"
    return found


def _picked(wanted: frozenset[Dimension], method: Method) -> str:
    """One row for each scope or line; the other columns are null in it."""
    if Dimension.LINE in wanted:
        groups = [(f"'{line.name}'", [line]) for line in LINES]
    else:
        scopes = sorted({line.scope for line in LINES})
        groups = [(str(int(s)), [x for x in LINES if x.scope == s and x.method in {None, method}]) for s in scopes]
    rows = []
    for number, lines in groups:
        kept = {f"{line.name}_{suffix}" for line in lines for suffix in ("ug", "estimated_ug")}
        there = ", ".join(f"fact.{line.name}_ug" for line in lines)
        amounts = ", ".join((f"fact.{c}" if c in kept else "NULL::numeric") + f" AS {c}" for c in COLUMNS)
        rows.append(f"SELECT {number} AS number, {amounts} WHERE COALESCE({there}) IS NOT NULL")
    return " UNION ALL ".join(rows)


def _picked_sums(wanted: frozenset[Dimension]) -> str:
    return sums_sql("picked" if wanted & PICKED else "fact")


_FIXED = 6
_PER_DIMENSION = 5


def _row(
    row: tuple[Any, ...],
    nodes: Sequence[NodeKey],
    grouping: Grouping,
    reached: dict[NodeKey, Presence],
    spans: dict[NodeKey, dict[date, Span]],
) -> CubeRow:
    key, bucket, zero, total, sort_text, label = row[:_FIXED]
    node = nodes[key - 1]
    values = tuple(
        _value(dimension, row[_FIXED + place * _PER_DIMENSION :][:_PER_DIMENSION])
        for place, dimension in enumerate(grouping.dimensions)
    )
    span = None if bucket is None else spans[node][bucket]
    presence = reached.get(node, Presence.PART) if span is None else span.figure.reached
    first = _FIXED + len(values) * _PER_DIMENSION
    figure = Figure(
        Amounts.of(row[first : first + len(COLUMNS)]),
        Presence.WHOLE if presence is Presence.WHOLE else Presence.PART,
        zero,
    )
    return CubeRow(node, span, values, figure, int(total), sort_text, label)


def _value(dimension: Dimension, cells: tuple[Any, ...]) -> Value:
    ident, code, name, provider, kind = cells
    of_node = RECIPES[dimension].node
    if dimension is Dimension.QUALITY:
        code = name = QUALITIES[int(ident)]
    node = NodeKey(of_node, int(ident)) if of_node is not None and ident != "0" else None
    return Value(dimension, code, name, provider, kind, node)


def _spans(series: Series, grouping: Grouping) -> dict[date, Span]:
    """The months, quarters or years of a node, by their first month; none where time is not told apart."""
    if grouping.granularity is None:
        return {}
    spans = grouped(series.points, grouping.granularity, first_month=grouping.fiscal_start)
    return {span.start: span for span in spans}
