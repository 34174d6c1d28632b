"""The cube: emissions of several nodes, grouped by any dimensions."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import strawberry

from allocation.selectors.cube import CubeRow, Grouping, Value
from allocation.selectors.filters import FilterCodes
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import Asked
from graphql_api.pagination import PageInfo
from graphql_api.scalars import Month
from graphql_api.types.arguments import EmissionsFilter, PeriodInput
from graphql_api.types.emissions import Emissions, Omission
from graphql_api.types.enums import AccessDecision, CubeOrder, Dimension, Granularity, Method, View
from graphql_api.types.nodes import checked_moment, id_of
from graphql_api.types.summary import checked_fiscal_start

Info = strawberry.Info[Context, None]
MAX_NODES: Final = 50
MAX_DIMENSIONS: Final = 6


@strawberry.input(description="What to answer: which nodes and months, grouped and filtered how.")
class EmissionsInput:
    """A question to the cube."""

    nodes: list[strawberry.ID] = strawberry.field(description="Global ids of 1 to 50 nodes of the hierarchy.")
    period: PeriodInput = strawberry.field(description="The months to answer for.")
    granularity: Granularity | None = strawberry.field(
        default=None, description="How finely time is told apart; null = the period as one."
    )
    fiscal_year_start: int = strawberry.field(
        default=1, description="First month of a year, 1 to 12, with the granularity YEAR; 1 = calendar years."
    )
    group_by: list[Dimension] = strawberry.field(
        default_factory=list, description="Dimensions to group by, at most 6, each once."
    )
    filter: EmissionsFilter | None = strawberry.field(
        default=None, description="Only emissions of these services and places."
    )
    method: Method = strawberry.field(
        default=Method.LOCATION_BASED, description="By which method rows are sorted, and scopes told apart."
    )
    view: View = strawberry.field(default=View.AS_WAS, description="By which tree months are rolled up.")
    as_of: datetime | None = strawberry.field(
        default=None, description="What was published at this moment, whatever was restated since."
    )
    order_by: CubeOrder = strawberry.field(default=CubeOrder.EMISSIONS_DESC, description="How rows are sorted.")
    first: int | None = strawberry.field(default=None, description="Rows on the page, 1 to 100; 50 if it is not given.")
    after: str | None = strawberry.field(
        default=None, description="Cursor of the row before the page: `endCursor` of the last page."
    )

    def grouping(self) -> Grouping:
        """Check and convert."""
        if len(self.group_by) > MAX_DIMENSIONS or len(set(self.group_by)) < len(self.group_by):
            raise bad_input(f"groupBy takes at most {MAX_DIMENSIONS} dimensions, each once.", field="groupBy")
        if {Dimension.SCOPE, Dimension.LINE} <= set(self.group_by):
            raise bad_input("Group by SCOPE or by LINE; a line has one scope.", field="groupBy")
        return Grouping(tuple(self.group_by), self.granularity, checked_fiscal_start(self.fiscal_year_start))

    def asked(self, now: datetime) -> Asked:
        """Check and convert."""
        codes = FilterCodes() if self.filter is None else self.filter.codes()
        return Asked(self.period.period(), codes, checked_moment(self.as_of, now), self.view)


@strawberry.type(description="A row's value of one dimension.")
class DimensionValue:
    """A value."""

    dimension: Dimension = strawberry.field(description="The dimension.")
    code: str | None = strawberry.field(description="Code of the value; null for Global services and Miscellaneous.")
    name: str = strawberry.field(description="Display name.")
    provider: str | None = strawberry.field(description="Code of the provider, where the code is one of a provider's.")
    node_id: strawberry.ID | None = strawberry.field(
        description="Global id, for groups, accounts and resource groups; null for all others."
    )

    @classmethod
    def of(cls, value: Value) -> DimensionValue:
        """Convert."""
        return cls(
            dimension=value.dimension,
            code=value.code or None,
            name=value.name,
            provider=value.provider,
            node_id=None if value.node is None else strawberry.ID(id_of(value.node)),
        )


@strawberry.type(description="A span of time.")
class TimeSpan:
    """A month, quarter or year."""

    month: Month = strawberry.field(description="First month.")
    until: Month = strawberry.field(description="Month after the last one, exclusive.")
    label: str = strawberry.field(description="For example 2025-06, 2025-Q2, 2025 or FY2025/26.")
    complete: bool = strawberry.field(
        description="Whether all its months lie in the period and nothing is left out of them."
    )


@strawberry.type(description="One row: emissions of a node, in a span of time, for one value of each dimension.")
class EmissionsRow:
    """A row of the cube."""

    # Plain attributes: Strawberry hands them out several times faster than it calls methods, and a page has 100 rows.
    node_id: strawberry.ID = strawberry.field(description="Global id of the node asked for.")
    span: TimeSpan | None = strawberry.field(description="The span of time; null without a granularity.")
    values: list[DimensionValue] = strawberry.field(
        description="One value for each dimension of `groupBy`, in its order."
    )
    emissions: Emissions = strawberry.field(description="The emissions.")

    @classmethod
    def of(cls, row: CubeRow) -> EmissionsRow:
        """Convert."""
        found = row.span
        return cls(
            node_id=strawberry.ID(id_of(row.node)),
            span=None
            if found is None
            else TimeSpan(
                month=Month(found.start), until=Month(found.until), label=found.label, complete=found.complete
            ),
            values=[DimensionValue.of(value) for value in row.values],
            emissions=Emissions(figure=row.figure),
        )


@strawberry.type(description="A row in a list.")
class EmissionsRowEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place of the row in the list, for `after`.")
    node: EmissionsRow = strawberry.field(description="The row.")


@strawberry.type(description="A value in a list.")
class DimensionValueEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place of the value in the list, for `after`.")
    node: DimensionValue = strawberry.field(description="The value.")


@strawberry.type(description="Values of a dimension, one page of them.")
class DimensionValueConnection:
    """Relay connection."""

    edges: list[DimensionValueEdge] = strawberry.field(description="The values of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="Which values of a dimension some nodes have, to fill a filter with.")
class DimensionValuesInput:
    """A question for values."""

    nodes: list[strawberry.ID] = strawberry.field(description="Global ids of 1 to 50 nodes of the hierarchy.")
    period: PeriodInput = strawberry.field(description="The months to look in.")
    dimension: Dimension = strawberry.field(description="The dimension.")
    filter: EmissionsFilter | None = strawberry.field(
        default=None, description="Only values that go with these services and places."
    )
    first: int | None = strawberry.field(
        default=None, description="Values on the page, 1 to 100; 50 if it is not given."
    )
    after: str | None = strawberry.field(
        default=None, description="Cursor of the value before the page: `endCursor` of the last page."
    )


@strawberry.type(description="Rows of the cube, one page of them.")
class EmissionsRowConnection:
    """Relay connection."""

    edges: list[EmissionsRowEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
    page_limit: int = strawberry.field(description="The most rows that one page may have.")


@strawberry.type(description="What was decided about one of the nodes asked for, and its total.")
class NodeResult:
    """A node's part of the answer."""

    node_id: strawberry.ID = strawberry.field(description="The global id that was asked for.")
    decision: AccessDecision = strawberry.field(description="Whether its numbers are shown.")
    total: Emissions = strawberry.field(description="Total of the whole period, not of the page, filters applied.")
    omissions: list[Omission] = strawberry.field(description="What is left out of the total, and why.")


@strawberry.type(description="Answer of the cube.")
class EmissionsResult:
    """Rows, and what is known about the nodes asked for."""

    rows: EmissionsRowConnection = strawberry.field(description="The rows, one page of them.")
    nodes: list[NodeResult] = strawberry.field(
        description="For each node asked for, in order: whether it is shown, its total, what is left out."
    )
