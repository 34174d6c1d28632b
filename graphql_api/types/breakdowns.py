"""Breakdowns of a summary: what a row, an edge and a page of each is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from allocation.policies import NodeKey
from allocation.selectors import cube
from allocation.selectors.cube import CubeRow
from graphql_api.context import Context
from graphql_api.errors import Code, RefusedError
from graphql_api.pagination import Cursors, Page, PageInfo
from graphql_api.types.emissions import Emissions
from graphql_api.types.enums import CubeOrder, LocationLevel, Method

if TYPE_CHECKING:
    from graphql_api.types.nodes import Account, AccountGroup, ResourceGroup

Info = strawberry.Info[Context, None]


@strawberry.type(description="A service of a provider.")
class Service:
    """One service."""

    code: str = strawberry.field(description="The provider's code of the service.")
    name: str = strawberry.field(description="Display name; the code where the provider gives none.")
    category: str | None = strawberry.field(description="The provider's category; null where it gives none.")
    provider: str | None = strawberry.field(description="Code of the provider.")


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

    @classmethod
    def of(cls, page: Page[CubeRow]) -> Self:
        """Make the connection of a page."""
        edges = [ServiceEmissionsEdge(cursor=cursor, node=_service(row)) for cursor, row in page.rows]
        return cls(edges=edges, page_info=page.info)


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

    @classmethod
    def of(cls, page: Page[CubeRow], level: LocationLevel) -> Self:
        """Make the connection of a page."""
        edges = [LocationEmissionsEdge(cursor=cursor, node=_location(row, level)) for cursor, row in page.rows]
        return cls(edges=edges, page_info=page.info)


@strawberry.type(description="A node below the one asked for, in a breakdown.")
class NodeEmissionsEdge:
    """Relay edge with a figure."""

    cursor: str = strawberry.field(description="Place of the row in the list, for `after`.")
    emissions: Emissions = strawberry.field(description="Its emissions in the period, below the node asked for.")
    node_key: strawberry.Private[NodeKey | None]


@strawberry.type(description="A group in a breakdown.")
class AccountGroupEmissionsEdge(NodeEmissionsEdge):
    """Relay edge."""

    @strawberry.field(description="The group; null for accounts in no group (Miscellaneous).")
    async def node(self, info: Info) -> Annotated[AccountGroup, strawberry.lazy("graphql_api.types.nodes")] | None:
        """Group."""
        return await _node(info, self.node_key)  # type: ignore[return-value] # the key is that of a group


@strawberry.type(description="Emissions by the group in which accounts stand directly, one page of them.")
class AccountGroupEmissionsConnection:
    """Relay connection."""

    edges: list[AccountGroupEmissionsEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")

    @classmethod
    def of(cls, page: Page[CubeRow]) -> Self:
        """Make the connection of a page."""
        edges = [AccountGroupEmissionsEdge(**_edge(cursor, row)) for cursor, row in page.rows]
        return cls(edges=edges, page_info=page.info)


@strawberry.type(description="An account in a breakdown.")
class AccountEmissionsEdge(NodeEmissionsEdge):
    """Relay edge."""

    @strawberry.field(description="The account.")
    async def node(self, info: Info) -> Annotated[Account, strawberry.lazy("graphql_api.types.nodes")] | None:
        """Account."""
        return await _node(info, self.node_key)  # type: ignore[return-value] # the key is that of an account


@strawberry.type(description="Emissions by account, one page of them.")
class AccountEmissionsConnection:
    """Relay connection."""

    edges: list[AccountEmissionsEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")

    @classmethod
    def of(cls, page: Page[CubeRow]) -> Self:
        """Make the connection of a page."""
        edges = [AccountEmissionsEdge(**_edge(cursor, row)) for cursor, row in page.rows]
        return cls(edges=edges, page_info=page.info)


@strawberry.type(description="A resource group in a breakdown.")
class ResourceGroupEmissionsEdge(NodeEmissionsEdge):
    """Relay edge."""

    @strawberry.field(description="The resource group.")
    async def node(self, info: Info) -> Annotated[ResourceGroup, strawberry.lazy("graphql_api.types.nodes")] | None:
        """Resource group."""
        return await _node(info, self.node_key)  # type: ignore[return-value] # the key is that of a resource group


@strawberry.type(description="Emissions by resource group, one page of them.")
class ResourceGroupEmissionsConnection:
    """Relay connection."""

    edges: list[ResourceGroupEmissionsEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")

    @classmethod
    def of(cls, page: Page[CubeRow]) -> Self:
        """Make the connection of a page."""
        edges = [ResourceGroupEmissionsEdge(**_edge(cursor, row)) for cursor, row in page.rows]
        return cls(edges=edges, page_info=page.info)


def breakdown_cursors(of: tuple[object, ...], order: CubeOrder, method: Method) -> Cursors:
    """The cursors of a breakdown."""
    return Cursors((*of, order, method), (int if order is CubeOrder.EMISSIONS_DESC else str, str))


def too_many_accounts() -> RefusedError:
    """Say that the ledger is not read for so many accounts."""
    told = f"Resource groups and qualities are told for nodes with at most {cube.MAX_LEDGER_ACCOUNTS} accounts."
    return RefusedError(told, Code.COST_LIMIT_EXCEEDED, limit=cube.MAX_LEDGER_ACCOUNTS)


async def _node(info: Info, key: NodeKey | None) -> object:
    from graphql_api.types.nodes import node_type  # noqa: PLC0415 nodes have summaries, summaries have nodes

    row = None if key is None else await info.context.loaders.node_by_key.load(key)
    return None if row is None else node_type(row)


def _edge(cursor: str, row: CubeRow) -> dict[str, Any]:
    return {"cursor": cursor, "emissions": Emissions(figure=row.figure), "node_key": row.values[0].node}


def _service(row: CubeRow) -> ServiceEmissions:
    value = row.values[0]
    service = Service(code=value.code, name=value.name, category=value.kind, provider=value.provider)
    return ServiceEmissions(service=service, emissions=Emissions(figure=row.figure))


def _location(row: CubeRow, level: LocationLevel) -> LocationEmissions:
    value = row.values[0]
    location = Location(
        code=value.code or None, name=value.name, level=level, cluster_kind=value.kind, provider=value.provider
    )
    return LocationEmissions(location=location, emissions=Emissions(figure=row.figure))
