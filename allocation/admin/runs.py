"""Runs: how far they are, what they wrote, what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db.models import Count, Q

from accounts.services.refusal import Invalid
from allocation.admin.asking import CauseForm, ask, reason_of
from allocation.admin.reading import MonthFilter, Reading, ReadingInline
from allocation.models import (
    AllocationRun,
    Cause,
    RunChunk,
    RunFinding,
    RunInput,
    RunLocation,
    RunProof,
    RunTransition,
)
from allocation.services.publication import publish_run, withdraw_run
from allocation.services.restatement import restate_month
from allocation.services.runs import cancel_run

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from accounts.policies import Viewer


class TransitionInline(ReadingInline):
    """The history of a run."""

    model = RunTransition


class ChunkInline(ReadingInline):
    """The parts of a run, one per cluster."""

    model = RunChunk
    fields = ["ordinal", "cluster", "written_at", "ledger_rows", "worker", "ledger_digest"]


class InputInline(ReadingInline):
    """Earlier packages whose shares the run may fall back to."""

    model = RunInput


@admin.register(AllocationRun)
class AllocationRunAdmin(Reading):
    """Runs; those that are ready can be published, those under way cancelled."""

    list_display = [
        "id", "provider", "month", "package", "state", "progress", "attempt", "ledger_rows", "requested_at",
        "finished_at", "failure_code",
    ]  # fmt: skip
    list_filter = ["state", "provider", MonthFilter]
    search_fields = ["=id", "provider__code", "failure_code", "ledger_digest"]
    list_select_related = ["provider", "package__provider"]
    inlines = [TransitionInline, ChunkInline, InputInline]
    actions = ["publish", "restate", "cancel", "withdraw"]
    action_form = CauseForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Runs with the number of their chunks."""
        runs: QuerySet[Any] = super().get_queryset(request)
        done = Count("chunks", filter=Q(chunks__written_at__isnull=False))
        return cast("QuerySet[Any]", runs.annotate(laid_out=Count("chunks"), done=done))

    @admin.display(description="Clusters written")
    def progress(self, run: Any) -> str:  # noqa: ANN401 a run with the annotations above
        """How many of the clusters are written."""
        return f"{run.done} of {run.laid_out}" if run.laid_out else ""

    @admin.action(description="Publish", permissions=["view"])
    def publish(self, request: HttpRequest, rows: QuerySet[AllocationRun]) -> None:
        """Publish the chosen runs, for the first time."""
        ask(self, request, rows, lambda viewer, run: f"{publish_run(viewer=viewer, run_id=run.pk)} is public")

    @admin.action(description="Publish again (with a cause and a reason)", permissions=["view"])
    def restate(self, request: HttpRequest, rows: QuerySet[AllocationRun]) -> None:
        """Restate the months of the chosen runs, or propose it to a second operator."""
        cause = request.POST.get("cause", "")

        def restate_one(viewer: Viewer, run: AllocationRun) -> str:
            if cause not in Cause.values:
                raise Invalid("a restatement needs a cause", field="cause")
            made = restate_month(viewer=viewer, run_id=run.pk, cause=Cause(cause), reason=reason_of(request))
            if made.publication is None:
                return f"{made} waits for a second operator: {made.approval_because}"
            return f"{made} is public"

        ask(self, request, rows, restate_one)

    @admin.action(description="Cancel", permissions=["view"])
    def cancel(self, request: HttpRequest, rows: QuerySet[AllocationRun]) -> None:
        """Call the chosen runs off."""
        ask(self, request, rows, lambda viewer, run: str(cancel_run(viewer=viewer, run_id=run.pk)))

    @admin.action(description="Withdraw (with a reason)", permissions=["view"])
    def withdraw(self, request: HttpRequest, rows: QuerySet[AllocationRun]) -> None:
        """Withdraw the chosen runs; published months disappear from their readers."""

        def withdraw_one(viewer: Viewer, run: AllocationRun) -> str:
            withdraw_run(viewer=viewer, run_id=run.pk, reason=reason_of(request))
            return f"run {run.pk} is withdrawn"

        ask(self, request, rows, withdraw_one)


@admin.register(RunTransition)
class RunTransitionAdmin(Reading):
    """Changes of state."""

    list_display = [
        "run_id", "from_state", "to_state", "at", "duration_ms", "rows", "attempt", "worker", "actor", "reason",
    ]  # fmt: skip
    list_filter = ["to_state"]
    search_fields = ["=run__id", "worker", "reason"]
    list_select_related = ["actor"]


@admin.register(RunChunk)
class RunChunkAdmin(Reading):
    """Chunks, with their digests and sources."""

    list_display = ["run_id", "ordinal", "cluster", "written_at", "ledger_rows", "worker", "ledger_digest"]
    search_fields = ["=run__id", "cluster__code", "ledger_digest"]
    list_select_related = ["cluster"]


@admin.register(RunInput)
class RunInputAdmin(Reading):
    """Earlier packages pinned by runs."""

    list_display = ["run_id", "package"]
    search_fields = ["=run__id"]
    list_select_related = ["package__provider"]


@admin.register(RunLocation)
class RunLocationAdmin(Reading):
    """What packages said of clusters."""

    list_display = ["run_id", "cluster", "kind", "region", "country", "facility_wh", "it_wh", "zero_emission"]
    list_filter = ["kind", "zero_emission"]
    search_fields = ["=run__id", "cluster__code", "region", "country", "name"]
    list_select_related = ["cluster"]


@admin.register(RunProof)
class RunProofAdmin(Reading):
    """Proofs by cluster and line."""

    list_display = [
        "run_id", "cluster", "line", "source_ug", "external_ug", "internal_ug", "unallocated_ug",
        "estimated_ug",
    ]  # fmt: skip
    list_filter = ["line"]
    search_fields = ["=run__id", "cluster__code", "=line"]
    list_select_related = ["cluster"]


@admin.register(RunFinding)
class RunFindingAdmin(Reading):
    """What allocating found."""

    list_display = ["run_id", "code", "severity", "file", "row", "message"]
    list_filter = ["severity", "code"]
    search_fields = ["=run__id", "=code", "=file", "message"]
    list_select_related = False
