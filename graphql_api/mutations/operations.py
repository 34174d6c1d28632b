"""Mutations of operators: allocate, publish, cancel, withdraw, lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from allocation import tasks
from allocation.selectors import runs as runs_selector
from allocation.selectors.runs import Run
from allocation.services import operations
from graphql_api.context import Context
from graphql_api.mutations.inputs import MutationInput, checked_id
from graphql_api.mutations.outcome import MutationRefusal, Refused, ValidationFailed, carried_out, read_after
from graphql_api.scalars import Month
from graphql_api.types.runs import AllocationRun

Info = strawberry.Info[Context, None]
SCOPE = "operations"


@strawberry.input(description="Asks for the allocation of a month's newest package.")
class RequestAllocationInput(MutationInput):
    """Which month."""

    provider: str = strawberry.field(description="Code of the provider.")
    month: Month = strawberry.field(description="The month.")
    publish: bool = strawberry.field(
        default=False, description="Publish it when it is ready, if the month was not published before."
    )


@strawberry.input(description="Publishes a month for the first time.")
class PublishRunInput(MutationInput):
    """Which run."""

    run_id: strawberry.ID = strawberry.field(description="Global id of a run that is ready.")


@strawberry.input(description="Calls a run off that is under way.")
class CancelRunInput(MutationInput):
    """Which run."""

    run_id: strawberry.ID = strawberry.field(description="Global id of the run.")


@strawberry.input(description="Takes a ready run out of the way, or a published month away from its readers.")
class WithdrawRunInput(MutationInput):
    """Which run, why."""

    run_id: strawberry.ID = strawberry.field(description="Global id of the run.")
    reason: str = strawberry.field(description="A sentence for the record.")


@strawberry.input(description="Locks a published month: restating it then needs a second operator.")
class LockMonthInput(MutationInput):
    """Which month."""

    provider: str = strawberry.field(description="Code of the provider.")
    month: Month = strawberry.field(description="The month.")


@strawberry.type(description="The run as it is now.")
class AllocationRunPayload:
    """The result."""

    run: AllocationRun = strawberry.field(description="The run; ask for it again to follow its progress.")


@strawberry.type(description="The month is locked.")
class LockMonthPayload:
    """The result."""

    provider: str = strawberry.field(description="Code of the provider.")
    month: Month = strawberry.field(description="The month.")


AllocationRunResult = Annotated[
    AllocationRunPayload | Refused | ValidationFailed,
    strawberry.union("AllocationRunResult", description="The run, or why nothing was done."),
]
LockMonthResult = Annotated[
    LockMonthPayload | Refused | ValidationFailed,
    strawberry.union("LockMonthResult", description="The month, or why it is not locked."),
]


@strawberry.type
class OperationsMutation:
    """Mutations."""

    @strawberry.mutation(description="Asks for the allocation of a month's newest package; a worker carries it out.")
    async def request_allocation(
        self,
        info: Info,
        input: Annotated[RequestAllocationInput, strawberry.argument(description="What to do.")],
    ) -> AllocationRunResult:
        """Allocate."""

        def act() -> dict[str, Any]:
            run = operations.request_allocation(
                viewer=info.context.viewer, provider_code=input.provider, month=input.month, publish=input.publish
            )
            tasks.wake(run.pk)
            return {"id": run.pk}

        return await _run_after(info, input, act)

    @strawberry.mutation(description="Publishes a month for the first time; later ones are restatements.")
    async def publish_run(
        self, info: Info, input: Annotated[PublishRunInput, strawberry.argument(description="What to do.")]
    ) -> AllocationRunResult:
        """Publish."""
        return await _on_run(info, input, operations.publish_run)

    @strawberry.mutation(
        description="Calls a run off, at once if nobody works on it, else before its next cluster or step."
    )
    async def cancel_run(
        self, info: Info, input: Annotated[CancelRunInput, strawberry.argument(description="What to do.")]
    ) -> AllocationRunResult:
        """Cancel."""
        return await _on_run(info, input, operations.cancel_run)

    @strawberry.mutation(description="Withdraws a run; its figures stay readable as of earlier dates.")
    async def withdraw_run(
        self, info: Info, input: Annotated[WithdrawRunInput, strawberry.argument(description="What to do.")]
    ) -> AllocationRunResult:
        """Withdraw."""
        return await _on_run(info, input, operations.withdraw_run, reason=input.reason)

    @strawberry.mutation(description="Locks a published month.")
    async def lock_month(
        self, info: Info, input: Annotated[LockMonthInput, strawberry.argument(description="What to do.")]
    ) -> LockMonthResult:
        """Lock."""

        def act() -> dict[str, Any]:
            operations.lock_month(viewer=info.context.viewer, provider_code=input.provider, month=input.month)
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return LockMonthPayload(provider=input.provider, month=input.month)


async def _on_run(
    info: Info, given: PublishRunInput | CancelRunInput | WithdrawRunInput, service: Callable[..., object], **more: str
) -> AllocationRunResult:
    """Let a service do something to the run that the input names."""
    _, run_id = checked_id(given.run_id, "AllocationRun", field="runId")

    def act() -> dict[str, Any]:
        service(viewer=info.context.viewer, run_id=run_id, **more)
        return {"id": run_id}

    return await _run_after(info, given, act)


async def _run_after(info: Info, given: object, act: Callable[[], dict[str, Any]]) -> AllocationRunResult:
    async def read(run_id: int) -> Run | None:
        return await info.context.call(runs_selector.run, viewer=info.context.viewer, run_id=run_id)

    row = await read_after(info, scope=SCOPE, given=given, act=act, read=read, gone="the run is not visible")
    return row if isinstance(row, MutationRefusal) else AllocationRunPayload(run=AllocationRun.of(row))  # type: ignore[return-value] # one of the union
