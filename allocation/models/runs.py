"""Runs: one computation of one month, immutable once it is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.models import Provider
from allocation.models.catalog import Cluster
from allocation.models.methodology import MethodologyVersion
from allocation.models.package import FindingFields, Package

if TYPE_CHECKING:
    from collections.abc import Mapping


class RunState(models.TextChoices):
    """Where a run stands. The last five are final but for publishing and its consequences."""

    QUEUED = "queued", "queued"
    READING = "reading", "reading"
    ALLOCATING = "allocating", "allocating"
    WRITING = "writing", "writing"
    PROVING = "proving", "proving"
    READY = "ready", "ready"
    PUBLISHED = "published", "published"
    SUPERSEDED = "superseded", "superseded"
    FAILED = "failed", "failed"
    WITHDRAWN = "withdrawn", "withdrawn"


RUNNING = (RunState.QUEUED, RunState.READING, RunState.ALLOCATING, RunState.WRITING, RunState.PROVING)
PROVED = (RunState.READY, RunState.PUBLISHED, RunState.SUPERSEDED)

_STOPPED = (RunState.FAILED, RunState.WITHDRAWN)
# A run whose worker died goes back to reading; one that was given back after an error waits in the queue again.
_AGAIN = (RunState.QUEUED, RunState.READING)
LEGAL_TRANSITIONS: Mapping[RunState, tuple[RunState, ...]] = {
    RunState.QUEUED: (RunState.READING, *_STOPPED),
    RunState.READING: (RunState.ALLOCATING, RunState.QUEUED, *_STOPPED),
    RunState.ALLOCATING: (RunState.WRITING, *_AGAIN, *_STOPPED),
    RunState.WRITING: (RunState.PROVING, *_AGAIN, *_STOPPED),
    RunState.PROVING: (RunState.READY, *_AGAIN, *_STOPPED),
    RunState.READY: (RunState.PUBLISHED, RunState.WITHDRAWN),
    RunState.PUBLISHED: (RunState.SUPERSEDED, RunState.WITHDRAWN),
    RunState.SUPERSEDED: (RunState.PUBLISHED,),
    RunState.FAILED: (),
    RunState.WITHDRAWN: (),
}
"""Which state may follow which. A trigger (migration `immutable_runs`) holds the same list; a test compares the two."""


class AllocationRun(models.Model):
    """One allocation of one package.

    `token` is the fencing token: every claim raises it, every write of a chunk checks it. `lease_until` is when
    another worker may take the run up. `generation` counts the runs of one package that were asked for on purpose
    (after a correction of the code); without such a wish one package has one run. `woken_at` is when a message was
    last sent for it. `input_digest` covers the package, its options and the earlier packages in `RunInput`.
    """

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="runs")
    month = models.DateField()
    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="runs")
    methodology_version = models.ForeignKey(MethodologyVersion, on_delete=models.PROTECT, related_name="runs")
    state = models.CharField(max_length=12, choices=RunState, default=RunState.QUEUED)
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    generation = models.PositiveIntegerField(default=1)
    input_digest = models.CharField(max_length=64, blank=True)
    woken_at = models.DateTimeField(null=True, blank=True)
    publish_when_ready = models.BooleanField(default=False)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    code_version = models.CharField(max_length=64, blank=True)
    ledger_rows = models.BigIntegerField(null=True, blank=True)
    ledger_digest = models.CharField(max_length=64, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_reason = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["provider", "month"], condition=Q(state__in=[str(s) for s in RUNNING]), name="run_one_at_a_time"
            ),
            models.UniqueConstraint(
                fields=["package", "methodology_version", "generation"],
                condition=~Q(state__in=[str(s) for s in _STOPPED]),
                name="run_once_per_package",
            ),
            models.CheckConstraint(condition=Q(month__day=1), name="run_month"),
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="run_state"),
            models.CheckConstraint(
                condition=~Q(state__in=[str(s) for s in PROVED]) | Q(ledger_rows__isnull=False),
                name="run_proved_has_rows",
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.provider} {self.month:%Y-%m} ({self.state})"


class RunInput(models.Model):
    """An earlier package whose usage shares a run may fall back to, pinned when the run was requested."""

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="inputs")
    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["run", "-package__month"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "package"], name="run_input")]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.package_id}"


class RunTransition(models.Model):
    """A change of state: when, by whom, on which worker, after how long, with how many rows."""

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="transitions")
    from_state = models.CharField(max_length=12, choices=RunState, blank=True)
    to_state = models.CharField(max_length=12, choices=RunState)
    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    worker = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    duration_ms = models.BigIntegerField(null=True, blank=True)
    rows = models.BigIntegerField(null=True, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.from_state} → {self.to_state}"


class RunChunk(models.Model):
    """The part of a run that is one cluster, written in one transaction; written twice it is written once.

    `ordinal` is the place of the cluster in the order of the export, from 0; ids of ledger rows begin with it.
    `source_ug` maps each line (with `energy_wh`) to its source total, an integer written as text.
    """

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="chunks")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    ordinal = models.PositiveIntegerField()
    token = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    source_ug = models.JSONField(default=dict)
    ledger_rows = models.BigIntegerField(null=True, blank=True)
    ledger_digest = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["run", "ordinal"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "cluster"], name="run_chunk"),
            models.UniqueConstraint(fields=["run", "ordinal"], name="run_chunk_ordinal"),
            models.CheckConstraint(condition=Q(ordinal__lt=4096), name="run_chunk_ordinal_range"),
            models.CheckConstraint(
                condition=Q(written_at__isnull=True, ledger_rows__isnull=True)
                | Q(written_at__isnull=False, ledger_rows__gte=0),
                name="run_chunk_written",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.cluster_id}"


class RunLocation(models.Model):
    """What the run's package says of a cluster: place, energy, and whether all its sites are zero-emission sites."""

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="locations")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=20)
    region = models.CharField(max_length=128, blank=True)
    country = models.CharField(max_length=64, blank=True)
    facility_wh = models.DecimalField(max_digits=38, decimal_places=0)
    it_wh = models.DecimalField(max_digits=38, decimal_places=0)
    zero_emission = models.BooleanField(help_text="Every active site buys all its electricity green (market-based).")

    class Meta:
        ordering: ClassVar = ["run", "cluster"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "cluster"], name="run_location"),
            models.CheckConstraint(condition=Q(facility_wh__gte=0, it_wh__gte=0), name="run_location_energy"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.cluster_id}"


