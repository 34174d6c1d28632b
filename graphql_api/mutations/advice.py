"""Mutations of advice."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from allocation.services import recommendations
from graphql_api.context import Context
from graphql_api.mutations.access import node_key
from graphql_api.mutations.inputs import MutationInput
from graphql_api.mutations.outcome import MutationRefusal, Refused, ValidationFailed, carried_out

Info = strawberry.Info[Context, None]
SCOPE = "emissions:read"


@strawberry.input(description="Hides a recommendation from the viewer's own lists, or shows it again.")
class DismissRecommendationInput(MutationInput):
    """Which one."""

    node_id: strawberry.ID = strawberry.field(description="Global id of the node.")
    key: str = strawberry.field(description="`key` of the recommendation.")
    reason: str = strawberry.field(default="", description="Why, at most 1 000 characters; for the viewer alone.")
    restore: bool = strawberry.field(default=False, description="Show it again instead.")


@strawberry.type(description="The recommendation is hidden, or shown again.")
class DismissRecommendationPayload:
    """The result."""

    key: str = strawberry.field(description="`key` of the recommendation.")
    dismissed: bool = strawberry.field(description="Whether it is hidden now.")


DismissRecommendationResult = Annotated[
    DismissRecommendationPayload | Refused | ValidationFailed,
    strawberry.union("DismissRecommendationResult", description="How it stands, or why nothing was done."),
]


@strawberry.type
class AdviceMutation:
    """Mutations."""

    @strawberry.mutation(description="Hides a recommendation for a node from the viewer's own lists.")
    async def dismiss_recommendation(
        self,
        info: Info,
        input: Annotated[DismissRecommendationInput, strawberry.argument(description="What to do.")],
    ) -> DismissRecommendationResult:
        """Dismiss."""
        node = node_key(input.node_id, "nodeId").ref

        def act() -> dict[str, Any]:
            recommendations.dismiss(
                viewer=info.context.viewer, node=node, key=input.key, reason=input.reason, restore=input.restore
            )
            return {}

        done = await carried_out(info, scope=SCOPE, given=input, act=act)
        if isinstance(done, MutationRefusal):
            return done  # type: ignore[return-value] # one of the union
        return DismissRecommendationPayload(key=input.key, dismissed=not input.restore)
