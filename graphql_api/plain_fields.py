"""Fields that are nothing but an attribute or a short method, without what Strawberry does for fields that need more.

For each of the hundreds of values of an answer Strawberry makes an `Info`, converts arguments and goes through a chain
of extensions, which took a fifth of Python's time for a page of a cube (docs/performance.md). Fields qualify that take
no `info`, have no extensions or permissions, are not asynchronous, and whose arguments are enums, which GraphQL has
converted already.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLObjectType
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryList, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import strawberry
    from strawberry.schema.config import StrawberryConfig
    from strawberry.types.arguments import StrawberryArgument
    from strawberry.types.fields.resolver import StrawberryResolver


PLAIN: Final = "canopy_plain"
"""Where a field of graphql-core's schema keeps the function that answers it: of the object and its arguments alone."""


def shorten(schema: strawberry.Schema) -> set[str]:
    """Give the plain fields of a schema plain resolvers; which they are, as `Type.field`."""
    found = set()
    for kind in schema._schema.type_map.values():  # noqa: SLF001 Strawberry's own name for the schema of graphql-core
        if not isinstance(kind, GraphQLObjectType):
            continue
        for name, field in kind.fields.items():
            definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            plain = _plain(definition, schema.config) if isinstance(definition, StrawberryField) else None
            if plain is not None:
                field.resolve = _resolver(plain)
                field.extensions[PLAIN] = plain
                found.add(f"{kind.name}.{name}")
    return found


def _resolver(plain: Callable[..., Any]) -> Callable[..., Any]:
    return lambda source, _info, **given: plain(source, **given)


def _plain(field: StrawberryField, config: StrawberryConfig) -> Callable[..., Any] | None:
    """What answers a plain field; None for a field that is not plain."""
    if field.extensions or field.permission_classes:
        return None
    if field.base_resolver is None:
        return attrgetter(field.python_name)
    method = field.base_resolver.wrapped_func
    if isinstance(method, (staticmethod, classmethod)) or not _needs_values_alone(field.base_resolver, field.arguments):
        return None
    if not field.arguments:
        return method
    names = {config.name_converter.from_argument(argument): argument.python_name for argument in field.arguments}
    return lambda source, **given: method(source, **{names[name]: value for name, value in given.items()})


def _needs_values_alone(resolver: StrawberryResolver[Any], arguments: Iterable[StrawberryArgument]) -> bool:
    """Whether a resolver is a method that is called with its object and values of enums, and answers at once."""
    if resolver.is_async or resolver.self_parameter is None or resolver.info_parameter or resolver.root_parameter:
        return False
    return all(_is_enum(argument.type) for argument in arguments)


def _is_enum(kind: Any) -> bool:  # noqa: ANN401 Strawberry's types of arguments have no common name
    while isinstance(kind, (StrawberryOptional, StrawberryList)):
        kind = kind.of_type
    return isinstance(kind, StrawberryEnumDefinition)
