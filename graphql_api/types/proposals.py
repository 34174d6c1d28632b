"""Restatements that were asked for."""

from __future__ import annotations

from datetime import datetime

import strawberry

from allocation.selectors.restatements import Proposal
from graphql_api.pagination import PageInfo
from graphql_api.scalars import global_id
from graphql_api.types.months import OfCause

_PPM_PER_PERCENT = 10_000


@strawberry.type(
    description="A restatement that was asked for: published at once, waiting for a second operator, or decided."
)
class RestatementProposal(OfCause):
    """A proposal."""

    row: strawberry.Private[Proposal]

    @strawberry.field(description="Global id of the run that it publishes.")
    def run_id(self) -> strawberry.ID:
        """Run."""
        return strawberry.ID(global_id("AllocationRun", self.row.run_id))

    @strawberry.field(description="The reason, for the readers.")
    def reason(self) -> str:
        """Reason."""
        return self.row.reason

    @strawberry.field(description="User name of who asked for it; null for the system.")
    def author(self) -> str | None:
        """Author."""
        return self.row.author

    @strawberry.field(description="When it was asked for.")
    def proposed_at(self) -> datetime:
        """Proposal."""
        return self.row.proposed_at

    @strawberry.field(
        description="Largest relative difference of any node's total, in percent rounded down to 0.0001; null where"
        " zero became positive."
    )
    def largest_difference_percent(self) -> float | None:
        """Difference."""
        found = self.row.largest_difference_ppm
        return None if found is None else found / _PPM_PER_PERCENT

    @strawberry.field(description="Why a second operator has to approve; null if none has to.")
    def approval_because(self) -> str | None:
        """Reason of the approval."""
        return self.row.approval_because or None

    @strawberry.field(description="User name of the second operator; null while it waits, and if none was needed.")
    def approver(self) -> str | None:
        """Approver."""
        return self.row.approver

    @strawberry.field(description="When it was published or rejected; null while it waits.")
    def decided_at(self) -> datetime | None:
        """Decision."""
        return self.row.decided_at

    @strawberry.field(description="Why it was rejected; null if it was not.")
    def rejected_because(self) -> str | None:
        """Rejection."""
        return self.row.rejected_because or None

    @strawberry.field(description="Global id of the restatement that came of it; null while there is none.")
    def restatement_id(self) -> strawberry.ID | None:
        """Restatement."""
        found = self.row.publication_id
        return None if found is None else strawberry.ID(global_id("Restatement", found))

    @classmethod
    def of(cls, row: Proposal) -> RestatementProposal:
        """Convert."""
        return cls(id=strawberry.ID(global_id("RestatementProposal", row.id)), row=row)


@strawberry.type(description="A proposal in a list.")
class RestatementProposalEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: RestatementProposal = strawberry.field(description="The proposal.")


@strawberry.type(description="Restatements that were asked for, one page of them, newest first.")
class RestatementProposalConnection:
    """Relay connection."""

    edges: list[RestatementProposalEdge] = strawberry.field(description="The proposals of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
