"""What a bearer token has to be good for, looked at before anything else of a mutation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension

if TYPE_CHECKING:
    import strawberry

    from graphql_api.context import Context


class NeedsScope(FieldExtension):
    """Refuses a token that lacks the scope, whatever the input: nothing can be learnt from what it would have said.

    Args:
        scope: its name.
    """

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def resolve_async(
        self,
        next_: AsyncExtensionResolver,
        source: Any,  # noqa: ANN401 the root, which is nothing
        info: strawberry.Info[Context, None],
        **arguments: Any,  # noqa: ANN401 of any mutation
    ) -> Any:  # noqa: ANN401 the result of any mutation
        """Look at the scope, then carry on."""
        info.context.require_scope(self.scope)
        return await next_(source, info, **arguments)


def need(scope: str, mutations: type) -> None:
    """Let every mutation of a class need a scope."""
    for field in mutations.__strawberry_definition__.fields:  # type: ignore[attr-defined] # made by strawberry.type
        field.extensions = [*field.extensions, NeedsScope(scope)]
