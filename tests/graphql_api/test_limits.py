"""Each limit with its code, at the limit and beyond it; and what used to make servers slow."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from carbon.environment import CLONE_DIR
from graphql_api import limits
from tests.graphql_api.ask import codes, errors, post, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.read_model.world import World

ACME = '{kind: ENTERPRISE_PARENT, externalId: "acme"}'
PERIOD = '{from: "2025-01", until: "2025-02"}'


def nested(levels: int) -> str:
    """A document of `levels` levels of fields."""
    inner = "id"
    for _ in range((levels - 2) // 3):
        inner = f"children(period: {PERIOD}, first: 1) {{ edges {{ node {{ {inner} }} }} }}"
    return f'{{ hierarchyNode(id: "x") {{ {inner} }} }}'


def test_depth(world: World) -> None:
    client = signed_in(world, "owner")
    assert "DEPTH_LIMIT_EXCEEDED" not in codes(client, nested(11))
    assert codes(client, nested(14)) == ["DEPTH_LIMIT_EXCEEDED"]
    assert codes(client, "{" * 900 + "a" + "}" * 900) in (["DEPTH_LIMIT_EXCEEDED"], ["GRAPHQL_PARSE_FAILED"])


def test_depth_counts_fragments(world: World) -> None:
    spread = "fragment F0 on HierarchyNode { id }"
    for number in range(1, 6):
        below = f"children(period: {PERIOD}) {{ edges {{ node {{ ...F{number - 1} }} }} }}"
        spread += f" fragment F{number} on HierarchyNode {{ {below} }}"
    query = f'{{ hierarchyNode(id: "x") {{ ...F5 }} }} {spread}'
    assert codes(signed_in(world, "owner"), query) == ["DEPTH_LIMIT_EXCEEDED"]


def _asked(query: str) -> str:
    return json.dumps({"query": query})


# For each limit a body that reaches so far.
REACHING: dict[str, Callable[[int], str]] = {
    "MAX_BODY_BYTES": lambda n: _asked("{ viewer { username } }").ljust(n),
    "MAX_JSON_DEPTH": lambda n: (
        '{"query": "{ viewer { username } }", "variables": {"x": ' + "[" * (n - 2) + "1" + "]" * (n - 2) + "}}"
    ),
    "MAX_NUMBER_CHARACTERS": lambda n: '{"query": "{ viewer { username } }", "variables": {"x": ' + "9" * n + "}}",
    "MAX_TOKENS": lambda n: _asked("{ viewer { " + "username " * (n - 5) + "} }"),
    "MAX_DEPTH": lambda n: _asked("{ viewer " * (n - 1) + "{ username }" + " }" * (n - 1)),
    "MAX_ALIASES": lambda n: _asked("{ viewer { " + " ".join(f"a{k}: username" for k in range(n)) + " } }"),
    "MAX_DIRECTIVES": lambda n: _asked("{ viewer { username " + "@skip(if: false) " * n + "} }"),
    "MAX_FRAGMENTS": lambda n: _asked(
        "{ viewer { ...F0 } } " + " ".join(f"fragment F{k} on Viewer {{ username }}" for k in range(n))
    ),
    "MAX_SAME_FIELD": lambda n: _asked("{ viewer { " + "username " * n + "} }"),
    "MAX_PAGE": lambda n: _asked(f'{{ search(text: "x", first: {n}) {{ edges {{ cursor }} }} }}'),
}
COSTS = "MAX_COST"  # `test_cost_multiplies_by_the_page`
LIMIT = re.compile(r"^\|[^|]*\| [\d ]+ \| `([A-Z_]+)` \| `(MAX_\w+)` \|$", re.MULTILINE)
CODES = {name: code for code, name in LIMIT.findall((CLONE_DIR / "docs" / "api.md").read_text("utf-8"))}


@pytest.mark.parametrize("name", REACHING)
def test_what_reaches_a_limit_is_answered_and_what_lies_beyond_is_refused(world: World, name: str) -> None:
    client = signed_in(world, "owner")

    def refused(reach: int) -> bool:
        answer = json.loads(post(client, REACHING[name](reach)).content)
        return CODES[name] in [error["extensions"]["code"] for error in answer.get("errors", [])]

    limit = getattr(limits, name)
    assert (refused(limit), refused(limit + 1)) == (False, True)


def test_every_limit_is_tried() -> None:
    assert REACHING.keys() | {COSTS} == CODES.keys() == {name for name in vars(limits) if name.startswith("MAX_")}


def test_aliases_in_fragments_count_each_time(world: World) -> None:
    query = "{ viewer { ...F } b: viewer { ...F } c: viewer { ...F } } fragment F on Viewer { "
    query += " ".join(f"a{n}: username" for n in range(14)) + " }"
    assert codes(signed_in(world, "owner"), query) == ["ALIAS_LIMIT_EXCEEDED"]


def test_fragment_cycles(world: World) -> None:
    query = "{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { username ...A }"
    assert codes(signed_in(world, "owner"), query) == ["FRAGMENT_CYCLE"]
    itself = "{ viewer { ...A } } fragment A on Viewer { username ...A }"
    assert codes(signed_in(world, "owner"), itself) == ["FRAGMENT_CYCLE"]


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1])
def test_page_sizes(world: World, first: int) -> None:
    pages = f"children(period: {PERIOD}, first: {first}) {{ pageInfo {{ hasNextPage }} }}"
    query = f"{{ hierarchyNode(by: {ACME}) {{ {pages} }} }}"
    assert codes(signed_in(world, "owner"), query) == ["BAD_USER_INPUT"]


def test_cost_multiplies_by_the_page(world: World) -> None:
    query = f"""query($n: Int) {{ hierarchyNode(by: {ACME}) {{
        children(period: {PERIOD}, first: $n) {{ edges {{ node {{
            children(period: {PERIOD}, first: $n) {{ edges {{ node {{ id name }} }} }} }} }} }} }} }}"""
    client = signed_in(world, "owner")
    assert codes(client, query, n=10) == []
    assert codes(client, query, n=100) == ["COST_LIMIT_EXCEEDED"]


def test_suggestions_are_for_debugging_only(world: World, settings: object) -> None:
    client = signed_in(world, "owner")
    told = errors(client, "{ viewer { usernam } }") + errors(client, "{ viewr { username } }")
    told += errors(client, '{ hierarchyNode(by: {kind: ACCOUN, externalId: "x"}) { id } }')
    assert len(told) == 3
    assert not [error for error in told if "Did you mean" in error["message"]]
    settings.DEBUG = True  # type: ignore[attr-defined] # pytest-django's settings
    assert "Did you mean" in errors(client, "{ viewer { usernam } }")[0]["message"]


def test_introspection_can_be_switched_off(world: World, settings: object) -> None:
    client = signed_in(world, "owner")
    assert codes(client, "{ __schema { queryType { name } } }") == []
    settings.GRAPHQL_INTROSPECTION = False  # type: ignore[attr-defined] # pytest-django's settings
    assert codes(client, "{ __schema { queryType { name } } }") == ["INTROSPECTION_DISABLED"]
    assert codes(client, "{ viewer { __typename } }") == []


def test_circular_introspection_is_refused(world: World) -> None:
    inner = "name"
    for _ in range(5):
        inner = f"fields {{ type {{ {inner} }} }}"
    assert codes(signed_in(world, "owner"), f"{{ __schema {{ types {{ {inner} }} }} }}") == [
        "GRAPHQL_VALIDATION_FAILED"
    ]


def test_errors_are_few_and_short(world: World) -> None:
    query = "{ viewer { " + " ".join(f"{'x' * 400}{n}" for n in range(20)) + " } }"
    told = errors(signed_in(world, "owner"), query)
    assert len(told) == 5
    assert all(len(error["message"]) <= 300 for error in told)


SLOW = {
    "fragments that double": "{ viewer { ...F0 } } "
    + " ".join(f"fragment F{n} on Viewer {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    + " fragment F40 on Viewer { username }",
    "overlapping fields": "{ " + " ".join("viewer { username isOperator displayName }" for _ in range(50)) + " }",
    "overlapping fragments": "{ viewer { "
    + " ".join(f"...F{n}" for n in range(49))
    + " } } "
    + " ".join(f"fragment F{n} on Viewer {{ username displayName isOperator scopes }}" for n in range(49)),
    "deep values": '{ hierarchyNode(id: "x") { emissions(period: {from: "2025-01"}, filter: {services: '
    + "[" * 900
    + "]" * 900
    + "}) { complete } } }",
    "inline fragments": "{ viewer " + "{ ... " * 180 + "{ username }" + " }" * 180 + " }",
    "long name": "{ " + "x" * 200_000 + " }",
    "comments": "# " + "x" * 100_000 + "\n{ viewer { username } }",
    "block text": '{ hierarchyNode(id: """' + "x" * 200_000 + '""") { id } }',
    "long number": "{ viewer { username(x: " + "9" * 50_000 + ") } }",
}


@pytest.mark.parametrize("name", SLOW)
def test_no_small_document_takes_long(world: World, name: str) -> None:
    client = signed_in(world, "owner")
    began = time.process_time()
    told = errors(client, SLOW[name])
    assert time.process_time() - began < 2
    assert "INTERNAL_ERROR" not in [error["extensions"]["code"] for error in told]


_CODES = ",".join(f'"x{n}"' for n in range(201))
BAD_INPUTS = {
    "not an id": '{ hierarchyNode(id: "QWNjb3VudDox=") { id } }',
    "id of another type": '{ hierarchyNode(id: "UnVuOjE") { id } }',
    "huge id": '{ hierarchyNode(id: "%s") { id } }' % ("A" * 5_000),
    "id in bytes": '{ hierarchyNode(id: "\\u00e4\\u0000") { id } }',
    "id and by": '{ hierarchyNode(id: "x", by: {kind: ACCOUNT, externalId: "y"}) { id } }',
    "neither": "{ hierarchyNode { id } }",
    "bad month": '{ N { emissions(period: {from: "2025-13", until: "2026-01"}) { complete } } }',
    "year zero": '{ N { emissions(period: {from: "0000-01", until: "2026-01"}) { complete } } }',
    "month number": '{ N { emissions(period: {from: 202501, until: "2026-01"}) { complete } } }',
    "empty period": '{ N { emissions(period: {from: "2025-01", until: "2025-01"}) { complete } } }',
    "backwards": '{ N { emissions(period: {from: "2025-02", until: "2025-01"}) { complete } } }',
    "too long": '{ N { emissions(period: {from: "0001-01", until: "9999-12"}) { complete } } }',
    "junk cursor": '{ N { children(period: P, after: "junk") { edges { cursor } } } }',
    "foreign cursor": '{ N { children(period: P, after: "WyJ4IiwiMSIsIjIiLCIzIl0") { edges { cursor } } } }',
    "huge cursor": '{ N { children(period: P, after: "%s") { edges { cursor } } } }' % ("A" * 5_000),
    "empty cursor": '{ N { children(period: P, after: "") { edges { cursor } } } }',
    "page text": '{ N { children(period: P, first: "7") { edges { cursor } } } }',
    "page above 32 bits": "{ N { children(period: P, first: 99999999999) { edges { cursor } } } }",
    "many codes": f"{{ N {{ emissions(period: P, filter: {{services: [{_CODES}]}}) {{ complete }} }} }}",
    "as of no zone": '{ N { emissions(period: P, asOf: "2025-01-01T00:00:00") { complete } } }',
    "as of nothing": '{ N { emissions(period: P, asOf: "yesterday") { complete } } }',
    "fiscal year": "{ N { emissions(period: P) { byYear(fiscalYearStart: 13) { label } } } }",
}
_N = 'hierarchyNode(by: {kind: ENTERPRISE_PARENT, externalId: "acme"})'


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_arguments_are_told_so(world: World, name: str) -> None:
    query = BAD_INPUTS[name].replace("N {", f"{_N} {{", 1).replace("period: P", f"period: {PERIOD}")
    told = errors(signed_in(world, "owner"), query)
    assert told[0]["extensions"]["code"] in {
        "BAD_USER_INPUT",
        "GRAPHQL_VALIDATION_FAILED",
        "GRAPHQL_PARSE_FAILED",
    }
    assert all(len(error["message"]) <= 300 for error in told)
