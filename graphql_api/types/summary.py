"""What a node emitted in a period: the total, its parts, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from allocation.policies import NodeKey
from allocation.selectors import cube, spans
from allocation.selectors.comparisons import Comparison, compared
from allocation.selectors.cube import CubePage, CubeRow
from allocation.selectors.emissions import Series
from allocation.selectors.statuses import Figure
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import Asked, BreakdownKey, SeriesKey
from graphql_api.pagination import Page, page_of, page_size
from graphql_api.types.arguments import After, First, WithMethod
from graphql_api.types.breakdowns import (
    AccountEmissionsConnection,
    AccountGroupEmissionsConnection,
    LocationEmissionsConnection,
    ResourceGroupEmissionsConnection,
    ServiceEmissionsConnection,
    breakdown_cursors,
    too_many_accounts,
)
from graphql_api.types.emissions import Emissions, EmissionsPoint, Mass, Omission, mass
from graphql_api.types.enums import CubeOrder, Dimension, Granularity, LocationLevel, Method, Scope

if TYPE_CHECKING:
    from graphql_api.types.methodologies import MethodologyVersion
    from graphql_api.types.statements import VerificationStatement

Info = strawberry.Info[Context, None]
_MONTHS_OF_YEAR = 12
FIRST_YEAR, LAST_YEAR = 1990, 2200

InOrder = Annotated[CubeOrder, strawberry.argument(description="How the rows are sorted.")]
InLevel = Annotated[LocationLevel, strawberry.argument(description="How finely places are told apart.")]
FiscalStart = Annotated[int, strawberry.argument(description="First month of the year, 1 to 12; 1 = calendar years.")]


@strawberry.type(description="Emissions of one provider scope.")
class ScopeEmissions:
    """A row of a breakdown by scope."""

    scope: Scope = strawberry.field(description="The provider's scope.")
    mass: Mass = strawberry.field(description="Its emissions in the period.")


@strawberry.type(description="A change between two periods.")
class Change:
    """Now and before."""

    before: Emissions = strawberry.field(description="Emissions of the other period.")
    difference: Mass = strawberry.field(description="Now minus before; null where one of them has no value.")
    ratio: float | None = strawberry.field(
        description="Difference divided by before; null where before is zero or one of them has no value or is partial."
    )

    @classmethod
    def of(cls, now: Figure, before: Figure, method: Method) -> Change:
        """Compare two figures."""
        found = compared(now, before, method)
        return cls(before=Emissions(figure=before), difference=mass(found.difference_ug), ratio=found.ratio)


@strawberry.type(description="What a node emitted in a period, as far as the viewer may see it.")
class EmissionsSummary:
    """Loads its series once; each breakdown is one more statement for all nodes of a list."""

    node_key: strawberry.Private[NodeKey]
    asked: strawberry.Private[Asked]

    async def _series(self, info: Info) -> Series:
        return await info.context.loaders.series_by_key.load(SeriesKey(self.node_key, self.asked))

    async def _page(
        self, info: Info, dimension: Dimension, order: CubeOrder, method: Method, first: int | None, after: str | None
    ) -> Page[CubeRow]:
        size = page_size(first)
        cursors = breakdown_cursors((dimension, *self.node_key, self.asked), order, method)
        key = cursors.read(after)
        wanted = CubePage(size + 1, method, order, key, each=True)
        try:
            rows = await info.context.loaders.breakdown_by_key.load(
                BreakdownKey(self.node_key, self.asked, dimension, wanted)
            )
        except cube.TooManyAccounts:
            raise too_many_accounts() from None
        return page_of(rows, size=size, key=lambda row: row.key(order), cursors=cursors, after=key)

    async def _spans(self, info: Info, granularity: Granularity, first_month: int = 1) -> list[EmissionsPoint]:
        points = (await self._series(info)).points
        return [EmissionsPoint.of(span) for span in spans.grouped(points, granularity, first_month=first_month)]

    @strawberry.field(description="Emissions of the whole period.")
    async def total(self, info: Info) -> Emissions:
        """Total."""
        return Emissions(figure=(await self._series(info)).total)

    @strawberry.field(description="Every month of the period, in order, those without a value too.")
    async def by_month(self, info: Info) -> list[EmissionsPoint]:
        """Months."""
        return await self._spans(info, Granularity.MONTH)

    @strawberry.field(description="Calendar quarters that the period touches, in order.")
    async def by_quarter(self, info: Info) -> list[EmissionsPoint]:
        """Quarters."""
        return await self._spans(info, Granularity.QUARTER)

    @strawberry.field(description="Years that the period touches, in order: calendar years, or fiscal years.")
    async def by_year(self, info: Info, fiscal_year_start: FiscalStart = 1) -> list[EmissionsPoint]:
        """Years."""
        return await self._spans(info, Granularity.YEAR, checked_fiscal_start(fiscal_year_start))

    @strawberry.field(description="The three provider scopes.")
    async def by_scope(self, info: Info, method: WithMethod = Method.LOCATION_BASED) -> list[ScopeEmissions]:
        """Scopes."""
        total = (await self._series(info)).total
        return [ScopeEmissions(scope=scope, mass=mass(total.ug(method, (scope,)))) for scope in Scope]

    @strawberry.field(description="Emissions by service.")
    async def by_service(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        order_by: InOrder = CubeOrder.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> ServiceEmissionsConnection:
        """Services."""
        page = await self._page(info, Dimension.SERVICE, order_by, method, first, after)
        return ServiceEmissionsConnection.of(page)

    @strawberry.field(description="Emissions by place.")
    async def by_location(
        self,
        info: Info,
        level: InLevel = LocationLevel.CLUSTER,
        first: First = None,
        after: After = None,
        order_by: InOrder = CubeOrder.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> LocationEmissionsConnection:
        """Places."""
        page = await self._page(info, Dimension(level.value), order_by, method, first, after)
        return LocationEmissionsConnection.of(page, level)

    @strawberry.field(description="Emissions by the group in which accounts stand directly.")
    async def by_account_group(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        order_by: InOrder = CubeOrder.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> AccountGroupEmissionsConnection:
        """Groups."""
        page = await self._page(info, Dimension.ACCOUNT_GROUP, order_by, method, first, after)
        return AccountGroupEmissionsConnection.of(page)

    @strawberry.field(description="Emissions by account.")
    async def by_account(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        order_by: InOrder = CubeOrder.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> AccountEmissionsConnection:
        """Accounts."""
        page = await self._page(info, Dimension.ACCOUNT, order_by, method, first, after)
        return AccountEmissionsConnection.of(page)

    @strawberry.field(description="Emissions by resource group; for nodes with at most 500 accounts.")
    async def by_resource_group(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        order_by: InOrder = CubeOrder.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> ResourceGroupEmissionsConnection:
        """Resource groups."""
        page = await self._page(info, Dimension.RESOURCE_GROUP, order_by, method, first, after)
        return ResourceGroupEmissionsConnection.of(page)

    @strawberry.field(description="The change against another period of the same length.")
    async def compared_with(
        self,
        info: Info,
        period: Annotated[Comparison, strawberry.argument(description="With which period to compare.")],
        base_year: Annotated[
            int | None, strawberry.argument(description="With BASE_YEAR: the calendar year to compare with.")
        ] = None,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> Change:
        """Comparison."""
        if (period is Comparison.BASE_YEAR) != (base_year is not None):
            raise bad_input("baseYear goes with BASE_YEAR, and only with that.", field="baseYear")
        if base_year is not None and not FIRST_YEAR <= base_year <= LAST_YEAR:
            raise bad_input(f"baseYear lies between {FIRST_YEAR} and {LAST_YEAR}.", field="baseYear")
        other = self.asked._replace(period=period.of(self.asked.period, base_year))
        before = await info.context.loaders.series_by_key.load(SeriesKey(self.node_key, other))
        return Change.of((await self._series(info)).total, before.total, method)

    @strawberry.field(description="The methods behind the total: more than one are never mixed in silence.")
    async def methodology_versions(
        self, info: Info
    ) -> list[Annotated[MethodologyVersion, strawberry.lazy("graphql_api.types.methodologies")]]:
        """Methods."""
        from graphql_api.types.methodologies import MethodologyVersion as Version  # noqa: PLC0415 it has summaries

        rows = await info.context.loaders.methods_by_series.load(SeriesKey(self.node_key, self.asked))
        return [Version.of(row) for row in rows]

    @strawberry.field(
        description="What third parties stated about the months and the methods behind the total, newest first; months"
        " that were published again since are marked as left behind."
    )
    async def verification_statements(
        self, info: Info
    ) -> list[Annotated[VerificationStatement, strawberry.lazy("graphql_api.types.statements")]]:
        """Statements."""
        from graphql_api.types.statements import VerificationStatement as Statement  # noqa: PLC0415 it has summaries

        rows = await info.context.loaders.statements_by_series.load(SeriesKey(self.node_key, self.asked))
        return [Statement.of(row) for row in rows]

    @strawberry.field(description="Whether nothing is left out of the total.")
    async def complete(self, info: Info) -> bool:
        """Completeness."""
        return not (await self._series(info)).omissions

    @strawberry.field(description="What is left out of the total, and why; empty if it is complete.")
    async def omissions(self, info: Info) -> list[Omission]:
        """Omissions."""
        return [Omission.of(omission) for omission in (await self._series(info)).omissions]


def checked_fiscal_start(month: int) -> int:
    """Check the first month of a year; BAD_USER_INPUT."""
    if not 1 <= month <= _MONTHS_OF_YEAR:
        raise bad_input("fiscalYearStart must lie between 1 and 12.", field="fiscalYearStart")
    return month
