"""What a node emitted in a period: the total, its parts, and what is left out."""

from __future__ import annotations

from typing import Annotated

import strawberry

from allocation.policies import NodeKey
from allocation.selectors import emissions, spans
from allocation.selectors.emissions import Cut, LocationShare, Series, ServiceShare
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import Asked, SeriesKey
from graphql_api.pagination import Cursors, PageInfo, page_of, page_size
from graphql_api.types.arguments import After, First, WithMethod
from graphql_api.types.emissions import Emissions, EmissionsPoint, Mass, Omission, mass
from graphql_api.types.enums import LocationLevel, Method, Order, Scope

Info = strawberry.Info[Context, None]
_MONTHS_OF_YEAR = 12

InOrder = Annotated[Order, strawberry.argument(description="How the rows are sorted.")]


@strawberry.type(description="A service of a provider.")
class Service:
    """One service."""

    code: str = strawberry.field(description="The provider's code of the service.")
    name: str = strawberry.field(description="Display name; the code where the provider gives none.")
    category: str | None = strawberry.field(description="The provider's category; null where it gives none.")
    provider: str = strawberry.field(description="Code of the provider.")


@strawberry.type(description="Emissions of one service.")
class ServiceEmissions:
    """A row of a breakdown by service."""

    service: Service = strawberry.field(description="The service.")
    emissions: Emissions = strawberry.field(description="Its emissions in the period.")


@strawberry.type(description="A service in a list.")
class ServiceEmissionsEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place of the row in the list, for `after`.")
    node: ServiceEmissions = strawberry.field(description="The row.")


@strawberry.type(description="Emissions by service, one page of them.")
class ServiceEmissionsConnection:
    """Relay connection."""

    edges: list[ServiceEmissionsEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="A place where computers run.")
class Location:
    """A country, region or cluster."""

    code: str | None = strawberry.field(
        description="ISO 3166-1 alpha-2 code of a country, or the provider's code; null for Global services and for"
        " places whose country or region the provider does not tell."
    )
    name: str = strawberry.field(description="Display name.")
    level: LocationLevel = strawberry.field(description="How finely the place is told apart.")
    cluster_kind: str | None = strawberry.field(
        description="region, edge, availability_zone or data_center; null above the cluster level."
    )
    provider: str | None = strawberry.field(description="Code of the provider; null for countries.")


@strawberry.type(description="Emissions of one place.")
class LocationEmissions:
    """A row of a breakdown by place."""

    location: Location = strawberry.field(description="The place.")
    emissions: Emissions = strawberry.field(description="Its emissions in the period.")


@strawberry.type(description="A place in a list.")
class LocationEmissionsEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place of the row in the list, for `after`.")
    node: LocationEmissions = strawberry.field(description="The row.")


@strawberry.type(description="Emissions by place, one page of them.")
class LocationEmissionsConnection:
    """Relay connection."""

    edges: list[LocationEmissionsEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="Emissions of one provider scope.")
class ScopeEmissions:
    """A row of a breakdown by scope."""

    scope: Scope = strawberry.field(description="The provider's scope.")
    mass: Mass = strawberry.field(description="Its emissions in the period.")


