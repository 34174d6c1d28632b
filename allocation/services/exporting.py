"""Carrying orders out: one file for each published month of each provider, written under the owner's own rights."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.policies import viewer_of
from accounts.web_role import as_web
from allocation.exchange.blocks import BLOCK_BYTES, csv_blocks, write_csv, write_parquet
from allocation.exchange.layouts import COLUMNS, Extract, query_of, told_by
from allocation.models import OPEN_EXPORTS, Export, ExportFile, ExportFormat, ExportState
from allocation.services.exports import schedule_node
from allocation.services.heartbeat import Heartbeat, lease

if TYPE_CHECKING:
    from typing import BinaryIO

    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

FOLDER: Final = "exports"
MAX_ATTEMPTS: Final = 5
# One statement reads a whole month for one owner; the task's own limit is an hour.
STATEMENT_TIMEOUT_MS: Final = 1_800_000


class ExportStoppedError(Exception):
    """Somebody asked to cancel, or another worker took the export up."""


@dataclass
class _Claim:
    """The right to write one export, until another worker takes it; `stop` is set when it is lost or cancelled."""

    export_id: int
    token: int
    rows: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def export(self) -> QuerySet[Export]:
        """The export, if the claim still holds."""
        return Export.objects.filter(pk=self.export_id, token=self.token, state=ExportState.RUNNING)

    def beat(self) -> bool:
        """Give a sign of life and tell how far the file is; learn of a cancel. False if there is nothing to go on."""
        held = self.export().update(lease_until=Now() + lease(), current_rows=self.rows)
        if not held or self.export().filter(cancel_requested_at__isnull=False).exists():
            self.stop.set()
        return not self.stop.is_set()

    def count(self, rows: int) -> None:
        """Note how many rows are read; raise ExportStoppedError between two blocks if the work is no longer wanted."""
        self.rows = rows
        if self.stop.is_set():
            raise ExportStoppedError(self.export_id)

    def check(self) -> None:
        """Raise ExportStoppedError if the work is no longer wanted."""
        if not self.export().filter(cancel_requested_at__isnull=True).exists():
            raise ExportStoppedError(self.export_id)


def execute_export(*, export_id: int, worker: str) -> None:
    """Take an export up, if it is free, and write what is not written yet.

    Raises:
        OperationalError: the database went away; the lease runs out and the export is taken up again.
    """
    claim = _take(export_id, worker)
    if claim is None:
        return
    try:
        with Heartbeat(f"export {export_id}", claim.beat):
            for file in ExportFile.objects.filter(export_id=export_id, written_at__isnull=True).order_by("pk"):
                claim.check()
                _write(claim, file)
        _end(claim, ExportState.READY)
    except ExportStoppedError:
        # Of one that is no longer ours nothing is changed.
        _end(claim, ExportState.CANCELLED)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("export %d", export_id)
        _end(claim, ExportState.FAILED, code=type(error).__name__, reason=str(error)[:1000])


def expire_exports(*, now: dt.datetime) -> list[int]:
    """Drop the files of exports whose time is over; the orders stay as their history."""
    over = Export.objects.filter(state=ExportState.READY, expires_at__lte=now).order_by("pk")
    expired = []
    for export in over:
        if Export.objects.filter(pk=export.pk, state=ExportState.READY).update(state=ExportState.EXPIRED):
            drop_files(export)
            expired.append(export.pk)
    return expired


def drop_files(export: Export) -> None:
    """Delete an export's files from the storage."""
    for file in export.files.exclude(stored_as=""):
        default_storage.delete(file.stored_as)
        ExportFile.objects.filter(pk=file.pk).update(stored_as="")


def _take(export_id: int, worker: str) -> _Claim | None:
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    with transaction.atomic():
        export = (
            Export.objects.select_for_update(skip_locked=True)
            .filter(free, pk=export_id, state__in=OPEN_EXPORTS)
            .first()
        )
        if export is None:
            return None
        rows = Export.objects.filter(pk=export_id)
        if export.cancel_requested_at is not None:
            rows.update(state=ExportState.CANCELLED, finished_at=Now(), token=F("token") + 1)
            transaction.on_commit(lambda: drop_files(export))
            return None
        if export.attempt >= MAX_ATTEMPTS:
            rows.update(
                state=ExportState.FAILED,
                finished_at=Now(),
                token=F("token") + 1,
                failure_code="TOO_MANY_ATTEMPTS",
                failure_reason=f"given up after {export.attempt} attempts; the last worker was {export.worker}",
            )
            return None
        rows.update(
            state=ExportState.RUNNING,
            token=F("token") + 1,
            attempt=F("attempt") + 1,
            lease_until=Now() + lease(),
            started_at=export.started_at or timezone.now(),
            worker=worker,
        )
    return _Claim(export_id, export.token + 1)


def _write(claim: _Claim, file: ExportFile) -> None:
    """Write one month to a local file, under the owner's rights, then hand it to the storage."""
    export = Export.objects.select_related("owner").get(pk=claim.export_id)
    publication = ExportFile.objects.select_related("publication__provider", "publication__run__methodology_version")
    now = timezone.now()
    extract = Extract(viewer_of(export.owner, now=now), publication.get(pk=file.pk).publication, schedule_node(export))
    claim.rows = 0
    with tempfile.TemporaryFile() as spool:
        with as_web(viewer_id=export.owner_id, now=now, timeout_ms=STATEMENT_TIMEOUT_MS):
            told = told_by(extract)
            query, params = query_of(extract, export.layout)
            blocks = csv_blocks(query, params, claim.count)
            if export.format == ExportFormat.PARQUET:
                write_parquet(blocks, spool, COLUMNS[export.layout])
            else:
                write_csv(blocks, spool)
        claim.check()
        size_bytes, sha256 = spool.tell(), _digest(spool)
        # A name of its own for each attempt: a worker that was thought dead never writes over another's file.
        name = f"{FOLDER}/{export.key}/{claim.token}/{file.path}"
        stored_as = default_storage.save(name, File(spool, name=name))
    with transaction.atomic():
        if not claim.export().select_for_update().exists():
            default_storage.delete(stored_as)
            raise ExportStoppedError(claim.export_id)
        ExportFile.objects.filter(pk=file.pk).update(
            stored_as=stored_as,
            rows=claim.rows,
            size_bytes=size_bytes,
            sha256=sha256,
            accounts=told.accounts,
            resource_groups=told.resource_groups,
            written_at=Now(),
        )
        claim.export().update(current_rows=0)


def _digest(spool: BinaryIO) -> str:
    spool.seek(0)
    found = hashlib.sha256()
    while block := spool.read(BLOCK_BYTES):
        found.update(block)
    spool.seek(0)
    return found.hexdigest()


def _end(claim: _Claim, state: ExportState, *, code: str = "", reason: str = "") -> None:
    keep = dt.timedelta(days=settings.EXPORT_KEEP_DAYS)
    ended = claim.export().update(
        state=state,
        token=F("token") + 1,
        lease_until=None,
        current_rows=0,
        finished_at=Now(),
        expires_at=Now() + keep if state == ExportState.READY else None,
        failure_code=code,
        failure_reason=reason,
    )
    if ended and state != ExportState.READY:
        drop_files(Export.objects.get(pk=claim.export_id))
