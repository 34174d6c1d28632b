"""A viewer's own exports, their files and schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, F, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import Coalesce, RowNumber

from allocation.models import Export, ExportFile, ExportFormat, ExportLayout, ExportSchedule, ExportState
from allocation.policies import Kind, NodeKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from accounts.policies import Viewer

__all__ = [
    "ExportFormat",
    "ExportLayout",
    "ExportState",
    "export",
    "exports",
    "files_of",
    "latest_of",
    "schedule",
    "schedules",
]

_PERCENT = 100
# Shown until the last byte is stored and the order is closed.
_ALMOST = 99


def exports(*, viewer: Viewer, limit: int, before: int | None = None, schedule_id: int | None = None) -> list[Export]:
    """The viewer's exports, newest first; one statement."""
    rows = _with_progress(viewer)
    if schedule_id is not None:
        rows = rows.filter(schedule_id=schedule_id)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[:limit])


def export(*, viewer: Viewer, export_id: int) -> Export | None:
    """One of the viewer's exports."""
    return _with_progress(viewer).filter(pk=export_id).first()


def schedules(*, viewer: Viewer, limit: int, before: int | None = None) -> list[ExportSchedule]:
    """The viewer's schedules, newest first, ended ones included."""
    rows = ExportSchedule.objects.filter(owner_id=viewer.user_id)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[:limit])


def schedule(*, viewer: Viewer, schedule_id: int) -> ExportSchedule | None:
    """One of the viewer's schedules."""
    return ExportSchedule.objects.filter(owner_id=viewer.user_id, pk=schedule_id).first()


def latest_of(*, viewer: Viewer, schedule_ids: Sequence[int]) -> dict[int, Export]:
    """The newest export of each of the viewer's schedules; one statement."""
    newest = Export.objects.filter(schedule=OuterRef("schedule")).order_by("-pk").values("pk")[:1]
    rows = _with_progress(viewer).filter(schedule_id__in=schedule_ids, pk=Subquery(newest))
    return {row.schedule_id: row for row in rows if row.schedule_id is not None}


def files_of(
    *, viewer: Viewer, export_ids: Sequence[int], limit: int, after: int | None = None
) -> dict[int, list[ExportFile]]:
    """The files of some of the viewer's exports, in the order in which they are written; one statement.

    Of each export at most `limit`, those after the id `after`.
    """
    rows = (
        ExportFile.objects.filter(export_id__in=export_ids, export__owner_id=viewer.user_id, pk__gt=after or 0)
        .annotate(place=Window(RowNumber(), partition_by="export_id", order_by="pk"))
        .filter(place__lte=limit)
        .select_related("export", "publication__provider", "publication__run__methodology_version")
        .order_by("pk")
    )
    found: dict[int, list[ExportFile]] = {export_id: [] for export_id in export_ids}
    for row in rows:
        found[row.export_id].append(row)
    return found


def node_of(row: Export | ExportSchedule) -> NodeKey | None:
    """The node that an order is restricted to."""
    return None if row.node_id is None else NodeKey(Kind(row.node_kind), row.node_id)


def percent_of(row: Export) -> int:
    """How far an export is: by rows read of those that the months have, so a month with many counts as many."""
    if row.state in {ExportState.READY, ExportState.EXPIRED}:
        return _PERCENT
    expected = int(getattr(row, "expected", 0))
    done = int(getattr(row, "done", 0)) + row.current_rows
    return min(_ALMOST, _PERCENT * done // expected) if expected else 0


def _with_progress(viewer: Viewer) -> QuerySet[Export]:
    # One more for each file, so that months without rows count, too.
    of_files = F("files__expected_rows") + 1
    return Export.objects.filter(owner_id=viewer.user_id).annotate(
        expected=Coalesce(Sum(of_files), 0),
        done=Coalesce(Sum(of_files, filter=Q(files__written_at__isnull=False)), 0),
        rows=Sum("files__rows"),
        size_bytes=Sum("files__size_bytes"),
        files_written=Count("files", filter=Q(files__written_at__isnull=False)),
        files_all=Count("files"),
    )
