"""Leaves that a restatement changed."""

from __future__ import annotations

import strawberry

from allocation.selectors.restatements import LeafDifference
from graphql_api.pagination import PageInfo
from graphql_api.scalars import BigInt


@strawberry.type(description="What a line of a leaf was and is.")
class LineDifference:
    """A line."""

    line: str = strawberry.field(description="Code of the line in the package format; energy_wh is electricity.")
    unit: str = strawberry.field(description="Unit of the integers: ug CO2e or Wh.")
    before: BigInt | None = strawberry.field(description="As it was published before; null where it did not exist.")
    after: BigInt | None = strawberry.field(description="As it was published then; null where it does not exist.")
    difference: BigInt = strawberry.field(description="After - before.")


@strawberry.type(description="A leaf that a restatement changed.")
class LeafChange:
    """A leaf."""

    account: str = strawberry.field(description="The provider's id of the account.")
    resource_group: str = strawberry.field(description="Code of the resource group.")
    service: str = strawberry.field(description="Code of the service.")
    cluster: str = strawberry.field(description="Code of the cluster.")
    lines: list[LineDifference] = strawberry.field(description="Lines that changed.")

    @classmethod
    def of(cls, row: LeafDifference) -> LeafChange:
        """Convert."""
        return cls(
            account=row.key.account,
            resource_group=row.key.resource_group,
            service=row.key.service,
            cluster=row.key.cluster,
            lines=[
                LineDifference(
                    line=one.line,
                    unit="Wh" if one.line == "energy_wh" else "ug CO2e",
                    before=None if one.before is None else BigInt(one.before),
                    after=None if one.after is None else BigInt(one.after),
                    difference=BigInt((one.after or 0) - (one.before or 0)),
                )
                for one in row.lines
            ],
        )


@strawberry.type(description="A leaf in a list.")
class LeafChangeEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: LeafChange = strawberry.field(description="The leaf.")


@strawberry.type(description="Leaves that a restatement changed, one page of them, by their codes.")
class LeafChangeConnection:
    """Relay connection."""

    edges: list[LeafChangeEdge] = strawberry.field(description="The leaves of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
