"""Allocations of a month, how far they are and how they went."""

from __future__ import annotations

from datetime import datetime

import strawberry

from allocation.selectors.runs import Run, Transition
from graphql_api.pagination import PageInfo
from graphql_api.scalars import BigInt, global_id
from graphql_api.types.months import OfMonth

_PERCENT = 100


@strawberry.type(description="How far a run is, and what came of it: for operators.")
class RunDetails:
    """The provider's own business."""

    package_number: int = strawberry.field(description="Number of the month's package, counting from 1.")
    requested_by: str | None = strawberry.field(description="User name of who asked for it; null for the system.")
    attempt: int = strawberry.field(description="How often a worker has taken it up.")
    percent: int = strawberry.field(description="Clusters written, in percent of all; 0 until they are laid out.")
    ledger_rows: BigInt | None = strawberry.field(description="Rows of the ledger; null until it is complete.")
    findings: int = strawberry.field(description="How many findings were stored.")
    failure_code: str | None = strawberry.field(description="Stable code of why it failed; null while all is well.")
    failure_reason: str | None = strawberry.field(description="A sentence about it.")
    transitions: list[RunTransition] = strawberry.field(description="Its changes of state, oldest first.")


@strawberry.type(description="A change of a run's state.")
class RunTransition:
    """A step of a run's history."""

    from_state: str | None = strawberry.field(description="The state before; null for the first.")
    to_state: str = strawberry.field(description="The state after.")
    at: datetime = strawberry.field(description="When, by the database's clock.")
    actor: str | None = strawberry.field(description="User name of the person behind it; null where none was.")
    worker: str | None = strawberry.field(description="The worker behind it; null where none was.")
    attempt: int = strawberry.field(description="Which attempt it belongs to.")
    duration_ms: BigInt | None = strawberry.field(description="Milliseconds since the change before it.")
    rows: BigInt | None = strawberry.field(description="Ledger rows written by then.")
    reason: str | None = strawberry.field(description="Why, in a sentence; null where it goes without saying.")

    @classmethod
    def of(cls, step: Transition) -> RunTransition:
        """Convert."""
        return cls(
            from_state=step.from_state or None,
            to_state=step.to_state,
            at=step.at,
            actor=step.actor,
            worker=step.worker or None,
            attempt=step.attempt,
            duration_ms=None if step.duration_ms is None else BigInt(step.duration_ms),
            rows=None if step.rows is None else BigInt(step.rows),
            reason=step.reason or None,
        )


@strawberry.type(description="One allocation of a month. Customers see the published ones.")
class AllocationRun(OfMonth):
    """A run."""

    row: strawberry.Private[Run]

    @strawberry.field(
        description="queued, reading, allocating, writing, proving, ready, published, superseded, failed or withdrawn."
    )
    def state(self) -> str:
        """State."""
        return self.row.state

    @strawberry.field(description="The method, as name@version.")
    def methodology(self) -> str:
        """Methodology."""
        return self.row.methodology

    @strawberry.field(description="When it was asked for.")
    def requested_at(self) -> datetime:
        """Request."""
        return self.row.requested_at

    @strawberry.field(description="When it ended; null while it is under way.")
    def finished_at(self) -> datetime | None:
        """End."""
        return self.row.finished_at

    @strawberry.field(description="When it was first published; null if it never was.")
    def published_at(self) -> datetime | None:
        """Publication."""
        return self.row.published_at

    @strawberry.field(description="Progress and outcome; null for everybody but operators.")
    def details(self) -> RunDetails | None:
        """Details."""
        found = self.row.details
        if found is None:
            return None
        return RunDetails(
            package_number=found.package_number,
            requested_by=found.requested_by,
            attempt=found.attempt,
            percent=_PERCENT * found.chunks_written // found.chunks if found.chunks else 0,
            ledger_rows=None if found.ledger_rows is None else BigInt(found.ledger_rows),
            findings=found.findings,
            failure_code=found.failure_code or None,
            failure_reason=found.failure_reason or None,
            transitions=[RunTransition.of(step) for step in found.transitions],
        )

    @classmethod
    def of(cls, row: Run) -> AllocationRun:
        """Convert."""
        return cls(id=strawberry.ID(global_id("AllocationRun", row.id)), row=row)


@strawberry.type(description="A run in a list.")
class AllocationRunEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: AllocationRun = strawberry.field(description="The run.")


@strawberry.type(description="Runs, one page of them, newest first.")
class AllocationRunConnection:
    """Relay connection."""

    edges: list[AllocationRunEdge] = strawberry.field(description="The runs of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
