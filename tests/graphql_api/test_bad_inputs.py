"""A thousand and more bad inputs: every argument of the schema with junk, bodies cut and bent at every place.

None is a fault of the server, none leaks a text of ours, each error has a code that is documented.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.db import transaction
from django.test import Client

from graphql_api.errors import MAX_ERRORS, MAX_MESSAGE_CHARACTERS, Code
from graphql_api.media_types import PLAIN_JSON, RESPONSE_JSON
from graphql_api.scalars import global_id
from tests.graphql_api.ask import post, signed_in
from tests.graphql_api.samples import Samples, quoted
from tests.graphql_api.test_http import BAD, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpResponse

    from tests.read_model.world import World

# So many at least; they are counted below.
PROMISED: Final = 2_000
# Every argument gets some of the junk, every piece of junk goes to some of the arguments.
EVERY: Final = 6
LEAKS: Final = re.compile(
    r"Traceback|psycopg|django\.|strawberry|File \"|site-packages|/[a-z_]+/[a-z_]+\.py|SELECT |INSERT INTO|relation \""
    r"|Exception|(Value|Type|Key|Attribute|Index|Overflow|Recursion|Unicode|Data|Integrity|Operational)Error"
    r"|canopy_web|accounts_|allocation_|Did you mean|object has no attribute|\bNoneType\b|0x[0-9a-f]{6}"
)
JUNK: Final[dict[str, str]] = {
    "null": "null",
    "empty text": '""',
    "blank": '" "',
    "text": '"junk"',
    "long text": quoted("x" * 5_000),
    "quotes": quoted("'; DROP TABLE x; --"),
    "percent": quoted("%s %d %(x)s {x} \\"),
    "nul": '"\\u0000"',
    "half a pair": '"\\ud800"',
    "right to left": quoted("\u202e\u0301\ufeff"),
    "emoji": quoted("\U0001f333"),
    "newline": quoted("a\nb\r\tc"),
    "zero": "0",
    "minus one": "-1",
    "too large": "101",
    "32 bits": "2147483648",
    "64 bits": "-9223372036854775809",
    "long number": "9" * 10_000,
    "fraction": "0.5",
    "exponent": "1e400",
    "true": "true",
    "enum": "NO_SUCH_VALUE",
    "list": "[]",
    "nested list": "[[[[]]]]",
    "list of nulls": "[null]",
    "object": "{}",
    "unknown field": "{junk: 1}",
    "variable": "$undeclared",
    "junk cursor": quoted("WyJ4IiwiMSIsIjIiLCIzIl0"),
    "foreign id": quoted("VXNlcjox"),
    "id of nothing": quoted(global_id("Account", 10**17)),
    "month thirteen": '"2025-13"',
    "year zero": '"0000-01"',
    "last instant": '"9999-12-31T23:59:59.999999+14:00"',
    "block": '"""' + "\n" * 50 + '"""',
}


def flaw(response: HttpResponse) -> str:
    """What is wrong with an answer to a bad input; empty if nothing is."""
    text = response.content.decode()
    if response.status_code >= 500:
        return f"status {response.status_code}"
    if found := LEAKS.search(text):
        return f"leaks {found[0]!r}"
    answer = json.loads(text)
    errors = answer.get("errors", [])
    if len(errors) > MAX_ERRORS or any(len(error["message"]) > MAX_MESSAGE_CHARACTERS for error in errors):
        return "too much told"
    codes = [error["extensions"].get("code") for error in errors]
    if unknown := set(codes) - {str(code) for code in Code}:
        return f"unknown codes {unknown}"
    return "INTERNAL_ERROR" if Code.INTERNAL_ERROR in codes else ""


def ids_of(world: World) -> Samples:
    node = next(each for key, each in world.made.items() if key == "acme")
    return Samples({"": quoted(global_id("EnterpriseParent", node.pk)), "runId": quoted(global_id("AllocationRun", 1))})


@pytest.mark.minutes
def test_every_argument_of_the_schema_takes_junk(world: World) -> None:
    samples, client = ids_of(world), signed_in(world, "operator")
    places = list(samples.arguments())
    assert len(places) > 40
    flaws, asked, refused = {}, 0, 0
    for number, (place, (name, literal)) in enumerate(itertools.product(places, JUNK.items())):
        if number % EVERY:
            continue
        with transaction.atomic():  # what a mutation did is undone
            response = post(client, {"query": samples.document(place, literal)})
            transaction.set_rollback(True)
        asked += 1
        refused += b'"errors"' in response.content
        if found := flaw(response):
            flaws[f"{place} = {name}"] = found
    assert flaws == {}
    assert asked >= PROMISED
    assert refused > asked / 2  # most of it is junk for most arguments


def test_the_junk_reaches_every_argument_and_every_argument_gets_several(world: World) -> None:
    places = len(list(ids_of(world).arguments()))
    numbers = range(0, places * len(JUNK), EVERY)
    assert {number // len(JUNK) for number in numbers} == set(range(places))
    assert {number % len(JUNK) for number in numbers} == set(range(len(JUNK)))


def bent_bodies() -> Iterator[tuple[str, bytes]]:
    """A good body cut at every byte, with a byte changed at every place, in other encodings; and whatever is known."""
    whole = NAME.encode()
    yield from ((f"cut at {end}", whole[:end]) for end in range(len(whole)))
    for place in range(0, len(whole), 3):
        for byte in (b"\x00", b"\xff", b"\xed\xa0\x80", b"{", b"\\"):
            yield f"{byte!r} at {place}", whole[:place] + byte + whole[place + 1 :]
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"):
        yield encoding, NAME.encode(encoding)
    yield from BAD.items()
    for depth in (31, 33, 1_000, 100_000):
        yield (
            f"{depth} lists",
            b'{"query": "{viewer{username}}", "variables": {"x":' + b"[" * depth + b"]" * depth + b"}}",
        )
        yield f"{depth} objects", b'{"a":' * depth + b"1" + b"}" * depth
    for digits in (41, 400, 4_301, 10_000):
        yield f"{digits} digits", b'{"query": "{viewer{username}}", "variables": {"x":' + b"7" * digits + b"}}"


@pytest.mark.parametrize("accept", [PLAIN_JSON, RESPONSE_JSON])
def test_no_body_is_a_fault_of_the_server(world: World, accept: str) -> None:
    client = signed_in(world, "owner")
    flaws = {name: flaw(post(client, body, accept=accept)) for name, body in bent_bodies()}
    assert {name: found for name, found in flaws.items() if found} == {}
    assert len(flaws) > 100


@pytest.mark.parametrize("value", ["null", "7", '"x"', "true", "[]", "[1]", "{}", '{"x": {}}', "[[]]", '"\\u0000"'])
def test_parameters_of_other_kinds(world: World, value: str) -> None:
    client = signed_in(world, "owner")
    for name in ("query", "variables", "operationName", "extensions", "id", "documentId"):
        body = {"query": "query A { viewer { username } }", name: json.loads(value)}
        assert flaw(post(client, body)) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \udcff".encode("utf-8", "surrogateescape").decode("latin-1")},
        {"authorization": "Bearer " + "x" * 8_000},
        {"authorization": "Basic eDp5"},
        {"authorization": "Bearer a b"},
        {"cookie": "sessionid=" + "x" * 4_000},
        {"cookie": 'sessionid="\\000"; csrftoken=;;;=='},
        {"accept": "x" * 5_000},
        {"content-length": "x"},
    ],
)
def test_headers(world: World, headers: dict[str, str]) -> None:  # noqa: ARG001 there is somebody to be taken for
    response = post(Client(), NAME, **headers)
    assert 400 <= response.status_code < 500
    assert flaw(response) == ""


def test_a_list_cannot_be_had_whole_by_asking_for_its_end(world: World) -> None:
    query = """{ hierarchyNode(by: {kind: ENTERPRISE_PARENT, externalId: "acme"}) {
      children(period: {from: "2025-01", until: "2025-02"}, %s) { edges { cursor } } } }"""
    client = signed_in(world, "owner")
    for arguments in ("last: 0", "last: 5", "before: null", 'first: 1, before: ""'):
        answer: Any = json.loads(post(client, {"query": query % arguments}).content)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]
        assert "data" not in answer
