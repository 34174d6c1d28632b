"""Exports and schedules of everybody: how far they are, what they hold, and a way to stop them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from allocation.admin.asking import ask
from allocation.admin.reading import Reading, ReadingInline
from allocation.models import Export, ExportFile, ExportSchedule
from allocation.services.exports import cancel_export, end_schedule

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from accounts.policies import Viewer


class ExportFileInline(ReadingInline):
    """The files of an export; operators see that they exist, not what is in them."""

    model = ExportFile
    fields = ["path", "rows", "size_bytes", "sha256", "written_at"]
    readonly_fields = ["path", "rows", "size_bytes", "sha256", "written_at"]


@admin.register(Export)
class ExportAdmin(Reading):
    """Orders for files; those under way can be cancelled."""

    list_display = [
        "id", "owner", "node_kind", "node_id", "layout", "format", "start", "bound", "state", "files_written",
        "requested_at", "finished_at", "failure_code",
    ]  # fmt: skip
    list_filter = ["state", "layout", "format"]
    search_fields = ["=id", "owner__username", "failure_code"]
    list_select_related = ["owner"]
    inlines = [ExportFileInline]
    actions = ["cancel"]

    @admin.display(description="files written")
    def files_written(self, export: Export) -> str:
        """How many of the files are written."""
        written = [file.written_at is not None for file in export.files.all()]
        return f"{sum(written)} of {len(written)}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Export]:
        """Read the files of a page with one statement."""
        return super().get_queryset(request).prefetch_related("files")

    @admin.action(description="Cancel", permissions=["view"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Export]) -> None:
        """Cancel the chosen exports; their files are deleted."""
        ask(self, request, rows, _cancel)


def _cancel(viewer: Viewer, export: Export) -> str:
    return f"{cancel_export(viewer=viewer, export_id=export.pk)} is told to stop"


@admin.register(ExportFile)
class ExportFileAdmin(Reading):
    """Files of all exports."""

    list_display = ["path", "export", "rows", "size_bytes", "written_at"]
    search_fields = ["path", "=export__id"]
    list_select_related = ["export"]


@admin.register(ExportSchedule)
class ExportScheduleAdmin(Reading):
    """Orders that are carried out after every publication; they can be ended."""

    list_display = ["id", "owner", "node_kind", "node_id", "layout", "format", "start", "created_at", "ended_at"]
    list_filter = ["layout", "format", ("ended_at", admin.EmptyFieldListFilter)]
    search_fields = ["=id", "owner__username"]
    list_select_related = ["owner"]
    actions = ["end"]

    @admin.action(description="End", permissions=["view"])
    def end(self, request: HttpRequest, rows: QuerySet[ExportSchedule]) -> None:
        """End the chosen schedules; what they ordered goes on."""
        ask(self, request, rows, _end)


def _end(viewer: Viewer, schedule: ExportSchedule) -> str:
    return f"{end_schedule(viewer=viewer, schedule_id=schedule.pk)} has ended"
