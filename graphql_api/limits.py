"""What a document may ask for at most, measured before anything is executed.

Every measure walks each fragment once and remembers it (a fragment that is spread a thousand times is not walked a
thousand times). The rule classes are built at import, so that documents already checked are remembered as such.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    value_from_ast_untyped,
)

from graphql_api.errors import Code, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BODY_BYTES: Final = 256 * 1024
MAX_JSON_DEPTH: Final = 32
MAX_NUMBER_CHARACTERS: Final = 40
MAX_TOKENS: Final = 2_000
MAX_DEPTH: Final = 12
MAX_ALIASES: Final = 40
MAX_DIRECTIVES: Final = 20
MAX_FRAGMENTS: Final = 50
MAX_SAME_FIELD: Final = 50
MAX_COST: Final = 20_000
STATEMENT_TIMEOUT_MS: Final = 5_000
CHANGE_TIMEOUT_MS: Final = 60_000

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 100
# A field that takes rows out of the database costs more than one that reads an attribute.
READ_COST: Final = 10
# Lists without pages are short: months, services behind a summary, entries of a path.
LIST_FACTOR: Final = 12


class Measure(NamedTuple):
    """What a selection set holds, everything spread into it included."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0


@dataclass(slots=True)
class _Document:
    fragments: Mapping[str, FragmentDefinitionNode]
    known: dict[str, Measure]
    open: set[str]

    def measure(self, selections: SelectionSetNode | None) -> Measure:
        depth = aliases = directives = 0
        for node in selections.selections if selections else ():
            directives += len(node.directives or ())
            if isinstance(node, FragmentSpreadNode):
                below, level = self.fragment(node.name.value), 0
            elif isinstance(node, InlineFragmentNode):
                below, level = self.measure(node.selection_set), 0
            elif isinstance(node, FieldNode):
                below, level = self._field(node)
                aliases += node.alias is not None
            depth = max(depth, level + below.depth)
            aliases += below.aliases
            directives += below.directives
        return Measure(depth, aliases, directives)

    def _field(self, node: FieldNode) -> tuple[Measure, int]:
        # Introspection has a depth of its own (graphql-core's MaxIntrospectionDepthRule).
        if node.name.value in {"__schema", "__type"}:
            below = self.measure(node.selection_set)
            return Measure(0, below.aliases, below.directives), 1
        return self.measure(node.selection_set), 1

    def fragment(self, name: str) -> Measure:
        if name in self.known:
            return self.known[name]
        if name in self.open:
            raise RefusedError("Fragments spread one another in a circle.", Code.FRAGMENT_CYCLE)
        definition = self.fragments.get(name)
        if definition is None:
            return Measure()  # KnownFragmentNames reports it
        self.open.add(name)
        found = self.measure(definition.selection_set)
        self.open.remove(name)
        here = Measure(found.depth, found.aliases, found.directives + len(definition.directives or ()))
        self.known[name] = here
        return here


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Find the document's fragments by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def refusals(document: DocumentNode) -> Iterator[RefusedError]:
    """Yield what the document has too much of: depth, aliases, directives, fragments, repetitions of one field."""
    fragments = fragments_of(document)
    if len(fragments) > MAX_FRAGMENTS:
        yield RefusedError(f"At most {MAX_FRAGMENTS} fragments are allowed.", Code.FRAGMENT_LIMIT_EXCEEDED)
        return
    whole = _Document(fragments, {}, set())
    try:
        for name in fragments:
            whole.fragment(name)
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                yield from _over(whole.measure(operation.selection_set), len(operation.directives or ()))
    except RefusedError as cycle:
        yield cycle
        return
    except RecursionError:
        yield _too_deep()
        return
    yield from _repetitions(document)


def _too_deep() -> RefusedError:
    return RefusedError(f"At most {MAX_DEPTH} levels of fields are allowed.", Code.DEPTH_LIMIT_EXCEEDED)


