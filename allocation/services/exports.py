"""Ordering files: once, or after every publication; cancelling; what a schedule has to export next."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from accounts.models import NodeKind, NodeRef
from accounts.models.grants import NODE_MODELS
from accounts.months import month_of, shift
from accounts.policies import viewer_of
from accounts.services.quotas import QuotaExceeded
from accounts.services.refusal import Invalid, NotFound, PermissionDenied, Refusal, require_known
from allocation.exchange.layouts import path_of
from allocation.models import (
    OPEN_EXPORTS,
    Export,
    ExportFile,
    ExportFormat,
    ExportLayout,
    ExportSchedule,
    ExportState,
    Publication,
    PublishedMonth,
)
from allocation.policies import KNOWN_PROVIDERS

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from accounts.months import Period
    from accounts.policies import Viewer

logger = logging.getLogger(__name__)

# From a node to its provider; an enterprise may have several.
_PROVIDER_OF: Final = {
    NodeKind.ENTERPRISE_PARENT: "directories__provider_id",
    NodeKind.RESOURCE_DIRECTORY: "provider_id",
    NodeKind.ACCOUNT_GROUP: "directory__provider_id",
    NodeKind.ACCOUNT: "provider_id",
    NodeKind.RESOURCE_GROUP: "account__provider_id",
}
MAX_OPEN: Final = 5
MAX_SCHEDULES: Final = 20
# A whole history of 38 months fits, and so does that of ten years.
MAX_MONTHS: Final = 120


class ExportEnded(Refusal):
    """The export is ready, failed or cancelled: there is nothing to cancel."""

    code = "EXPORT_ENDED"


class NothingPublished(Refusal):
    """No month of the period is published by a provider of the viewer."""

    code = "NOTHING_TO_EXPORT"


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: below which node (None = everything the viewer may see), in which layout and format."""

    node: NodeRef | None
    layout: ExportLayout
    format: ExportFormat

    def columns(self) -> dict[str, object]:
        """The columns of an order."""
        return {
            "node_kind": "" if self.node is None else self.node.kind.value,
            "node_id": None if self.node is None else self.node.id,
            "layout": self.layout,
            "format": self.format,
        }


@transaction.atomic
def request_export(*, viewer: Viewer, order: Order, period: Period) -> Export:
    """Order the published months of a period.

    Raises:
        NotFound: the node is hidden or absent.
        NothingPublished: none of the months is published.
        QuotaExceeded: `MAX_OPEN` orders are still under way.
    """
    _require_person(viewer, order)
    _lock_orders(viewer)
    under_way = Export.objects.filter(owner_id=viewer.user_id, state__in=OPEN_EXPORTS).count()
    if under_way >= MAX_OPEN:
        raise QuotaExceeded(quota="exports_under_way", limit=MAX_OPEN, found=under_way + 1)
    found = _published(viewer, order.node, period.start, period.bound)
    if not found:
        raise NothingPublished("no month of the period is published", field="period")
    return _order(viewer, order, found, (period.start, period.bound))


@transaction.atomic
def schedule_export(*, viewer: Viewer, order: Order, start: dt.date | None) -> ExportSchedule:
    """Order all published months from `start` (None = all history), and every month again when it is published.

    Raises:
        NotFound: the node is hidden or absent.
        QuotaExceeded: the viewer has `MAX_SCHEDULES` schedules.
    """
    owner_id = _require_person(viewer, order)
    if start is not None and start > viewer.month:
        raise Invalid("the first month lies in the future", field="from")
    _lock_orders(viewer)
    active = ExportSchedule.objects.filter(owner_id=viewer.user_id, ended_at__isnull=True).count()
    if active >= MAX_SCHEDULES:
        raise QuotaExceeded(quota="export_schedules", limit=MAX_SCHEDULES, found=active + 1)
    made = ExportSchedule.objects.create(owner_id=owner_id, start=start, created_at=viewer.now, **order.columns())
    export_next(made, now=viewer.now)
    return made


@transaction.atomic
def cancel_export(*, viewer: Viewer, export_id: int) -> Export:
    """Stop an export: at once if nobody works on it, else at the worker's next sign of life. Its files are dropped.

    Raises:
        NotFound: there is none, or it is somebody else's and the viewer is no operator.
        ExportEnded: it has ended otherwise.
    """
    found = Export.objects.select_for_update().filter(_mine(viewer), pk=export_id).first()
    if found is None:
        raise NotFound(f"there is no export {export_id}", field="exportId")
    if found.state == ExportState.CANCELLED or found.cancel_requested_at is not None:
        return found
    if found.state not in OPEN_EXPORTS:
        raise ExportEnded(f"the export is {found.state}")
    found.cancel_requested_at = viewer.now
    if found.state == ExportState.QUEUED:
        found.state, found.finished_at = ExportState.CANCELLED, viewer.now
    found.save(update_fields=["cancel_requested_at", "state", "finished_at"])
    return found


@transaction.atomic
def end_schedule(*, viewer: Viewer, schedule_id: int) -> ExportSchedule:
    """End a schedule; what it ordered goes on. Ending one that has ended changes nothing.

    Raises:
        NotFound: there is none, or it is somebody else's and the viewer is no operator.
    """
    found = ExportSchedule.objects.select_for_update().filter(_mine(viewer), pk=schedule_id).first()
    if found is None:
        raise NotFound(f"there is no schedule {schedule_id}", field="exportId")
    if found.ended_at is None:
        found.ended_at = viewer.now
        found.save(update_fields=["ended_at"])
    return found


