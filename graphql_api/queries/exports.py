"""Root fields about the viewer's own exports."""

from __future__ import annotations

from typing import Annotated

import strawberry

from allocation.selectors import exports as exports_selector
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.pagination import Cursors, page_of, page_size
from graphql_api.scalars import read_global_id
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
    async def exports(
        self,
        info: Info,
        schedule: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only what this schedule ordered, by its global id.")
        ] = None,
        first: First = None,
        after: After = None,
    ) -> ExportConnection:
        """Exports."""
        return await exports_page(info, first, after, None if schedule is None else _schedule_id(schedule))

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


def _schedule_id(text: str) -> int:
    found = read_global_id(text)
    if found is None or found[0] != "ExportSchedule":
        raise bad_input("schedule is not the id of a schedule.", field="schedule")
    return found[1]
