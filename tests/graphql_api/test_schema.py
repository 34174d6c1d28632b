"""The schema is committed, and everything in it is described."""

from __future__ import annotations

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, build_schema

from graphql_api.documents import READS
from graphql_api.management.commands.export_schema import COMMITTED
from graphql_api.schema import schema_text


def test_the_committed_schema_is_that_of_the_code() -> None:
    assert COMMITTED.read_text() == schema_text(), "run: python manage.py export_schema"


def test_everything_is_described() -> None:
    bare = []
    for name, found in build_schema(schema_text()).type_map.items():
        if name.startswith("__") or name in {"String", "Int", "Float", "Boolean", "ID", "DateTime"}:
            continue
        if not found.description:
            bare.append(name)
        if isinstance(found, GraphQLEnumType):
            bare += [f"{name}.{value}" for value, entry in found.values.items() if not entry.description]
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field, entry in found.fields.items():
                if not entry.description:
                    bare.append(f"{name}.{field}")
                arguments = getattr(entry, "args", {})
                bare += [f"{name}.{field}({arg})" for arg, given in arguments.items() if not given.description]
    assert bare == []


def test_the_cost_knows_only_fields_that_exist() -> None:
    fields = {
        field
        for found in build_schema(schema_text()).type_map.values()
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType)
        for field in found.fields
    }
    assert fields >= READS
