"""What scanners of GraphQL servers look for, asked without credentials: each is refused before a document is read."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from django.test import Client

from tests.graphql_api.ask import post

pytestmark = pytest.mark.django_db
NAME: Final = "{ viewer { username } }"
CIRCLE: Final = "fields { type { " * 10 + "name" + " } }" * 10
ATTACKS: Final[dict[str, Any]] = {
    "aliases": {"query": "{ " + " ".join(f"a{n}: __typename" for n in range(1_001)) + " }"},
    "directives": {"query": "{ __typename " + "@skip(if: false) " * 500 + "}"},
    "unknown directives": {"query": "{ __typename " + "@aa" * 500 + " }"},
    "one field many times": {"query": "{ " + "__typename " * 500 + "}"},
    "circular introspection": {"query": f"{{ __schema {{ types {{ {CIRCLE} }} }} }}"},
    "introspection": {"query": "{ __schema { types { name } } }"},
    "one type": {"query": '{ __type(name: "Query") { name } }'},
    "the name of the root": {"query": "{ __typename }"},
    "suggestions of fields": {"query": "{ viewr { usernam } }"},
    "suggestions of directives": {"query": "{ viewer @skp(if: true) { username } }"},
    "circular fragments": {"query": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"},
    "batch": [{"query": NAME}] * 10,
    "nothing": {"query": ""},
    "no document": {"query": "{"},
    "an unknown operation": {"query": NAME, "operationName": "x" * 300},
    "a persisted query": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
    "tracing": {"query": NAME, "extensions": {"tracing": True}},
}


def refusal(response: Any) -> tuple[int, list[str]]:  # noqa: ANN401 a response of the test client
    answer = json.loads(response.content)
    assert set(answer) == {"errors"}
    assert all(set(error) <= {"message", "extensions"} for error in answer["errors"])
    assert "Did you mean" not in response.content.decode()
    return response.status_code, [error["extensions"]["code"] for error in answer["errors"]]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_document_does_not_matter(name: str) -> None:
    response = post(Client(), ATTACKS[name])
    plain = post(Client(), {"query": NAME})
    assert refusal(response) == (401, ["UNAUTHENTICATED"])
    # Not even its size tells one document from another.
    assert len(response.content) == len(plain.content)


@pytest.mark.parametrize(
    "query", [NAME, "{ __typename }", "mutation { __typename }", "subscription { __typename }", "", "{"]
)
def test_get_requests_are_refused(query: str) -> None:
    response = Client().get("/graphql/", {"query": query})
    assert refusal(response) == (405, ["METHOD_NOT_ALLOWED"])
    assert response["Allow"] == "POST"


@pytest.mark.parametrize("method", ["put", "patch", "delete", "head", "options", "trace"])
def test_other_methods_are_refused(method: str) -> None:
    assert getattr(Client(), method)("/graphql/").status_code == 405


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "application/graphql"],
)
def test_what_forms_can_send_is_refused(kind: str) -> None:
    response = Client().generic("POST", "/graphql/", f"query={NAME}", content_type=kind)
    assert refusal(response) == (415, ["UNSUPPORTED_MEDIA_TYPE"])


@pytest.mark.parametrize(
    "path", ["/graphql/", "/graphiql", "/graphiql/", "/playground", "/console", "/graphql/console"]
)
def test_there_is_no_ide(path: str) -> None:
    response = Client().get(path, headers={"accept": "text/html,application/xhtml+xml"})
    assert response.status_code in {404, 405, 406}
    for mark in (b"graphiql", b"graphql-playground", b"apollo", b"altair"):
        assert mark not in response.content.lower()


def test_nothing_traces_or_names_the_engine() -> None:
    response = post(Client(), {"query": NAME}, **{"apollo-tracing": "1", "x-debug": "1"})
    for word in (b"tracing", b"duration", b"strawberry", b"graphql-core", b"Traceback", b"locations"):
        assert word not in response.content
    assert not {"server", "x-powered-by"} & {name.lower() for name in response.headers}
