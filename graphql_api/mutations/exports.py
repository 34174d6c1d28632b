"""Mutations of exports: order once, order after every publication, cancel."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from allocation import tasks
from allocation.selectors import exports as exports_selector
from allocation.services import exports
from graphql_api.context import Context
from graphql_api.mutations.access import node_key
from graphql_api.mutations.inputs import MutationInput, checked_id
from graphql_api.mutations.outcome import (
    MutationRefusal,
    NotFound,
    QuotaExceeded,
    Refused,
    ValidationFailed,
    carried_out,
)
from graphql_api.scalars import Month
from graphql_api.types.arguments import PeriodInput
from graphql_api.types.enums import ExportFormat, ExportLayout
from graphql_api.types.exports import SCOPE, Export, ExportSchedule

Info = strawberry.Info[Context, None]
_NODE = "Global id of the node whose rows are wanted; null = everything that the viewer may see."


@strawberry.input(description="Orders the published months of a period as files.")
class RequestExportInput(MutationInput):
    """What to write."""

    period: PeriodInput = strawberry.field(description="The months; those that are not published are left out.")
    layout: ExportLayout = strawberry.field(default=ExportLayout.CANOPY, description="Which columns the files have.")
    format: ExportFormat = strawberry.field(default=ExportFormat.CSV, description="How the rows are written.")
    node_id: strawberry.ID | None = strawberry.field(default=None, description=_NODE)


@strawberry.input(description="Orders all published months now, and each month again whenever it is published.")
class ScheduleExportInput(MutationInput):
    """What to write, from when."""

    layout: ExportLayout = strawberry.field(default=ExportLayout.CANOPY, description="Which columns the files have.")
    format: ExportFormat = strawberry.field(default=ExportFormat.CSV, description="How the rows are written.")
    node_id: strawberry.ID | None = strawberry.field(default=None, description=_NODE)
    start: Month | None = strawberry.field(default=None, name="from", description="First month; null = all history.")


@strawberry.input(description="Cancels an export, or ends a schedule.")
class CancelExportInput(MutationInput):
    """Which one."""

    export_id: strawberry.ID = strawberry.field(description="Global id of the export, or of the schedule to end.")


@strawberry.type(description="The export as it is now.")
class ExportPayload:
    """The result."""

    export: Export = strawberry.field(description="The export; ask `node(id:)` for it again to follow its progress.")


@strawberry.type(description="The schedule as it is now.")
class ExportSchedulePayload:
    """The result."""

    schedule: ExportSchedule = strawberry.field(description="The schedule; `latestExport` is what it ordered last.")


RequestExportResult = Annotated[
    ExportPayload | Refused | ValidationFailed | QuotaExceeded,
    strawberry.union("RequestExportResult", description="The export, or why nothing was ordered."),
]
ScheduleExportResult = Annotated[
    ExportSchedulePayload | Refused | ValidationFailed | QuotaExceeded,
    strawberry.union("ScheduleExportResult", description="The schedule, or why there is none."),
]
CancelExportResult = Annotated[
    ExportPayload | ExportSchedulePayload | Refused,
    strawberry.union("CancelExportResult", description="The export or schedule, or why it goes on."),
]


@strawberry.type
class ExportsMutation:
    """Mutations."""

    @strawberry.mutation(description="Orders files of the published months of a period; a worker writes them.")
    async def request_export(
        self, info: Info, input: Annotated[RequestExportInput, strawberry.argument(description="What to do.")]
    ) -> RequestExportResult:
        """Order."""
        wanted, period = _order(input), input.period.period()

        def act() -> dict[str, Any]:
            made = exports.request_export(viewer=info.context.viewer, order=wanted, period=period)
            tasks.wake_export(made.pk)
            return {"id": made.pk}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        return done if isinstance(done, MutationRefusal) else await _export(info, int(done["id"]))  # type: ignore[return-value] # one of the union

    @strawberry.mutation(description="Orders all history now, and every month again whenever it is published.")
    async def schedule_export(
        self, info: Info, input: Annotated[ScheduleExportInput, strawberry.argument(description="What to do.")]
    ) -> ScheduleExportResult:
        """Schedule."""
        wanted = _order(input)

        def act() -> dict[str, Any]:
            made = exports.schedule_export(viewer=info.context.viewer, order=wanted, start=input.start)
            for export_id in made.exports.values_list("pk", flat=True):
                tasks.wake_export(export_id)
            return {"id": made.pk}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        return done if isinstance(done, MutationRefusal) else await _schedule(info, int(done["id"]))  # type: ignore[return-value] # one of the union

    @strawberry.mutation(
        description="Cancels an export, whose files are deleted, or ends a schedule, whose exports stay."
    )
    async def cancel_export(
        self, info: Info, input: Annotated[CancelExportInput, strawberry.argument(description="What to do.")]
    ) -> CancelExportResult:
        """Cancel."""
        kind, pk = checked_id(input.export_id, "Export", "ExportSchedule", field="exportId")

        def act() -> dict[str, Any]:
            if kind == "Export":
                exports.cancel_export(viewer=info.context.viewer, export_id=pk)
            else:
                exports.end_schedule(viewer=info.context.viewer, schedule_id=pk)
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return await (_export(info, pk) if kind == "Export" else _schedule(info, pk))


def _order(given: RequestExportInput | ScheduleExportInput) -> exports.Order:
    node = None if given.node_id is None else node_key(given.node_id, "nodeId").ref
    return exports.Order(node, given.layout, given.format)


async def _export(info: Info, export_id: int) -> ExportPayload | NotFound:
    row = await info.context.call(exports_selector.export, viewer=info.context.viewer, export_id=export_id)
    if row is None:  # somebody else's, cancelled by an operator
        return NotFound(message="the export is somebody else's", code="NOT_FOUND", field=None)
    return ExportPayload(export=Export.of(row))


async def _schedule(info: Info, schedule_id: int) -> ExportSchedulePayload | NotFound:
    row = await info.context.call(exports_selector.schedule, viewer=info.context.viewer, schedule_id=schedule_id)
    if row is None:
        return NotFound(message="the schedule is somebody else's", code="NOT_FOUND", field=None)
    return ExportSchedulePayload(schedule=ExportSchedule.of(row))
