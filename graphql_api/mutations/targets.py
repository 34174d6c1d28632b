"""Mutations of targets."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from allocation.services import targets
from graphql_api.context import Context
from graphql_api.errors import bad_input
from graphql_api.mutations.access import SCOPE, node_key
from graphql_api.mutations.inputs import MutationInput, checked_id
from graphql_api.mutations.outcome import (
    MutationRefusal,
    NotFound,
    QuotaExceeded,
    Refused,
    ValidationFailed,
    carried_out,
)
from graphql_api.types.enums import Method, Scope, TargetKind
from graphql_api.types.nodes import HierarchyNode, node_type
from graphql_api.types.targets import PPM_PER_PERCENT, Target

Info = strawberry.Info[Context, None]


@strawberry.input(description="Sets a target of a node; the one of the same name, if there is one, ends.")
class SetTargetInput(MutationInput):
    """What is to be reached where."""

    node_id: strawberry.ID = strawberry.field(description="Global id of the node.")
    name: str = strawberry.field(description="1 to 100 characters, unique at the node.")
    kind: TargetKind = strawberry.field(default=TargetKind.ABSOLUTE, description="What is to shrink.")
    method: Method = strawberry.field(
        default=Method.LOCATION_BASED, description="By which method energy is accounted for."
    )
    scopes: list[Scope] | None = strawberry.field(default=None, description="Which provider scopes count; null = all.")
    base_year: int = strawberry.field(description="The year to compare with, 2000 to 2099.")
    target_year: int = strawberry.field(description="The year to reach it in, later than the base year.")
    fiscal_year_start: int = strawberry.field(
        default=1, description="First month of a year, 1 to 12; 1 = calendar years."
    )
    reduction_percent: float = strawberry.field(
        description="What is to go, in percent of the base year: above 0, at most 100; four decimals count."
    )


@strawberry.input(description="Ends a target.")
class EndTargetInput(MutationInput):
    """Which one."""

    target_id: strawberry.ID = strawberry.field(description="Global id of the target.")


@strawberry.type(description="The target was set.")
class SetTargetPayload:
    """The result."""

    target: Target = strawberry.field(description="The target with its progress.")
    node: HierarchyNode = strawberry.field(description="Its node.")


@strawberry.type(description="The target has ended.")
class EndTargetPayload:
    """The result."""

    target_id: strawberry.ID = strawberry.field(description="Global id of the target.")


SetTargetResult = Annotated[
    SetTargetPayload | Refused | ValidationFailed | QuotaExceeded,
    strawberry.union("SetTargetResult", description="The target, or why there is none."),
]
EndTargetResult = Annotated[
    EndTargetPayload | Refused,
    strawberry.union("EndTargetResult", description="The end of the target, or why it stands."),
]


@strawberry.type
class TargetsMutation:
    """Mutations."""

    @strawberry.mutation(description="Sets a target of a node that the viewer administers.")
    async def set_target(
        self, info: Info, input: Annotated[SetTargetInput, strawberry.argument(description="What to do.")]
    ) -> SetTargetResult:
        """Set."""
        key = node_key(input.node_id, "nodeId")
        if not 1 <= input.fiscal_year_start <= 12:  # noqa: PLR2004 months of a year
            raise bad_input("fiscalYearStart must lie between 1 and 12.", field="fiscalYearStart")
        aim = targets.Aim(
            kind=input.kind,
            method=input.method,
            scopes=tuple(Scope) if input.scopes is None else tuple(input.scopes),
            base_year=input.base_year,
            target_year=input.target_year,
            fiscal_year_start=input.fiscal_year_start,
            # NaN and infinities are refused by the scalar; far numbers by the service.
            reduction_ppm=round(max(min(input.reduction_percent, 1_000), -1) * PPM_PER_PERCENT),
        )

        def act() -> dict[str, Any]:
            made = targets.set_target(viewer=info.context.viewer, node=key.ref, name=input.name, aim=aim)
            return {"id": made.pk}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        held = await info.context.loaders.targets_by_key.load(key)
        row = await info.context.loaders.node_by_key.load(key)
        found = [one for one in held if one.target.pk == done["id"]]
        if row is None or not found:
            return NotFound(message="the target has ended since", code="NOT_FOUND", field=None)
        return SetTargetPayload(target=Target.of(found[0]), node=node_type(row))

    @strawberry.mutation(description="Ends a target of a node that the viewer administers.")
    async def end_target(
        self, info: Info, input: Annotated[EndTargetInput, strawberry.argument(description="What to do.")]
    ) -> EndTargetResult:
        """End."""
        _, target_id = checked_id(input.target_id, "Target", field="targetId")

        def act() -> dict[str, Any]:
            targets.end_target(viewer=info.context.viewer, target_id=target_id)
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return EndTargetPayload(target_id=input.target_id)