def _over(found: Measure, own_directives: int) -> Iterator[RefusedError]:
    if found.depth > MAX_DEPTH:
        yield _too_deep()
    if found.aliases > MAX_ALIASES:
        yield RefusedError(f"At most {MAX_ALIASES} aliases are allowed.", Code.ALIAS_LIMIT_EXCEEDED)
    if found.directives + own_directives > MAX_DIRECTIVES:
        yield RefusedError(f"At most {MAX_DIRECTIVES} directives are allowed.", Code.DIRECTIVE_LIMIT_EXCEEDED)


def _repetitions(document: DocumentNode) -> Iterator[RefusedError]:
    """Refuse the same response key many times: merging compares each pair of them."""
    keys: Counter[str] = Counter()
    spreads = 0
    stack: list[Any] = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while stack:
        for node in stack.pop().selections:
            if isinstance(node, FieldNode):
                keys[(node.alias or node.name).value] += 1
            spreads += isinstance(node, FragmentSpreadNode)
            if getattr(node, "selection_set", None):
                stack.append(node.selection_set)
    if keys and max(keys.values()) > MAX_SAME_FIELD:
        yield RefusedError(f"At most {MAX_SAME_FIELD} selections of one field.", Code.DUPLICATE_FIELD_LIMIT_EXCEEDED)
    if spreads > 2 * MAX_FRAGMENTS:
        yield RefusedError(f"At most {2 * MAX_FRAGMENTS} fragment spreads.", Code.FRAGMENT_LIMIT_EXCEEDED)


class DocumentLimits(ASTValidationRule):
    """The limits as a validation rule."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        for refusal in refusals(context.document):
            self.report_error(refusal)


class NoIntrospection(ASTValidationRule):
    """Refuse questions about the schema where the installation has switched them off."""

    def enter_field(self, node: FieldNode, *_args: object) -> None:
        """Report `__schema` and `__type`; `__typename` stays, clients need it."""
        if node.name.value in {"__schema", "__type"}:
            self.report_error(RefusedError("Introspection is switched off here.", Code.INTROSPECTION_DISABLED))


def cost_of(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any], reads: frozenset[str]
) -> int:
    """Estimate how many values the operation answers with; `reads` names the fields that read from the database.

    What stands below `edges` counts as often as the page has rows: by the argument `first` of the field above, by a
    `first` inside its `input`, else `DEFAULT_PAGE`. Fragments are counted once for each page size and remembered.
    """
    return _Cost(fragments_of(document), variables, reads, {}).of(operation.selection_set, DEFAULT_PAGE)


@dataclass(frozen=True, slots=True)
class _Cost:
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    reads: frozenset[str]
    known: dict[tuple[str, int], int]

    def of(self, selections: SelectionSetNode | None, page: int) -> int:
        total = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FragmentSpreadNode):
                total += self._fragment(node.name.value, page)
            elif isinstance(node, InlineFragmentNode):
                total += self.of(node.selection_set, page)
            elif isinstance(node, FieldNode):
                total += self._field(node, page)
        return total

    def _fragment(self, name: str, page: int) -> int:
        key = (name, page)
        if key not in self.known:
            definition = self.fragments.get(name)
            self.known[key] = self.of(definition.selection_set, page) if definition else 0
        return self.known[key]

    def _field(self, node: FieldNode, page: int) -> int:
        name = node.name.value
        own = READ_COST if name in self.reads else 1
        if name == "edges":
            return own + page * self.of(node.selection_set, DEFAULT_PAGE)
        below = self.of(node.selection_set, self._page(node, page))
        return own + (LIST_FACTOR if name.startswith("by") else 1) * below

    def _page(self, node: FieldNode, page: int) -> int:
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        if "first" in given:
            return self._size(value_from_ast_untyped(given["first"], dict(self.variables)))
        if "input" in given:
            found = value_from_ast_untyped(given["input"], dict(self.variables))
            return self._size(found.get("first")) if isinstance(found, dict) else MAX_PAGE
        return page if "after" not in given else DEFAULT_PAGE

    @staticmethod
    def _size(first: object) -> int:
        return min(max(first, 1), MAX_PAGE) if isinstance(first, int) else DEFAULT_PAGE
