"""Questions made from the schema itself: every field with every argument, new ones without anybody saying so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_required_argument,
    is_required_input_field,
)

from graphql_api.management.commands.export_schema import COMMITTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLAIN = {
    "Int": "1",
    "Float": "1.0",
    "Boolean": "true",
    "String": '"x"',
    "Month": '"2025-01"',
    "BigInt": '"1"',
    "DateTime": '"2025-06-01T00:00:00Z"',
    "Date": '"2025-06-01"',
}
BY_NAME = {"until": '"2025-02"', "baseYear": "2025", "targetYear": "2030"}


@dataclass(frozen=True)
class Place:
    """An argument somewhere in the schema.

    Attributes:
        path: fields from the root to the one that has it, each with its own arguments filled in but for this one's.
        argument: its name.
        kind: its type.
    """

    path: tuple[str, ...]
    argument: str
    kind: GraphQLInputType
    parent: str

    def __str__(self) -> str:
        return f"{self.parent}({self.argument})"


class Samples:
    """Documents that fit the schema.

    Args:
        ids: literals for arguments of type ID, by name of the argument; `""` is for all others.
    """

    def __init__(self, ids: Mapping[str, str]) -> None:
        self.schema: GraphQLSchema = build_schema(COMMITTED.read_text())
        self._ids = ids

    def value(self, kind: GraphQLInputType, name: str = "") -> str:
        """A literal that fits, as small as possible."""
        while isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(kind, GraphQLList):
            return f"[{self.value(kind.of_type, name.removesuffix('s'))}]"
        if isinstance(kind, GraphQLInputObjectType):
            wanted = {key: each.type for key, each in kind.fields.items() if is_required_input_field(each)}
            if not wanted:  # one of several ways to say it
                wanted = dict([next((key, each.type) for key, each in kind.fields.items())])
            return "{" + ", ".join(f"{key}: {self.value(each, key)}" for key, each in wanted.items()) + "}"
        if isinstance(kind, GraphQLEnumType):
            return str(next(iter(kind.values)))
        if kind.name == "ID":
            return self._ids.get(name, self._ids[""])
        return BY_NAME.get(name) or PLAIN[kind.name]

    def call(self, name: str, field: GraphQLField, *, without: str = "") -> str:
        """A field with its required arguments, but for one."""
        given = [
            f"{key}: {self.value(each.type, key)}"
            for key, each in field.args.items()
            if is_required_argument(each) and key != without
        ]
        return f"{name}({', '.join(given)})" if given else name

    def mutations(self) -> Iterator[tuple[str, str]]:
        """Every mutation with a document for it."""
        root = self.schema.mutation_type
        assert root is not None
        for name, field in root.fields.items():
            yield name, f"mutation {{ {self.call(name, field)} {{ __typename }} }}"

    def arguments(self) -> Iterator[Place]:
        """Every argument of every field that can be reached from `Query`, by the shortest way; those of mutations."""
        for root in (self.schema.query_type, self.schema.mutation_type):
            assert root is not None
            seen: set[str] = set()
            level: list[tuple[tuple[str, ...], GraphQLObjectType | GraphQLInterfaceType]] = [((), root)]
            while level:
                below = []
                for path, parent in level:
                    if parent.name in seen:
                        continue
                    seen.add(parent.name)
                    for name, field in parent.fields.items():
                        for key, argument in field.args.items():
                            call = self.call(name, field, without=key)
                            whole = (*path, opened(call, key, field))
                            where = f"{parent.name}.{name}"
                            yield Place(whole, key, argument.type, where)
                            yield from self._inside(whole, key, argument.type, where)
                        found = get_named_type(field.type)
                        kinds = found.types if isinstance(found, GraphQLUnionType) else (found,)
                        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType) and root.name == "Query":
                            here = (*path, self.call(name, field))
                            below += [(here, kind) for kind in kinds]
                level = below

    def _inside(self, path: tuple[str, ...], key: str, kind: GraphQLInputType, where: str) -> Iterator[Place]:
        """The fields of an argument that is an object, each with the others that have to be there."""
        while isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if not isinstance(kind, GraphQLInputObjectType):
            return
        for name, field in kind.fields.items():
            others = [
                f"{other}: {self.value(each.type, other)}"
                for other, each in kind.fields.items()
                if other != name and is_required_input_field(each)
            ]
            literal = "{" + ", ".join([*others, f"{name}: %s"]) + "}"
            whole = (*path[:-1], path[-1].replace("%s", literal))
            yield Place(whole, f"{key}.{name}", field.type, where)

    def document(self, place: Place, literal: str) -> str:
        """A document with this literal for the argument."""
        inner = place.path[-1].replace("%s", literal)
        for call in reversed(place.path[:-1]):
            inner = f"{call} {{ {inner} }}"
        root = "mutation" if place.parent.startswith("Mutation.") else "query"
        return f"{root} {{ {inner} }}"


def opened(call: str, key: str, field: GraphQLField) -> str:
    """A field with room for one more argument, and with something below it, if anything has to be."""
    given = f"{call[:-1]}, {key}: %s)" if call.endswith(")") else f"{call}({key}: %s)"
    found = get_named_type(field.type)
    below = isinstance(found, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
    return f"{given} {{ __typename }}" if below else given


def quoted(text: str) -> str:
    """A text as a literal."""
    return json.dumps(text)
