"""The schema is committed, and everything in it is described."""

from __future__ import annotations

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    build_schema,
    concat_ast,
    get_named_type,
    parse,
    validate,
)

from carbon.environment import CLONE_DIR
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


def test_the_documents_of_the_clients_ask_every_field_of_the_roots() -> None:
    """`make clients` compiles, lints and types them: so every part of the API is one that these tools take."""
    documents = sorted((CLONE_DIR / "tests" / "clients" / "documents").glob("*.graphql"))
    schema = build_schema(COMMITTED.read_text())
    together = concat_ast([parse(path.read_text()) for path in documents])
    assert validate(schema, together) == []
    asked = {
        field.name.value  # type: ignore[attr-defined] # operations at the roots select fields only
        for found in together.definitions
        if isinstance(found, OperationDefinitionNode)
        for field in found.selection_set.selections
    }
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    assert asked == schema.query_type.fields.keys() | schema.mutation_type.fields.keys()


def test_every_mutation_takes_one_input_with_a_key_against_repetitions() -> None:
    root = build_schema(schema_text()).mutation_type
    assert root is not None
    for name, field in root.fields.items():
        (given,) = field.args
        assert given == "input", name
        assert "clientMutationId" in get_named_type(field.args[given].type).fields, name
