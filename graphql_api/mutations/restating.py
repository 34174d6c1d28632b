"""Mutations of operators: publish a month again, approve, reject; record what third parties verified."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import strawberry

from accounts.months import Period
from allocation.selectors import restatements as restatements_selector
from allocation.selectors.restatements import Proposal
from allocation.services import operations
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.mutations.inputs import MutationInput, checked_id
from graphql_api.mutations.operations import SCOPE
from graphql_api.mutations.outcome import MutationRefusal, Refused, ValidationFailed, carried_out, read_after
from graphql_api.scalars import global_id
from graphql_api.types.arguments import PeriodInput
from graphql_api.types.enums import AssuranceLevel, RestatementCause
from graphql_api.types.proposals import RestatementProposal

Info = strawberry.Info[Context, None]


@strawberry.input(description="Publishes another run of a published month, or proposes it to a second operator.")
class RestateMonthInput(MutationInput):
    """Which run, why."""

    run_id: strawberry.ID = strawberry.field(description="Global id of a run that is ready, or was published before.")
    cause: RestatementCause = strawberry.field(description="Kind of reason.")
    reason: str = strawberry.field(description="A sentence for the readers.")


@strawberry.input(description="Publishes a restatement that another operator proposed.")
class ApproveRestatementInput(MutationInput):
    """Which proposal."""

    proposal_id: strawberry.ID = strawberry.field(description="Global id of the proposal.")


@strawberry.input(description="Decides that a proposed restatement is not published.")
class RejectRestatementInput(MutationInput):
    """Which proposal, why."""

    proposal_id: strawberry.ID = strawberry.field(description="Global id of the proposal.")
    reason: str = strawberry.field(description="A sentence for the record.")


@strawberry.input(description="Attaches a third party's statement to a method, or to months as they are published now.")
class RecordVerificationStatementInput(MutationInput):
    """What was stated about what: either a version of a method, or a provider's months."""

    methodology_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the version of a method that it is about."
    )
    provider: str | None = strawberry.field(default=None, description="Code of the provider whose months it is about.")
    period: PeriodInput | None = strawberry.field(default=None, description="These months; all must be published.")
    verifier: str = strawberry.field(description="Who verified.")
    standard: str = strawberry.field(description="By which standard, for example ISO 14064-3:2019.")
    level: AssuranceLevel = strawberry.field(description="Level of assurance.")
    scope: str = strawberry.field(description="What was verified, in the verifier's words.")
    document_url: str = strawberry.field(description="Where the statement can be read.")
    document_sha256: str = strawberry.field(
        name="documentSha256", default="", description="SHA-256 of the document in hexadecimal, if it is known."
    )
    issued_on: date = strawberry.field(description="Date of the statement.")


@strawberry.type(description="The proposal as it is now: published if nobody else had to approve it.")
class RestatementPayload:
    """The result."""

    proposal: RestatementProposal = strawberry.field(description="The proposal; `restatementId` if it is published.")


@strawberry.type(description="The statement is recorded and shown with the figures.")
class VerificationStatementPayload:
    """The result."""

    statement_id: strawberry.ID = strawberry.field(description="Global id of the statement.")


RestatementResult = Annotated[
    RestatementPayload | Refused | ValidationFailed,
    strawberry.union("RestatementResult", description="The proposal, or why nothing was done."),
]
VerificationStatementResult = Annotated[
    VerificationStatementPayload | Refused | ValidationFailed,
    strawberry.union("VerificationStatementResult", description="The statement, or why it is not recorded."),
]


@strawberry.type
class RestatingMutation:
    """Mutations."""

    @strawberry.mutation(
        description="Publishes another run of a published month, with a cause and a reason. A locked month, and a"
        " change of any node's total by more than the threshold, wait for a second operator."
    )
    async def restate_month(
        self, info: Info, input: Annotated[RestateMonthInput, strawberry.argument(description="What to do.")]
    ) -> RestatementResult:
        """Restate."""
        _, run_id = checked_id(input.run_id, "AllocationRun", field="runId")
        return await _restated(
            info, input, operations.restate_month, run_id=run_id, cause=input.cause.value, reason=input.reason
        )

    @strawberry.mutation(description="Approves a restatement that another operator proposed, and publishes it.")
    async def approve_restatement(
        self, info: Info, input: Annotated[ApproveRestatementInput, strawberry.argument(description="What to do.")]
    ) -> RestatementResult:
        """Approve."""
        _, proposal_id = checked_id(input.proposal_id, "RestatementProposal", field="proposalId")
        return await _restated(info, input, operations.approve_restatement, restatement_id=proposal_id)

    @strawberry.mutation(description="Rejects a proposed restatement; its author may take it back this way, too.")
    async def reject_restatement(
        self, info: Info, input: Annotated[RejectRestatementInput, strawberry.argument(description="What to do.")]
    ) -> RestatementResult:
        """Reject."""
        _, proposal_id = checked_id(input.proposal_id, "RestatementProposal", field="proposalId")
        return await _restated(
            info, input, operations.reject_restatement, restatement_id=proposal_id, reason=input.reason
        )

    @strawberry.mutation(description="Records a third party's statement about a method or about published months.")
    async def record_verification_statement(
        self,
        info: Info,
        input: Annotated[RecordVerificationStatementInput, strawberry.argument(description="What to do.")],
    ) -> VerificationStatementResult:
        """Record."""
        version_id = (
            None
            if input.methodology_id is None
            else checked_id(input.methodology_id, "MethodologyVersion", field="methodologyId")[1]
        )
        period: Period | None = None if input.period is None else input.period.period()
        if (version_id is None) == (input.provider is None or period is None):
            raise bad_input("A statement is about methodologyId, or about provider and period.", field="methodologyId")
        subject = operations.Subject(version_id, input.provider, period)

        def act() -> dict[str, Any]:
            made = operations.record_statement(
                viewer=info.context.viewer,
                subject=subject,
                verifier=input.verifier,
                standard=input.standard,
                level=input.level.value,
                scope=input.scope,
                document_url=input.document_url,
                document_sha256=input.document_sha256,
                issued_on=input.issued_on,
            )
            return {"id": made.pk}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return VerificationStatementPayload(
            statement_id=strawberry.ID(global_id("VerificationStatement", int(done["id"])))
        )


async def _restated(info: Info, given: object, service: Callable[..., Any], **more: object) -> RestatementResult:
    """Let a service make or decide a proposal, and show it."""

    def act() -> dict[str, Any]:
        return {"id": service(viewer=info.context.viewer, **more).pk}

    async def read(proposal_id: int) -> Proposal | None:
        return await info.context.call(
            restatements_selector.proposal, viewer=info.context.viewer, proposal_id=proposal_id
        )

    row = await read_after(info, scope=SCOPE, given=given, act=act, read=read, gone="the proposal is not visible")
    return row if isinstance(row, MutationRefusal) else RestatementPayload(proposal=RestatementProposal.of(row))  # type: ignore[return-value] # one of the union