class RunProof(models.Model):
    """external + internal + unallocated = source, in integers, for one (cluster, line) of a run.

    Micrograms CO2e, watt-hours for the line `energy_wh`. `internal_ug` includes the account `(provider)`.
    `estimated_ug` is how much of `source_ug` rests on estimates; null in runs that were proved before it was kept.
    """

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="proofs")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    line = models.CharField(max_length=32)
    source_ug = models.DecimalField(max_digits=38, decimal_places=0)
    external_ug = models.DecimalField(max_digits=38, decimal_places=0)
    internal_ug = models.DecimalField(max_digits=38, decimal_places=0)
    unallocated_ug = models.DecimalField(max_digits=38, decimal_places=0)
    estimated_ug = models.DecimalField(max_digits=38, decimal_places=0, null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["run", "cluster", "line"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "cluster", "line"], name="run_proof"),
            models.CheckConstraint(
                condition=Q(source_ug=F("external_ug") + F("internal_ug") + F("unallocated_ug")),
                name="run_proof_conserves",
            ),
            models.CheckConstraint(condition=Q(estimated_ug__range=(0, F("source_ug"))), name="run_proof_estimated"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.cluster_id}/{self.line}"


class RunFinding(FindingFields):
    """A finding of allocating."""

    run = models.ForeignKey(AllocationRun, on_delete=models.CASCADE, related_name="findings")

    class Meta:
        ordering: ClassVar = ["id"]
