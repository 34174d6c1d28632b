"""Things that are about one month of one provider."""

from __future__ import annotations

from typing import Any

import strawberry

from graphql_api.scalars import Month
from graphql_api.types.nodes import Node


@strawberry.type(description="Something about a month of a provider.")
class OfMonth(Node):
    """Common to runs and restatements; never a type of its own in the schema."""

    row: strawberry.Private[Any]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return str(self.row.provider_code)

    @strawberry.field(description="The month.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.month)


@strawberry.type(description="Something that publishes a month again.")
class OfCause(OfMonth):
    """Common to restatements and what was proposed as one; never a type of its own in the schema."""

    @strawberry.field(description="data, factor, method, hierarchy or error.")
    def cause(self) -> str:
        """Cause."""
        return str(self.row.cause)
