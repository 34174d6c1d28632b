"""Root fields about the viewer's own exports."""

from __future__ import annotations

import strawberry

from allocation.selectors import exports as exports_selector
from graphql_api.context import Context
from graphql_api.pagination import Cursors, page_of, page_size
from graphql_api.types.arguments import After, First
from graphql_api.types.exports import (
    ExportConnection,
    ExportSchedule,
    ExportScheduleConnection,
    ExportScheduleEdge,
    exports_page,
)

Info = strawberry.Info[Context, None]


@strawberry.type
class ExportsQuery:
    """Root fields."""

    @strawberry.field(description="The viewer's own exports, newest first, with their progress in percent.")
    async def exports(self, info: Info, first: First = None, after: After = None) -> ExportConnection:
        """Exports."""
        return await exports_page(info, first, after)

    @strawberry.field(description="The viewer's own schedules, newest first, ended ones included.")
    async def export_schedules(self, info: Info, first: First = None, after: After = None) -> ExportScheduleConnection:
        """Schedules."""
        size, cursors = page_size(first), Cursors(("schedules",), (int,))
        place = cursors.read(after)
        rows = await info.context.call(
            exports_selector.schedules,
            viewer=info.context.viewer,
            limit=size + 1,
            before=None if place is None else int(place[0]),
        )
        page = page_of(rows, size=size, key=lambda row: (row.pk,), cursors=cursors, after=place)
        edges = [ExportScheduleEdge(cursor=cursor, node=ExportSchedule.of(row)) for cursor, row in page.rows]
        return ExportScheduleConnection(edges=edges, page_info=page.info)