@strawberry.type(description="What a node emitted in a period, as far as the viewer may see it.")
class EmissionsSummary:
    """Loads its series once; each breakdown is one more statement."""

    node_key: strawberry.Private[NodeKey]
    asked: strawberry.Private[Asked]

    async def _series(self, info: Info) -> Series:
        return await info.context.loaders.series_by_key.load(SeriesKey(self.node_key, self.asked))

    @strawberry.field(description="Emissions of the whole period.")
    async def total(self, info: Info) -> Emissions:
        """Total."""
        return Emissions(figure=(await self._series(info)).total)

    @strawberry.field(description="Every month of the period, in order, those without a value too.")
    async def by_month(self, info: Info) -> list[EmissionsPoint]:
        """Months."""
        return [EmissionsPoint.of(span) for span in spans.months((await self._series(info)).points)]

    @strawberry.field(description="Calendar quarters that the period touches, in order.")
    async def by_quarter(self, info: Info) -> list[EmissionsPoint]:
        """Quarters."""
        return [EmissionsPoint.of(span) for span in spans.quarters((await self._series(info)).points)]

    @strawberry.field(description="Years that the period touches, in order: calendar years, or fiscal years.")
    async def by_year(
        self,
        info: Info,
        fiscal_year_start: Annotated[
            int, strawberry.argument(description="First month of the year, 1 to 12; 1 = calendar years.")
        ] = 1,
    ) -> list[EmissionsPoint]:
        """Years."""
        if not 1 <= fiscal_year_start <= _MONTHS_OF_YEAR:
            raise bad_input("fiscalYearStart must lie between 1 and 12.", field="fiscalYearStart")
        points = (await self._series(info)).points
        return [EmissionsPoint.of(span) for span in spans.years(points, first_month=fiscal_year_start)]

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
        order_by: InOrder = Order.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> ServiceEmissionsConnection:
        """Services."""
        size = page_size(first)
        cursors = _cursors("service", self, order_by, method, shape=(int,))
        key = cursors.read(after)
        rows = await info.context.call(
            emissions.by_service,
            question=(await info.context.loaders.question_by_asked.load(self.asked))[0],
            node=self.node_key,
            cut=Cut(size + 1, method, order_by, key),
            presence_of_total=(await self._series(info)).total.presence,
            restricted=(await info.context.loaders.question_by_asked.load(self.asked))[1],
        )
        page = page_of(rows, size=size, key=lambda row: _service_key(row, order_by), cursors=cursors, after=key)
        edges = [ServiceEmissionsEdge(cursor=cursor, node=_service(row)) for cursor, row in page.rows]
        return ServiceEmissionsConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="Emissions by place.")
    async def by_location(
        self,
        info: Info,
        level: Annotated[
            LocationLevel, strawberry.argument(description="How finely places are told apart.")
        ] = LocationLevel.CLUSTER,
        first: First = None,
        after: After = None,
        order_by: InOrder = Order.EMISSIONS_DESC,
        method: WithMethod = Method.LOCATION_BASED,
    ) -> LocationEmissionsConnection:
        """Places."""
        size = page_size(first)
        cursors = _cursors(f"location {level.name}", self, order_by, method, shape=(str, str))
        key = cursors.read(after)
        question, restricted = await info.context.loaders.question_by_asked.load(self.asked)
        rows = await info.context.call(
            emissions.by_location,
            question=question,
            node=self.node_key,
            level=level,
            cut=Cut(size + 1, method, order_by, key),
            presence_of_total=(await self._series(info)).total.presence,
            restricted=restricted,
        )
        page = page_of(rows, size=size, key=lambda row: _location_key(row, order_by), cursors=cursors, after=key)
        edges = [LocationEmissionsEdge(cursor=cursor, node=_location(row, level)) for cursor, row in page.rows]
        return LocationEmissionsConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="Whether nothing is left out of the total.")
    async def complete(self, info: Info) -> bool:
        """Completeness."""
        return not (await self._series(info)).omissions

    @strawberry.field(description="What is left out of the total, and why; empty if it is complete.")
    async def omissions(self, info: Info) -> list[Omission]:
        """Omissions."""
        return [Omission.of(omission) for omission in (await self._series(info)).omissions]


def _cursors(name: str, summary: EmissionsSummary, order: Order, method: Method, *, shape: tuple[type, ...]) -> Cursors:
    first: type = int if order is Order.EMISSIONS_DESC else str
    of = (name, *summary.node_key, summary.asked.period, summary.asked.codes, order.name, method.name)
    return Cursors(of, (first, *shape))


def _service_key(row: ServiceShare, order: Order) -> tuple[str | int, ...]:
    return (row.total_ug if order is Order.EMISSIONS_DESC else row.name, row.service_id)


def _service(row: ServiceShare) -> ServiceEmissions:
    service = Service(code=row.code, name=row.name, category=row.category or None, provider=row.provider_code)
    return ServiceEmissions(service=service, emissions=Emissions(figure=row.figure))


def _location_key(row: LocationShare, order: Order) -> tuple[str | int, ...]:
    return (row.total_ug if order is Order.EMISSIONS_DESC else row.name, row.code, row.provider_code)


def _location(row: LocationShare, level: LocationLevel) -> LocationEmissions:
    location = Location(
        code=row.code or None,
        name=row.name or "Unknown",
        level=level,
        cluster_kind=row.kind or None,
        provider=row.provider_code or None,
    )
    return LocationEmissions(location=location, emissions=Emissions(figure=row.figure))
