"""Factors that published months were computed with."""

from __future__ import annotations

import strawberry

from allocation.selectors.factors import Factor
from graphql_api.pagination import PageInfo
from graphql_api.scalars import Month
from graphql_api.types.enums import FactorKind


@strawberry.type(description="A factor that published months were computed with.")
class EmissionFactor:
    """A factor."""

    row: strawberry.Private[Factor]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="The month that was computed with it.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.month)

    @strawberry.field(description="What it multiplies.")
    def kind(self) -> FactorKind:
        """Kind."""
        return FactorKind(self.row.kind)

    @strawberry.field(description="Code of the cluster; null where it belongs to none in particular.")
    def cluster(self) -> str | None:
        """Cluster."""
        return self.row.cluster or None

    @strawberry.field(description="Type of an instrument, or the gas; null for the others.")
    def name(self) -> str | None:
        """Name."""
        return self.row.name or None

    @strawberry.field(description="The exact decimal.")
    def value(self) -> str:
        """Value."""
        return format(self.row.value.normalize(), "f")

    @strawberry.field(description="Unit of the value.")
    def unit(self) -> str:
        """Unit."""
        return self.row.unit

    @strawberry.field(description="Month that it is of, or set of warming potentials.")
    def vintage(self) -> str:
        """Vintage."""
        return self.row.vintage

    @strawberry.field(description="Table of the provider's package that it stands in.")
    def source(self) -> str:
        """Source."""
        return self.row.source


@strawberry.type(description="A factor in a list.")
class EmissionFactorEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: EmissionFactor = strawberry.field(description="The factor.")


@strawberry.type(description="Factors, one page of them, by package, kind and cluster.")
class EmissionFactorConnection:
    """Relay connection."""

    edges: list[EmissionFactorEdge] = strawberry.field(description="The factors of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
