"""What may be dropped: rows of runs that nobody ever saw. What was published is kept for ever."""

from __future__ import annotations

import datetime as dt
import logging

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from allocation.models import AllocationRun, Publication, RunState
from allocation.services import partitions
from allocation.services.transitions import record

logger = logging.getLogger(__name__)


def drop_leftovers(*, now: dt.datetime) -> list[int]:
    """Drop ledger and totals of failed and withdrawn runs, and withdraw ready runs that a newer one made idle for long.

    Only partitions go, and only of runs without a publication; the runs' own rows stay as their history.

    Returns:
        The runs whose rows were dropped.
    """
    published = Publication.objects.filter(run=OuterRef("pk"))
    idle_since = now - dt.timedelta(days=settings.ALLOCATION_KEEP_UNPUBLISHED_DAYS)
    runs = AllocationRun.objects.filter(~Exists(published)).filter(
        Q(state__in=(RunState.FAILED, RunState.WITHDRAWN)) | Q(state=RunState.READY, finished_at__lt=idle_since)
    )
    dropped = []
    for run in runs.order_by("pk"):
        ledger, totals = partitions.ledger_of(run.pk), partitions.account_totals_of(run.pk)
        if not (partitions.exists(ledger) or partitions.exists(totals)):
            continue
        newer = AllocationRun.objects.filter(
            provider=run.provider_id, month=run.month, pk__gt=run.pk, state__in=(RunState.READY, RunState.PUBLISHED)
        )
        if run.state == RunState.READY and not newer.exists():
            continue
        try:
            _drop(run)
        except DatabaseError:
            logger.info("run %d is still being read; its rows are dropped another time", run.pk)
        else:
            dropped.append(run.pk)
    return dropped


def _drop(run: AllocationRun) -> None:
    with transaction.atomic():
        locked = AllocationRun.objects.select_for_update().get(pk=run.pk)
        if Publication.objects.filter(run=locked).exists():
            return
        if locked.state == RunState.READY:
            AllocationRun.objects.filter(pk=run.pk).update(state=RunState.WITHDRAWN)
            record(locked, RunState.WITHDRAWN, rows=locked.ledger_rows, reason="dropped by policy")
        with connection.cursor() as cursor:
            # Detaching waits for readers of the whole table, and new readers wait behind it: give up soon.
            cursor.execute("SET LOCAL lock_timeout = '2s'")
        partitions.drop(partitions.ledger_of(run.pk))
        partitions.drop(partitions.account_totals_of(run.pk))
