"""Root fields that answer with numbers."""

from __future__ import annotations

from typing import Annotated

import strawberry

from allocation.policies import NodeKey
from allocation.selectors import cube
from allocation.selectors.cube import CubePage, Grouping
from allocation.selectors.emissions import Series
from allocation.selectors.filters import FilterCodes
from allocation.selectors.standing import Reason
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.limits import MAX_PAGE
from graphql_api.loaders import Asked
from graphql_api.pagination import Page, page_of, page_size
from graphql_api.types.breakdowns import breakdown_cursors, too_many_accounts
from graphql_api.types.cube import (
    MAX_NODES,
    DimensionValue,
    DimensionValueConnection,
    DimensionValueEdge,
    DimensionValuesInput,
    EmissionsInput,
    EmissionsResult,
    EmissionsRow,
    EmissionsRowConnection,
    EmissionsRowEdge,
    NodeResult,
)
from graphql_api.types.emissions import Emissions, Omission
from graphql_api.types.enums import AccessDecision, CubeOrder, Dimension, Method
from graphql_api.types.nodes import id_of, key_of

Info = strawberry.Info[Context, None]


@strawberry.type
class EmissionsQuery:
    """Root fields."""

    @strawberry.field(description="The cube: emissions of several nodes, grouped by time and any other dimensions.")
    async def emissions(
        self, info: Info, input: Annotated[EmissionsInput, strawberry.argument(description="The question.")]
    ) -> EmissionsResult:
        """Cube."""
        nodes = checked_nodes(input.nodes)
        asked = input.asked(info.context.now)
        question, restricted = await info.context.loaders.question_by_asked.load(asked)
        grouping, size = input.grouping(), page_size(input.first)
        cursors = breakdown_cursors(("cube", nodes, asked, grouping), input.order_by, input.method)
        key = cursors.read(input.after)
        try:
            found = await info.context.call(
                cube.cube,
                question=question,
                nodes=nodes,
                grouping=grouping,
                page=CubePage(size + 1, input.method, input.order_by, key),
                restricted=restricted,
            )
        except cube.TooManyAccounts:
            raise too_many_accounts() from None
        page = page_of(found.rows, size=size, key=lambda row: row.key(input.order_by), cursors=cursors, after=key)
        rows = EmissionsRowConnection(
            edges=[EmissionsRowEdge(cursor=cursor, node=EmissionsRow.of(row)) for cursor, row in page.rows],
            page_info=page.info,
            page_limit=MAX_PAGE,
        )
        return EmissionsResult(rows=rows, nodes=[_result(found.series[node]) for node in nodes])

    @strawberry.field(description="The values that a dimension has for some nodes, by name: what a filter can offer.")
    async def dimension_values(
        self, info: Info, input: Annotated[DimensionValuesInput, strawberry.argument(description="The question.")]
    ) -> DimensionValueConnection:
        """Values."""
        nodes = checked_nodes(input.nodes)
        codes = FilterCodes() if input.filter is None else input.filter.codes()
        asked = Asked(input.period.period(), codes)
        page = await _values(info, nodes, asked, input)
        edges = [DimensionValueEdge(cursor=cursor, node=DimensionValue.of(row.values[0])) for cursor, row in page.rows]
        return DimensionValueConnection(edges=edges, page_info=page.info)


async def _values(info: Info, nodes: list[NodeKey], asked: Asked, given: DimensionValuesInput) -> Page[cube.CubeRow]:
    size = page_size(given.first)
    cursors = breakdown_cursors(("values", nodes, asked, given.dimension), CubeOrder.KEY_ASC, Method.LOCATION_BASED)
    key = cursors.read(given.after)
    question, restricted = await info.context.loaders.question_by_asked.load(asked)
    try:
        found = await info.context.call(
            cube.cube,
            question=question,
            nodes=nodes,
            grouping=Grouping((Dimension(given.dimension),), together=True),
            page=CubePage(size + 1, Method.LOCATION_BASED, CubeOrder.KEY_ASC, key),
            restricted=restricted,
            series={},
        )
    except cube.TooManyAccounts:
        raise too_many_accounts() from None
    return page_of(found.rows, size=size, key=lambda row: row.key(CubeOrder.KEY_ASC), cursors=cursors, after=key)


def checked_nodes(ids: list[strawberry.ID]) -> list[NodeKey]:
    """Read the ids of nodes; BAD_USER_INPUT for none, too many, twice the same, or ids of something else."""
    if not 1 <= len(ids) <= MAX_NODES or len(set(ids)) < len(ids):
        raise bad_input(f"nodes takes 1 to {MAX_NODES} ids, each once.", field="nodes", limit=MAX_NODES)
    keys = [key_of(one) for one in ids]
    found = [key for key in keys if key is not None]
    if len(found) < len(keys):
        raise bad_input("nodes holds something that is not the id of a node of the hierarchy.", field="nodes")
    return found


def _result(series: Series) -> NodeResult:
    hidden = any(one.reason in {Reason.NOT_PERMITTED, Reason.MULTI_ACCOUNT_DISABLED} for one in series.omissions)
    decision = AccessDecision.ALLOWED
    if hidden:
        shown = any(point.figure.has_value for point in series.points)
        decision = AccessDecision.PARTIAL if shown else AccessDecision.DENIED
    return NodeResult(
        node_id=strawberry.ID(id_of(series.node)),
        decision=decision,
        total=Emissions(figure=series.total),
        omissions=[Omission.of(omission) for omission in series.omissions],
    )
