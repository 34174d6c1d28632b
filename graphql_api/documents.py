"""From the text of a request to a document that may be executed: parsed, limited, validated, and remembered."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    StringValueNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from strawberry.extensions import SchemaExtension

from graphql_api import limits
from graphql_api.errors import MAX_ERRORS, Code, RefusedError, bad_input

if TYPE_CHECKING:
    from collections.abc import Iterator

REMEMBERED_DOCUMENTS = 512
REMEMBERED_CHARACTERS = 16_384


class Checked(NamedTuple):
    """A parsed document, or what is wrong with the text."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]


def checked(schema: GraphQLSchema, text: str) -> Checked:
    """Parse, limit and validate; documents of ordinary length are remembered."""
    check = _remembered if len(text) <= REMEMBERED_CHARACTERS else _check
    return check(schema, text, settings.GRAPHQL_INTROSPECTION, settings.DEBUG)


def _check(schema: GraphQLSchema, text: str, introspection: bool, suggestions: bool) -> Checked:  # noqa: FBT001 cache keys are positional
    try:
        document = parse(text, max_lexical_tokens=limits.MAX_TOKENS)
    except GraphQLError as error:
        return Checked(None, (_syntax(error),))
    except RecursionError:
        return Checked(None, (RefusedError("The document is nested too deeply.", Code.DEPTH_LIMIT_EXCEEDED),))
    errors: tuple[GraphQLError, ...] = (*limits.refusals(document),) or (*_unwritable(document),)
    if errors:
        return Checked(document, errors[:MAX_ERRORS])
    rules = specified_rules if introspection else (*specified_rules, limits.NoIntrospection)
    try:
        found = validate(schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=not suggestions)
    except RecursionError:
        found = [RefusedError("The document is nested too deeply.", Code.DEPTH_LIMIT_EXCEEDED)]
    return Checked(document, tuple(_invalid(error) for error in found[:MAX_ERRORS]))


_remembered = lru_cache(maxsize=REMEMBERED_DOCUMENTS)(_check)


def _syntax(error: GraphQLError) -> GraphQLError:
    if "more than" in error.message and "tokens" in error.message:
        return RefusedError(f"At most {limits.MAX_TOKENS} tokens are allowed.", Code.TOKEN_LIMIT_EXCEEDED)
    error.extensions = {"code": Code.GRAPHQL_PARSE_FAILED.value}
    return error


def _invalid(error: GraphQLError) -> GraphQLError:
    if not (error.extensions and "code" in error.extensions):
        error.extensions = {"code": Code.GRAPHQL_VALIDATION_FAILED.value}
    return error


class _Texts(Visitor):
    """Find texts that PostgreSQL cannot store."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[StringValueNode] = []

    def enter_string_value(self, node: StringValueNode, *_args: object) -> None:
        if not is_writable(node.value):
            self.bad.append(node)


def is_writable(text: str) -> bool:
    """Tell whether a text can be stored: neither U+0000 nor half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _unwritable(document: DocumentNode) -> Iterator[GraphQLError]:
    texts = _Texts()
    visit(document, texts)
    for _ in texts.bad[:1]:
        yield bad_input("A text contains U+0000 or half a surrogate pair.")


class CheckedDocuments(SchemaExtension):
    """Gives the executor the checked document and measures its cost with the variables of the request."""

    def on_parse(self) -> Iterator[None]:
        """Take the document out of memory, or parse, limit and validate it."""
        context = self.execution_context
        schema = context.schema._schema  # noqa: SLF001 Strawberry has no public name for the core schema
        found = checked(schema, context.query or "")
        if found.document is None:
            raise found.errors[0]
        self.operation = _operation(found.document, context._provided_operation_name)  # noqa: SLF001 `operation_name` guesses
        context.graphql_document = found.document
        self.errors = found.errors
        yield

    def on_validate(self) -> Iterator[None]:
        """Report what was found, then the cost."""
        context = self.execution_context
        context.pre_execution_errors = list(self.errors) or self._cost()
        yield

    def _cost(self) -> list[GraphQLError]:
        context = self.execution_context
        if context.graphql_document is None:
            return []
        found = limits.cost_of(context.graphql_document, self.operation, context.variables or {}, READS)
        if found <= limits.MAX_COST:
            return []
        told = f"The query costs {found}, allowed are {limits.MAX_COST}. Ask for smaller pages."
        return [RefusedError(told, Code.COST_LIMIT_EXCEEDED, cost=found, limit=limits.MAX_COST)]


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Find the operation to execute: the named one, or the only one."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    chosen = [node for node in operations if name is None or (node.name is not None and node.name.value == name)]
    if len(chosen) != 1:
        raise RefusedError("Name one operation of the document in operationName.", Code.OPERATION_RESOLUTION_FAILURE)
    return chosen[0]


# Fields that read rows from the database; tests check that they exist.
READS: frozenset[str] = frozenset(
    {
        "accounts",
        "allocationRuns",
        "audit",
        "byAccount",
        "byAccountGroup",
        "byLocation",
        "byResourceGroup",
        "byService",
        "change",
        "children",
        "comparedWith",
        "coverage",
        "dimensionValues",
        "emissionFactors",
        "explain",
        "exportSchedules",
        "exports",
        "files",
        "grants",
        "hierarchyNode",
        "latestExport",
        "locations",
        "methodologies",
        "methodologyVersions",
        "path",
        "leaves",
        "restatementProposals",
        "recommendations",
        "resourceGroups",
        "restatements",
        "roles",
        "search",
        "serviceIntensities",
        "targets",
        "totalCount",
        "verificationStatements",
        "whatIf",
    }
)
