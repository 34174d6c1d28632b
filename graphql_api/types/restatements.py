"""Months that were published again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from allocation.policies import NodeKey
from allocation.selectors import restatements as restatements_selector
from allocation.selectors.restatements import Changed, LeafKey, RestatedMonth
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.loaders import LeavesKey
from graphql_api.pagination import Cursors, PageInfo, page_of, page_size
from graphql_api.scalars import global_id
from graphql_api.types.arguments import After, First
from graphql_api.types.emissions import Emissions
from graphql_api.types.leaves import LeafChange, LeafChangeConnection, LeafChangeEdge
from graphql_api.types.months import OfCause
from graphql_api.types.nodes import key_of

Info = strawberry.Info[Context, None]


@strawberry.type(description="By how much a node's total of the month changed.")
class RestatementChange:
    """Before and after."""

    before: Emissions = strawberry.field(description="As it was published before.")
    after: Emissions = strawberry.field(description="As it was published then.")


@strawberry.type(description="A month that was published again.")
class Restatement(OfCause):
    """A restatement."""

    row: strawberry.Private[RestatedMonth]

    @strawberry.field(description="The provider's reason.")
    def reason(self) -> str:
        """Reason."""
        return self.row.reason

    @strawberry.field(description="When it was published.")
    def published_at(self) -> datetime:
        """Publication."""
        return self.row.published_at

    @strawberry.field(description="The method, as name@version.")
    def methodology(self) -> str:
        """Methodology."""
        return self.row.methodology

    @strawberry.field(description="The method before, as name@version.")
    def previous_methodology(self) -> str:
        """Methodology before."""
        return self.row.previous_methodology

    @strawberry.field(description="User name of who asked for it; null for the system, and for all but operators.")
    def author(self) -> str | None:
        """Author."""
        return self.row.author

    @strawberry.field(
        description="User name of the second operator; null if none was needed, and for all but operators."
    )
    def approver(self) -> str | None:
        """Approver."""
        return self.row.approver

    @strawberry.field(
        description="The leaves below a node that changed, with the integers before and after, as far as the viewer may"
        " see them. Of a node with more than 500 accounts ask one further down. A restatement with the cause hierarchy"
        " changes no leaf."
    )
    async def leaves(
        self,
        info: Info,
        node_id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the node.")],
        first: First = None,
        after: After = None,
    ) -> LeafChangeConnection:
        """Leaves."""
        node: NodeKey | None = key_of(node_id)
        if node is None:
            raise bad_input("nodeId is not the id of a node of the hierarchy.", field="nodeId")
        size = page_size(first)
        cursors = Cursors(("restated leaves", self.row.id, node), (str, str, str, str))
        key = cursors.read(after)
        after_key = None if key is None else LeafKey(*map(str, key))
        try:
            rows = await info.context.loaders.leaves_by_key.load(
                LeavesKey(Changed(node, self.row), size + 1, after_key)
            )
        except restatements_selector.TooManyLeaves:
            most = restatements_selector.MAX_LEAF_ACCOUNTS
            raise bad_input(f"Leaves are listed for at most {most} accounts.", field="nodeId", limit=most) from None
        page = page_of(rows, size=size, key=lambda row: tuple(row.key), cursors=cursors, after=key)
        edges = [LeafChangeEdge(cursor=cursor, node=LeafChange.of(row)) for cursor, row in page.rows]
        return LeafChangeConnection(edges=edges, page_info=page.info)

    @strawberry.field(description="By how much the total of a node changed, as far as the viewer may see it.")
    async def change(
        self, info: Info, node_id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the node.")]
    ) -> RestatementChange:
        """Change."""
        key: NodeKey | None = key_of(node_id)
        if key is None:
            raise bad_input("nodeId is not the id of a node of the hierarchy.", field="nodeId")
        before, after = await info.context.loaders.figures_by_restatement.load(Changed(key, self.row))
        return RestatementChange(before=Emissions(figure=before), after=Emissions(figure=after))

    @classmethod
    def of(cls, row: RestatedMonth) -> Restatement:
        """Convert."""
        return cls(id=strawberry.ID(global_id("Restatement", row.id)), row=row)


@strawberry.type(description="A restatement in a list.")
class RestatementEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: Restatement = strawberry.field(description="The restatement.")


@strawberry.type(description="Restatements, one page of them, newest first.")
class RestatementConnection:
    """Relay connection."""

    edges: list[RestatementEdge] = strawberry.field(description="The restatements of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
