"""The schema: all types, the extensions, and its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry
from strawberry.schema.config import StrawberryConfig

from graphql_api.documents import CheckedDocuments
from graphql_api.mutations.access import AccessMutation
from graphql_api.mutations.advice import AdviceMutation
from graphql_api.mutations.exports import ExportsMutation
from graphql_api.mutations.operations import OperationsMutation
from graphql_api.mutations.restating import RestatingMutation
from graphql_api.mutations.scopes import need
from graphql_api.mutations.structure import StructureMutation
from graphql_api.mutations.targets import TargetsMutation
from graphql_api.plain_fields import shorten
from graphql_api.plain_lists import PlainListsExecutor
from graphql_api.queries.advice import AdviceQuery
from graphql_api.queries.emissions import EmissionsQuery
from graphql_api.queries.exports import ExportsQuery
from graphql_api.queries.hierarchy import HierarchyQuery
from graphql_api.queries.history import HistoryQuery
from graphql_api.scalars import BIG_INT, MONTH, BigInt, Month
from graphql_api.types.nodes import NODE_TYPES

if TYPE_CHECKING:
    from graphql import GraphQLError
    from strawberry.types import ExecutionContext


@strawberry.type(description="What can be read.")
class Query(HierarchyQuery, EmissionsQuery, HistoryQuery, ExportsQuery, AdviceQuery):
    """The root of all queries."""


need("hierarchy:admin", AccessMutation)
need("hierarchy:admin", StructureMutation)
need("hierarchy:admin", TargetsMutation)
need("exports:write", ExportsMutation)
need("operations", OperationsMutation)
need("operations", RestatingMutation)


@strawberry.type(description="What can be changed. Each mutation answers a union of its result and typed errors.")
class Mutation(
    AccessMutation,
    StructureMutation,
    OperationsMutation,
    RestatingMutation,
    ExportsMutation,
    TargetsMutation,
    AdviceMutation,
):
    """The root of all mutations."""


class Schema(strawberry.Schema):
    """Strawberry's schema; errors are logged by the view, once, with a correlation id."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Leave logging to the view."""


def _schema(*, is_sorted: bool) -> Schema:
    return Schema(
        query=Query,
        mutation=Mutation,
        types=NODE_TYPES,
        extensions=[CheckedDocuments],
        execution_context_class=PlainListsExecutor,
        config=StrawberryConfig(sort_schema=is_sorted, scalar_map={BigInt: BIG_INT, Month: MONTH}),
    )


# Sorting makes new enum types that no longer hand out members of our enums, so the schema that answers is not sorted.
schema = _schema(is_sorted=False)
shorten(schema)


def schema_text() -> str:
    """The schema as it is committed in `schema.graphql`: sorted, so that differences are changes."""
    return _schema(is_sorted=True).as_str().rstrip() + "\n"
