"""Methods of allocation and their versions."""

from __future__ import annotations

from datetime import datetime

import strawberry

from allocation.selectors.methodologies import Methodology
from graphql_api.context import Context
from graphql_api.pagination import PageInfo
from graphql_api.scalars import Month, global_id
from graphql_api.types.nodes import Node
from graphql_api.types.statements import VerificationStatement

Info = strawberry.Info[Context, None]


@strawberry.type(description="A version of a provider's allocation method; binds for ever once a month is published.")
class MethodologyVersion(Node):
    """A version."""

    row: strawberry.Private[Methodology]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider_code

    @strawberry.field(description="Name of the method.")
    def name(self) -> str:
        """Name."""
        return self.row.name

    @strawberry.field(description="Its version.")
    def version(self) -> str:
        """Version."""
        return self.row.version

    @strawberry.field(description="Style of the method: aws-v2, alibaba, ibm or custom.")
    def preset(self) -> str:
        """Preset."""
        return self.row.preset

    @strawberry.field(description="Set of global warming potentials, for example AR6.")
    def gwp_set(self) -> str:
        """GWP set."""
        return self.row.gwp_set

    @strawberry.field(description="Effective options, as in the package format.")
    def options(self) -> list[MethodologyOption]:
        """Options."""
        return [MethodologyOption(name=name, value=_text(value)) for name, value in sorted(self.row.options.items())]

    @strawberry.field(description="When a month was first published with it.")
    def bound_at(self) -> datetime | None:
        """Binding."""
        return self.row.bound_at

    @strawberry.field(description="Months that are published with it now, in order.")
    def months(self) -> list[Month]:
        """Months."""
        return [Month(month) for month in self.row.months]

    @strawberry.field(description="What third parties stated about this version, newest first.")
    async def verification_statements(self, info: Info) -> list[VerificationStatement]:
        """Statements."""
        rows = await info.context.loaders.statements_by_method.load(self.row.id)
        return [VerificationStatement.of(row) for row in rows]

    @classmethod
    def of(cls, row: Methodology) -> MethodologyVersion:
        """Convert."""
        return cls(id=strawberry.ID(global_id("MethodologyVersion", row.id)), row=row)


@strawberry.type(description="An option of a method.")
class MethodologyOption:
    """An option."""

    name: str = strawberry.field(description="Its name in the package format.")
    value: str = strawberry.field(description="Its value; lists are separated by commas.")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@strawberry.type(description="A version of a method in a list.")
class MethodologyVersionEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: MethodologyVersion = strawberry.field(description="The version.")


@strawberry.type(description="Versions of methods, one page of them, oldest first.")
class MethodologyVersionConnection:
    """Relay connection."""

    edges: list[MethodologyVersionEdge] = strawberry.field(description="The versions of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
