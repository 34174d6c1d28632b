"""Root fields that lead into the hierarchy."""

from __future__ import annotations

from typing import Annotated

import strawberry

from allocation.selectors import exports as exports_selector
from allocation.selectors import nodes, runs
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.pagination import Cursors, page_of, page_size
from graphql_api.scalars import read_global_id
from graphql_api.types.arguments import After, First
from graphql_api.types.enums import Kind
from graphql_api.types.exports import Export, ExportSchedule
from graphql_api.types.nodes import (
    HierarchyNode,
    HierarchyNodeConnection,
    HierarchyNodeEdge,
    Node,
    key_of,
    node_type,
)
from graphql_api.types.runs import AllocationRun
from graphql_api.types.viewer import Viewer

Info = strawberry.Info[Context, None]
GlobalId = Annotated[strawberry.ID, strawberry.argument(description="A global id.")]
MAX_SEARCH_CHARACTERS = 100


@strawberry.input(description="A node by the provider's own id.")
class ExternalIdInput:
    """Names a node."""

    kind: Kind = strawberry.field(description="Kind of the node.")
    external_id: str = strawberry.field(description="The provider's id; for resource groups the code.")
    provider: str | None = strawberry.field(default=None, description="Code of the provider; not for enterprises.")
    within: str | None = strawberry.field(
        default=None,
        description="External id of what the node is unique in: a group's directory, a resource group's account.",
    )


@strawberry.type
class HierarchyQuery:
    """Root fields."""

    @strawberry.field(description="Who asks: roles, and the topmost nodes that may be seen.")
    def viewer(self, info: Info) -> Viewer:
        """Viewer."""
        user = info.context.user
        return Viewer(
            username=user.get_username(),
            display_name=user.get_full_name() or user.get_username(),
            is_operator=info.context.viewer.is_operator,
            scopes=None if info.context.scopes is None else sorted(info.context.scopes),
        )

    @strawberry.field(
        description="A node of the hierarchy, an export, a schedule or a run by its global id; null for what is hidden"
        " or absent (Relay)."
    )
    async def node(self, info: Info, id: GlobalId) -> Node | None:
        """Node."""
        other = await _other(info, id)
        if other is not None:
            return other
        key = key_of(id)
        found = None if key is None else await info.context.loaders.node_by_key.load(key)
        return None if found is None else node_type(found)

    @strawberry.field(
        description="Nodes whose name or external id contains a text, ignoring case, by name; only those with a role of"
        " the viewer on or above them."
    )
    async def search(
        self,
        info: Info,
        text: Annotated[str, strawberry.argument(description="1 to 100 characters.")],
        kinds: Annotated[
            list[Kind] | None, strawberry.argument(description="Only these kinds; MISCELLANEOUS is never found.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> HierarchyNodeConnection:
        """Search."""
        if not 1 <= len(text.strip()) <= MAX_SEARCH_CHARACTERS:
            raise bad_input(f"text has 1 to {MAX_SEARCH_CHARACTERS} characters.", field="text")
        size = page_size(first)
        wanted = tuple(kind for kind in Kind if kind is not Kind.MISCELLANEOUS and (kinds is None or kind in kinds))
        cursors = Cursors(("search", text.strip(), wanted), (str, str, int))
        key = cursors.read(after)
        found = await info.context.call(
            nodes.search, viewer=info.context.viewer, text=text, kinds=wanted, limit=size + 1, after=key
        )
        page = page_of(found, size=size, key=lambda hit: hit.key, cursors=cursors, after=key)
        edges = [HierarchyNodeEdge(cursor=cursor, node=node_type(hit.node)) for cursor, hit in page.rows]
        return HierarchyNodeConnection(edges=edges, page_info=page.info)

    @strawberry.field(
        description="A node of the hierarchy by its global id or the provider's own; null for what is hidden or absent."
    )
    async def hierarchy_node(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Global id; or give `by`.")] = None,
        by: Annotated[ExternalIdInput | None, strawberry.argument(description="External id; or give `id`.")] = None,
    ) -> HierarchyNode | None:
        """Hierarchy node."""
        if (id is None) == (by is None):
            raise bad_input("Give either id or by.", field="id")
        if id is not None:
            key = key_of(id)
            if key is None:
                raise bad_input("id is not the id of a node of the hierarchy.", field="id")
            found = await info.context.loaders.node_by_key.load(key)
        else:
            found = await info.context.call(
                nodes.by_external_id,
                viewer=info.context.viewer,
                kind=by.kind,  # type: ignore[union-attr] # one of the two is given
                external_id=by.external_id,  # type: ignore[union-attr]
                provider=by.provider,  # type: ignore[union-attr]
                within=by.within,  # type: ignore[union-attr]
            )
        return None if found is None else node_type(found)


async def _other(info: Info, text: str) -> Node | None:
    """What is no node of the hierarchy and has an id."""
    kind, pk = read_global_id(text) or ("", 0)
    viewer = info.context.viewer
    if kind == "Export":
        export = await info.context.call(exports_selector.export, viewer=viewer, export_id=pk)
        return None if export is None else Export.of(export)
    if kind == "ExportSchedule":
        schedule = await info.context.call(exports_selector.schedule, viewer=viewer, schedule_id=pk)
        return None if schedule is None else ExportSchedule.of(schedule)
    if kind == "AllocationRun":
        run = await info.context.call(runs.run, viewer=viewer, run_id=pk)
        return None if run is None else AllocationRun.of(run)
    return None