def export_what_is_published(*, now: dt.datetime) -> list[Export]:
    """Order, for every schedule, what is published and was not exported by it yet.

    Two schedulers at once order once: each schedule is locked while it is looked at.
    """
    ordered = []
    waiting = ExportSchedule.objects.filter(ended_at__isnull=True, owner__is_active=True).order_by("pk")
    for pk in waiting.values_list("pk", flat=True):
        with transaction.atomic():
            schedule = waiting.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk).first()
            made = None if schedule is None else export_next(schedule, now=now)
        if made is not None:
            ordered.append(made)
    return ordered


def export_next(schedule: ExportSchedule, *, now: dt.datetime) -> Export | None:
    """Order what a schedule, which the caller has locked, has to export next; None if there is nothing."""
    viewer = viewer_of(schedule.owner, now=now)
    done = ExportFile.objects.filter(publication=OuterRef("pk"), export__schedule=schedule).exclude(
        export__state__in=(ExportState.FAILED, ExportState.CANCELLED)
    )
    start, node = schedule.start or dt.date.min, schedule_node(schedule)
    found = [
        publication
        for publication in _published(viewer, node, start, shift(month_of(now), 1)).filter(~Exists(done))
        if not _tried_in_vain(schedule, publication, now)
    ]
    if not found:
        return None
    months = [publication.month for publication in found]
    order = Order(node, ExportLayout(schedule.layout), ExportFormat(schedule.format))
    return _order(viewer, order, found, (min(months), shift(max(months), 1)), schedule)


def schedule_node(ordered: ExportSchedule | Export) -> NodeRef | None:
    """The node of an order, if it has one."""
    return None if ordered.node_id is None else NodeRef(NodeKind(ordered.node_kind), ordered.node_id)


def exports_to_wake(*, queued_for: dt.timedelta, again_after: dt.timedelta) -> list[int]:
    """Return the exports that need a message: their worker is gone, or their message was lost. Each is marked."""
    with transaction.atomic():
        free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
        asleep = Q(woken_at__isnull=True, requested_at__lt=Now() - queued_for) | Q(woken_at__lt=Now() - again_after)
        ids = list(
            Export.objects.select_for_update(skip_locked=True)
            .filter(free, state__in=OPEN_EXPORTS)
            .filter(asleep | Q(woken_at__lt=F("lease_until")))
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        Export.objects.filter(pk__in=ids).update(woken_at=Now())
    return ids


def _require_person(viewer: Viewer, order: Order) -> int:
    """Return the user's id."""
    if viewer.user_id is None or not viewer.is_active:
        raise PermissionDenied("sign in first")
    if order.node is not None:
        require_known(viewer, order.node, field="nodeId")
    return viewer.user_id


def _mine(viewer: Viewer) -> Q:
    return Q() if viewer.is_operator else Q(owner_id=viewer.user_id)


def _lock_orders(viewer: Viewer) -> None:
    """Let two orders of one person wait for each other, so that quotas hold."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"exports of {viewer.user_id}"])


def _published(viewer: Viewer, node: NodeRef | None, start: dt.date, bound: dt.date) -> QuerySet[Publication]:
    """What is published now in these months by providers of which the viewer may see something, below the node."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {KNOWN_PROVIDERS} SELECT provider_id FROM known_provider",  # noqa: S608 fixed texts
            {"viewer": viewer.user_id, "now": viewer.now},
        )
        providers = [row[0] for row in cursor.fetchall()]
    if node is not None:
        lookup, model = _PROVIDER_OF[node.kind], NODE_MODELS[node.kind]
        of_node = model._default_manager.filter(pk=node.id).values_list(lookup, flat=True)  # noqa: SLF001 Django's name
        providers = sorted(set(providers) & set(of_node))
    current = PublishedMonth.objects.filter(publication=OuterRef("pk"))
    return (
        Publication.objects.filter(Exists(current), provider_id__in=providers, month__gte=start, month__lt=bound)
        .select_related("provider", "run__methodology_version")
        .order_by("month", "provider__code")
    )


def _tried_in_vain(schedule: ExportSchedule, publication: Publication, now: dt.datetime) -> bool:
    """Whether a try of today failed or was cancelled: the next one is due tomorrow."""
    return ExportFile.objects.filter(
        publication=publication, export__schedule=schedule, export__requested_at__gt=now - dt.timedelta(days=1)
    ).exists()


def _order(
    viewer: Viewer,
    order: Order,
    publications: list[Publication] | QuerySet[Publication],
    months: tuple[dt.date, dt.date],
    schedule: ExportSchedule | None = None,
) -> Export:
    made = Export.objects.create(
        owner_id=_require_person(viewer, order),
        schedule=schedule,
        start=months[0],
        bound=months[1],
        requested_at=viewer.now,
        **order.columns(),
    )
    ExportFile.objects.bulk_create(
        ExportFile(
            export=made,
            publication=publication,
            path=path_of(publication, order.format),
            expected_rows=publication.run.ledger_rows or 0,
        )
        for publication in publications
    )
    return made
