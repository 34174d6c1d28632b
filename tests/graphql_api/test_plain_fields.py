"""Fields with plain resolvers answer what Strawberry's resolvers would, and those that need more keep theirs."""

from __future__ import annotations

import asyncio
import enum
from typing import Annotated, Any

import pytest
import strawberry

from graphql_api.plain_fields import shorten
from graphql_api.schema import schema


@strawberry.enum
class Colour(enum.Enum):
    """Values of arguments."""

    RED = "r"
    GREEN = "g"


@strawberry.type
class Leaf:
    """Plain fields, and some that are not."""

    size: int
    inner_name: str = strawberry.field(name="called", default="oak")

    @strawberry.field
    def plain(self) -> int:
        return self.size + 1

    @strawberry.field
    def painted(
        self,
        first_colour: Annotated[Colour, strawberry.argument(description="one")] = Colour.RED,
        others: list[Colour] | None = None,
    ) -> str:
        return f"{first_colour!r} {others!r} {self.size}"

    @strawberry.field
    def counted(self, times: int) -> int:
        return self.size * times

    @strawberry.field
    def informed(self, info: strawberry.Info) -> str:
        return f"{info.field_name} {self.size}"

    @strawberry.field
    async def awaited(self) -> int:
        return self.size


@strawberry.type
class Query:
    """A root."""

    @strawberry.field
    def leaf(self) -> Leaf:
        return Leaf(size=3)


QUERY = """query ($green: Colour!, $list: [Colour!]) { leaf {
  size called plain informed awaited counted(times: 2)
  painted
  given: painted(firstColour: GREEN)
  variable: painted(firstColour: $green, others: $list)
  literal: painted(others: [RED, GREEN])
  none: painted(others: null)
} }"""


@pytest.mark.parametrize("variables", [{"green": "GREEN"}, {"green": "GREEN", "list": ["GREEN", "RED"]}])
def test_answers_do_not_change(variables: dict[str, Any]) -> None:
    usual, short = strawberry.Schema(query=Query), strawberry.Schema(query=Query)
    assert shorten(short) == {"Query.leaf", "Leaf.size", "Leaf.called", "Leaf.plain", "Leaf.painted"}
    expected = asyncio.run(usual.execute(QUERY, variable_values=variables))
    found = asyncio.run(short.execute(QUERY, variable_values=variables))
    assert expected.errors is None
    assert found.errors is None
    assert found.data == expected.data
    assert found.data is not None
    assert found.data["leaf"]["given"] == "<Colour.GREEN: 'g'> None 3"


def test_amounts_have_plain_resolvers() -> None:
    plain = shorten(schema)
    assert {"Emissions.kgCO2e", "Emissions.scope1", "Emissions.status", "Mass.microgramsCO2e"} <= plain
