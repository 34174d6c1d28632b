"""Who asks."""

from __future__ import annotations

import strawberry

from allocation.selectors import nodes
from graphql_api.context import Context
from graphql_api.limits import MAX_PAGE
from graphql_api.types.nodes import HierarchyNode, node_type

Info = strawberry.Info[Context, None]


@strawberry.type(description="A node on which a role of the viewer stands, and why.")
class ViewerRole:
    """A role."""

    node: HierarchyNode = strawberry.field(description="The node; everything below it can be read too.")
    role: str = strawberry.field(description="viewer, administrator or operator.")
    why: str = strawberry.field(
        description="granted; management_account or delegated_administrator, where a role on an account extends to the"
        " directory or subtree; operator."
    )


@strawberry.type(description="The person or machine that asks.")
class Viewer:
    """The viewer."""

    username: str = strawberry.field(description="Name to sign in with.")
    display_name: str = strawberry.field(description="Full name; the user name where there is none.")
    is_operator: bool = strawberry.field(
        description="Whether the viewer operates the installation and sees every node."
    )
    scopes: list[str] | None = strawberry.field(
        description="What the bearer token may be used for; null for a browser session, which is not limited."
    )

    @strawberry.field(
        description="The topmost nodes that the viewer may see, at most 100, and why. For operators: the enterprises."
    )
    async def roles(self, info: Info) -> list[ViewerRole]:
        """Roles."""
        found = await info.context.call(nodes.topmost, viewer=info.context.viewer, limit=MAX_PAGE)
        return [ViewerRole(node=node_type(top.node), role=top.role, why=top.why) for top in found]
