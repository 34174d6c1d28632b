"""Files that somebody ordered, once or after every publication: who, what, how far, and where they lie."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.models import NodeKind
from allocation.models.publication import Publication


class ExportLayout(models.TextChoices):
    """Which columns the files have."""

    CANOPY = "canopy", "ours: one row for each line of each leaf"
    AWS = "aws", "the 23 columns of the AWS carbon-emissions table"


class ExportFormat(models.TextChoices):
    """How the rows are written."""

    CSV = "csv", "CSV"
    PARQUET = "parquet", "Parquet"


class ExportState(models.TextChoices):
    """Where an export stands. The last four are final, but files of ready ones expire."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    READY = "ready", "ready"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    EXPIRED = "expired", "expired"


OPEN_EXPORTS = (ExportState.QUEUED, ExportState.RUNNING)


class Ordered(models.Model):
    """What is ordered: everything that the owner may see, or what of it lies below one node."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    node_kind = models.CharField(max_length=32, choices=NodeKind, blank=True)
    node_id = models.BigIntegerField(null=True, blank=True)
    layout = models.CharField(max_length=8, choices=ExportLayout)
    format = models.CharField(max_length=8, choices=ExportFormat)

    class Meta:
        abstract = True


def _node_or_none(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(node_kind="", node_id__isnull=True) | (~Q(node_kind="") & Q(node_id__isnull=False)), name=name
    )


class ExportSchedule(Ordered):
    """An order that is carried out after every publication; the first time for all months from `start` on.

    Nothing is kept of how far it came: what is published and in none of its files is what is to be exported next.
    """

    start = models.DateField(null=True, blank=True, help_text="First month; empty = all history.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            _node_or_none("export_schedule_node"),
            models.CheckConstraint(condition=Q(start__day=1), name="export_schedule_month"),
        ]

    def __str__(self) -> str:
        return f"schedule {self.pk}"


class Export(Ordered):
    """One order and how far it is.

    `start` and `bound` are its months, half-open. `token` is the fencing token: every claim raises it, every write
    checks it; `lease_until` is when another worker may take the export up. `current_rows` counts the rows of the file
    that is being written.
    """

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    schedule = models.ForeignKey(
        ExportSchedule, on_delete=models.PROTECT, null=True, blank=True, related_name="exports"
    )
    start = models.DateField()
    bound = models.DateField()
    state = models.CharField(max_length=12, choices=ExportState, default=ExportState.QUEUED)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    current_rows = models.BigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    woken_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            _node_or_none("export_node"),
            models.CheckConstraint(
                condition=Q(start__day=1) & Q(bound__day=1) & Q(bound__gt=F("start")), name="export_months"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["owner", "-id"], name="export_owner"),
            models.Index(
                fields=["id"], condition=Q(state__in=[str(state) for state in OPEN_EXPORTS]), name="export_open"
            ),
        ]

    def __str__(self) -> str:
        return f"export {self.pk} ({self.state})"


class ExportFile(models.Model):
    """The part of an export that is one month of one provider, written to the storage as one file.

    `expected_rows` is an upper bound, known before the file is written: the rows of the whole ledger. `accounts` and
    `resource_groups` are what the file tells of, as the text of an `int8multirange` of ids; resource groups are those
    that were visible without their account. A download asks whether the owner may still see all of it.
    """

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="files")
    publication = models.ForeignKey(Publication, on_delete=models.PROTECT, related_name="+")
    path = models.TextField(help_text="Inside the export: model_version=…/usage_period=YYYY-MM/….")
    stored_as = models.TextField(blank=True, help_text="Name in the storage; empty until it is written.")
    expected_rows = models.BigIntegerField()
    rows = models.BigIntegerField(null=True, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    accounts = models.TextField(default="{}")
    resource_groups = models.TextField(default="{}")
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["export", "publication"], name="export_file_once"),
            models.CheckConstraint(
                condition=Q(written_at__isnull=True) | Q(rows__gte=0, size_bytes__gte=0), name="export_file_written"
            ),
        ]

    def __str__(self) -> str:
        return self.path
