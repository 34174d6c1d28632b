"""How far a run is, in one question to the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Q, Sum

from allocation.models import RUNNING, AllocationRun, RunFinding, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a run; `chunks` is 0 until it is laid out."""

    state: RunState
    attempt: int
    chunks: int
    chunks_written: int
    rows: int
    failure: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state not in RUNNING

    def __str__(self) -> str:
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        if self.state == RunState.WRITING:
            return f"{self.state}: {self.chunks_written} of {self.chunks} clusters, {self.rows} rows{again}"
        return f"{self.state}{again}"


def progress_of(run_id: int) -> Progress:
    """Return how far a run is."""
    row = (
        AllocationRun.objects.filter(pk=run_id)
        .annotate(
            laid_out=Count("chunks"),
            done=Count("chunks", filter=Q(chunks__written_at__isnull=False)),
            rows=Sum("chunks__ledger_rows", default=0),
        )
        .get()
    )
    failure = f"{row.failure_code}: {row.failure_reason}" if row.failure_code else row.failure_reason
    return Progress(RunState(row.state), row.attempt, row.laid_out, row.done, row.rows, failure)


def findings_of(run_id: int) -> Iterator[dict[str, object]]:
    """Yield what allocating found, as the package format wants it printed."""
    for finding in RunFinding.objects.filter(run_id=run_id).order_by("code", "file", "row", "id").iterator():
        yield {
            "code": finding.code,
            "severity": finding.severity,
            "file": finding.file or None,
            "row": finding.row,
            "message": finding.message,
        }
