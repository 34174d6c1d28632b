"""What the tools of front-end teams say of the committed schema and of documents written against it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from graphql_api.management.commands.export_schema import COMMITTED
from tests.clients.conftest import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Node

GENERATED = FOLDER / "generated"


@pytest.fixture
def generated() -> Path:
    """An empty folder beside the documents, with a copy of the schema: ESLint reads nothing above its own folder."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    (GENERATED / "relay").mkdir(parents=True)
    shutil.copy(COMMITTED, GENERATED / "schema.graphql")
    return GENERATED


def test_a_typed_client_is_generated_and_compiles(node: Node, generated: Path) -> None:
    node.run("graphql-codegen", "--config", "codegen.ts")
    assert "export type ChildrenQuery" in (generated / "client" / "graphql.ts").read_text()
    node.run("tsc", "--project", ".")


def test_relay_compiles_a_paged_fragment(node: Node, generated: Path) -> None:
    node.run("relay-compiler", "relay.config.json")
    made = {path.name for path in (generated / "relay").iterdir()}
    assert {"ChildListQuery.graphql.ts", "ChildListPaginationQuery.graphql.ts"} <= made


@pytest.mark.usefixtures("generated")
def test_schema_and_documents_pass_the_linter(node: Node) -> None:
    node.run("eslint", "--max-warnings=0", "generated/schema.graphql", "documents/*.graphql")


def test_the_linter_finds_a_fault(node: Node, generated: Path) -> None:
    schema = generated / "schema.graphql"
    schema.write_text(schema.read_text() + "\ntype not_pascal { Field: Int }\n")
    said = node.run("sh", "-c", "eslint generated/schema.graphql || true")
    assert "naming-convention" in said
    assert "require-description" in said


@pytest.mark.usefixtures("generated")
def test_graphql_inspector_accepts_the_documents_and_knows_what_breaks_them(node: Node) -> None:
    told = json.loads(node.run("node", "inspect.mjs"))
    assert told["documents"] >= 4
    assert (told["invalid"], told["same"], told["added"]) == ([], [], [])
    assert "FIELD_REMOVED" in told["removed"]
