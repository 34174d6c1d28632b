"""Lists of plain values, written without asking the executor for each of them.

For every value of an answer the executor makes a path and an `info`, reads arguments and finds out of which kind its
type is: half of Python's time for a page of the cube (docs/performance.md). Where nothing but plain fields
(`graphql_api.plain_fields`) is asked of the items of a list, a function that is made once for the selection writes each
item. Whatever is out of the ordinary (a null where none may be, an exception, a value that its type refuses) makes the
executor begin the list anew, and tell errors as it always does: plain fields may be asked twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLError,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    is_leaf_type,
)
from graphql.execution.values import get_argument_values
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_api.plain_fields import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLOutputType, GraphQLResolveInfo
    from graphql.execution.collect_fields import FieldDetailsList
    from graphql.pyutils import AwaitableOrValue, Path

    Write = Callable[[Any], Any]

_WORTH_A_FUNCTION: Final = 4
"""Items from which on it costs less to make a function than to do without one."""


class _UnusualError(Exception):
    """Only the executor knows what to do."""


class PlainListsExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, with a short way for lists of plain values."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 whatever the executor is given
        super().__init__(*args, **kwargs)
        self._written: dict[tuple[str, int], tuple[FieldDetailsList, Write | None]] = {}

    def complete_iterable_value(  # noqa: PLR0913, PLR0917 graphql-core's signature
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Any,  # noqa: ANN401 whatever a resolver took for a list
        position_context: Any,  # noqa: ANN401 of deferred parts, which the executor keeps to itself
    ) -> AwaitableOrValue[list[Any]]:
        """Write the items of a list, the short way if there is one."""
        if isinstance(items, (list, tuple)) and len(items) >= _WORTH_A_FUNCTION and position_context is None:
            write = self.writer(item_type, field_details_list)
            if write is not None:
                try:
                    return [write(item) for item in items]
                except Exception:  # noqa: BLE001, S110 raised again below, where the executor tells it with its path
                    pass
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)

    def writer(self, kind: GraphQLOutputType, details: FieldDetailsList) -> Write | None:
        """Find or make the function for a selection; None if it is not plain throughout."""
        # As the executor does with selections: the list is kept, so that its number stays its own.
        key = (str(kind), id(details))
        if key not in self._written:
            try:
                self._written[key] = details, self._of(kind, details)
            except (_UnusualError, GraphQLError):
                self._written[key] = details, None
        return self._written[key][1]

    def _of(self, kind: GraphQLOutputType, details: FieldDetailsList) -> Write:
        required = isinstance(kind, GraphQLNonNull)
        there = self._of_present(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, details)

        def write(value: Any) -> Any:  # noqa: ANN401 a value of any type
            if value is None and not required:
                return None
            if value is None or isinstance(value, Exception):
                raise _UnusualError
            return there(value)

        return write

    def _of_present(self, kind: GraphQLOutputType, details: FieldDetailsList) -> Write:
        if isinstance(kind, GraphQLObjectType):
            return self._of_object(kind, details)
        if isinstance(kind, GraphQLList):
            return _of_list(self._of(kind.of_type, details))
        if is_leaf_type(kind):
            return _of_leaf(kind)
        raise _UnusualError  # an interface or a union: which type it is, is found out for each value

    def _of_object(self, kind: GraphQLObjectType, details: FieldDetailsList) -> Write:
        selected = self.collect_subfields(kind, details)
        if kind.is_type_of is not None or selected.new_defer_usages:
            raise _UnusualError
        steps = [(name, self._of_field(kind, inner)) for name, inner in selected.grouped_field_set.items()]
        return lambda value: {name: step(value) for name, step in steps}

    def _of_field(self, kind: GraphQLObjectType, details: FieldDetailsList) -> Write:
        first = details[0]
        name = first.node.name.value
        if name == "__typename":
            return lambda _: kind.name
        field = kind.fields[name]
        plain = field.extensions.get(PLAIN)
        if plain is None or (self.middleware_manager and self.middleware_manager.middlewares):
            raise _UnusualError
        write = self._of(field.type, details)
        if not field.args:
            return lambda source: write(plain(source))
        given = get_argument_values(
            field, first.node, self.variable_values, first.fragment_variable_values, self.hide_suggestions
        )
        return lambda source: write(plain(source, **given))


def _of_list(write: Write) -> Write:
    def write_list(values: Any) -> list[Any]:  # noqa: ANN401 whatever a resolver took for a list
        if not isinstance(values, (list, tuple)):
            raise _UnusualError
        return [write(value) for value in values]

    return write_list


def _of_leaf(kind: GraphQLLeafType) -> Write:
    coerce = kind.coerce_output_value

    def write_leaf(value: Any) -> Any:  # noqa: ANN401 a value of any type
        written = coerce(value)
        if written is None or written is Undefined:
            raise _UnusualError
        return written

    return write_leaf
