"""Documents that read a field in every row of a list, made from the schema: new fields, too, without anybody's help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
    is_required_input_field,
)
from strawberry.types.base import StrawberryObjectDefinition

from graphql_api.schema import schema
from tests.graphql_api.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLField, GraphQLInputType, GraphQLOutputType

ROW = "__typename"
_VARIABLES = {"$first": "Int!", "$period": "PeriodInput!"}


@dataclass(frozen=True)
class Nested:
    """A document that reads fields of a type in the rows of a list.

    Attributes:
        kind: name of the type; the rows carry it as `__typename`.
        text: the document; it takes the size of every page as `$first` and every period as `$period`.
    """

    kind: str
    text: str


def reading_fields() -> dict[str, list[str]]:
    """The fields that can read from the database, by type: the others are synchronous, and Django refuses those."""
    found = {}
    for name in schema._schema.type_map:  # noqa: SLF001 Strawberry has no public way to its types
        kind = schema.get_type_by_name(name)
        if not isinstance(kind, StrawberryObjectDefinition) or name == "Mutation":
            continue
        fields = [schema.config.name_converter.from_field(f) for f in kind.fields if _reads(f)]
        if fields:
            found[name] = fields
    return found


def _reads(field: object) -> bool:
    resolver = getattr(field, "base_resolver", None)
    return resolver is not None and resolver.is_async


class NestedSamples(Samples):
    """Documents with a field below a list.

    Args:
        ids: as in `Samples`.
        starts: for types behind the interface of nodes, the way to rows of them: `%s` is for what is read of a row.
        without: names of fields that are not asked for.
    """

    def __init__(self, ids: dict[str, str], starts: dict[str, str], without: frozenset[str] = frozenset()) -> None:
        super().__init__(ids)
        self._starts = starts
        self._reading = reading_fields()
        self._without = without

    def value(self, kind: GraphQLInputType, name: str = "") -> str:
        """A literal that fits; periods and sizes of pages are variables."""
        while isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(kind, GraphQLInputObjectType):
            if kind.name == "PeriodInput":
                return "$period"
            wanted = {key: each.type for key, each in kind.fields.items() if is_required_input_field(each)}
            given = [f"{key}: {self.value(each, key)}" for key, each in wanted.items()]
            return "{" + ", ".join([*given, *(["first: $first"] if "first" in kind.fields else [])]) + "}"
        # The first of these values asks for one more argument.
        return "PREVIOUS_PERIOD" if getattr(kind, "name", "") == "Comparison" else super().value(kind, name)

    def call(self, name: str, field: GraphQLField, *, without: str = "") -> str:
        """A field with its required arguments and the size of its page."""
        given = [
            f"{key}: {self.value(each.type, key)}"
            for key, each in field.args.items()
            if is_required_argument(each) and key != without
        ]
        given += ["first: $first"] if "first" in field.args else []
        return f"{name}({', '.join(given)})" if given else name

    def nested(self) -> Iterator[Nested]:
        """A document for every type with fields that read, which can be reached through a list: all these fields."""
        for kind, way in self._ways().items():
            fields = [name for name in self._reading.get(kind, ()) if name not in self._without]
            if fields:
                yield self._document(kind, way % self.read(kind, fields))

    def roots(self) -> Iterator[Nested]:
        """A document for every question that can be asked with an id, a period and the size of a page."""
        root = self.schema.query_type
        assert root is not None
        for name, field in root.fields.items():
            if name not in {"explain", "hierarchyNode", "whatIf"}:
                yield self._document(name, self._whole(name, field, 4))

    def _document(self, kind: str, text: str) -> Nested:
        given = ", ".join(f"{name}: {of_type}" for name, of_type in _VARIABLES.items() if name in text)
        return Nested(kind, f"query{f'({given})' if given else ''} {{ {text} }}")

    def read(self, kind: str, fields: list[str]) -> str:
        """Read these fields of a type, with everything below them that needs no further look into the database."""
        of_type = self.schema.type_map[kind]
        assert isinstance(of_type, GraphQLObjectType)
        return " ".join([ROW, *(self._whole(name, of_type.fields[name], 3) for name in fields)])

    def _whole(self, name: str, field: GraphQLField, levels: int) -> str:
        found, call = get_named_type(field.type), self.call(name, field)
        if isinstance(found, GraphQLInterfaceType | GraphQLUnionType):
            return f"{call} {{ {ROW} }}"
        if not isinstance(found, GraphQLObjectType):
            return call
        below = [
            self._whole(key, each, levels - 1)
            for key, each in found.fields.items()
            if key not in {"pageInfo", *self._reading.get(found.name, ())}
            and (levels > 0 or not isinstance(get_named_type(each.type), GraphQLObjectType))
        ]
        return f"{call} {{ {' '.join(below) or ROW} }}"

    def _ways(self) -> dict[str, str]:
        """The shortest way through a list to each object type, with `%s` for what is read there."""
        found = dict(self._starts)
        root = self.schema.query_type
        assert root is not None
        level = [("%s", root, False)] + [
            (way, kind, True)
            for name, way in found.items()
            if isinstance(kind := self.schema.type_map[name], GraphQLObjectType)
        ]
        seen: set[tuple[str, bool]] = {("Query", False)}
        while level:
            below = []
            for way, parent, listed in level:
                for name, field in parent.fields.items():
                    kind = get_named_type(field.type)
                    now_listed = listed or _is_list(field.type)
                    known = name in self._without or (kind.name, now_listed) in seen
                    if known or not isinstance(kind, GraphQLObjectType):
                        continue
                    seen.add((kind.name, now_listed))
                    here = way % f"{self.call(name, field)} {{ %s }}"
                    below.append((here, kind, now_listed))
                    if now_listed:
                        found.setdefault(kind.name, here)
            level = below
        return found


def _is_list(kind: GraphQLOutputType) -> bool:
    while isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    return isinstance(kind, GraphQLList)


def rows_of(answer: object, kind: str) -> int:
    """How many objects of a type there are in an answer."""
    if isinstance(answer, list):
        return sum(rows_of(each, kind) for each in answer)
    if isinstance(answer, dict):
        return (answer.get(ROW) == kind) + sum(rows_of(each, kind) for each in answer.values())
    return 0
