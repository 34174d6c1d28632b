"""What comes in over HTTP and how it is answered."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application

from graphql_api.limits import MAX_BODY_BYTES
from tests.graphql_api.ask import post, signed_in

if TYPE_CHECKING:
    from tests.read_model.world import World

NAME = '{"query": "{ viewer { username } }"}'
RESPONSE_JSON = "application/graphql-response+json"


def token(world: World, who: str, scope: str = "emissions:read", *, valid_for: int = 3600) -> str:
    application = Application.objects.create(
        name="app", client_type="confidential", authorization_grant_type="client-credentials", user=world.made[who]
    )
    made = AccessToken.objects.create(
        user=world.made[who],
        application=application,
        token=f"token-of-{who}-{scope}".replace(" ", "-"),
        expires=timezone.now() + dt.timedelta(seconds=valid_for),
        scope=scope,
    )
    return made.token  # type: ignore[no-any-return] # the library ships no types


def code_of(response: object) -> str:
    return json.loads(response.content)["errors"][0]["extensions"]["code"]  # type: ignore[attr-defined,no-any-return] # a response


def test_a_session_may_ask(world: World) -> None:
    response = post(signed_in(world, "owner"), NAME)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(response.content) == {"data": {"viewer": {"username": "owner"}}}


@pytest.mark.usefixtures("world")
def test_nobody_learns_nothing() -> None:
    bodies = [NAME, '{"query": "{ __schema { types { name } } }"}', '{"query": "{ nothing }"}', "[]", "{", "null"]
    answers = {(r.status_code, code_of(r)) for r in (post(Client(), body) for body in bodies)}
    assert answers == {(401, "UNAUTHENTICATED")}
    assert post(Client(), NAME)["WWW-Authenticate"].startswith("Bearer")
    assert Client().get("/graphql/", {"query": "{ viewer { username } }"}).status_code == 405


def test_a_session_needs_the_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.made["owner"], backend="django.contrib.auth.backends.ModelBackend")
    response = post(client, NAME)
    assert (response.status_code, code_of(response)) == (403, "CSRF_FAILED")


def test_a_token_may_ask_without_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    response = post(client, NAME, authorization=f"Bearer {token(world, 'viewer-a')}")
    assert json.loads(response.content) == {"data": {"viewer": {"username": "viewer-a"}}}


def test_a_token_counts_more_than_a_session(world: World) -> None:
    response = post(signed_in(world, "owner"), NAME, authorization="Bearer wrong")
    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")


def test_a_machine_acts_as_the_user_of_its_application(world: World) -> None:
    name = token(world, "viewer-b")
    AccessToken.objects.filter(token=name).update(user=None)
    response = post(Client(), NAME, authorization=f"Bearer {name}")
    assert json.loads(response.content)["data"]["viewer"]["username"] == "viewer-b"


def test_expired_tokens_inactive_users_and_missing_scopes_are_refused(world: World) -> None:
    old = token(world, "owner", valid_for=-1)
    assert code_of(post(Client(), NAME, authorization=f"Bearer {old}")) == "UNAUTHENTICATED"
    other = token(world, "viewer-a", "exports:write")
    response = post(Client(), NAME, authorization=f"Bearer {other}")
    assert (response.status_code, code_of(response)) == (403, "INSUFFICIENT_SCOPE")
    fired = token(world, "viewer-b")
    world.made["viewer-b"].is_active = False
    world.made["viewer-b"].save()
    assert code_of(post(Client(), NAME, authorization=f"Bearer {fired}")) == "UNAUTHENTICATED"


def test_get_is_for_tokens_and_for_reading(world: World) -> None:
    headers = {"authorization": f"Bearer {token(world, 'owner')}"}
    answer = Client().get(
        "/graphql/",
        {"query": "query($x: Boolean!) { viewer { username @include(if: $x) } }", "variables": '{"x": true}'},
        headers=headers,
    )
    assert json.loads(answer.content) == {"data": {"viewer": {"username": "owner"}}}
    assert signed_in(world, "owner").get("/graphql/", {"query": "{ viewer { username } }"}).status_code == 405
    assert Client().delete("/graphql/", headers=headers).status_code == 405


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"{RESPONSE_JSON}, application/json;q=0.9", RESPONSE_JSON),
        (f"{RESPONSE_JSON}; charset=utf-8, application/json; charset=utf-8", RESPONSE_JSON),
        (f"application/json, {RESPONSE_JSON};q=0.5", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json; charset=utf-16", None),
        (",;/=\"';q=x", None),
    ],
)
def test_the_accept_header_chooses_the_media_type(world: World, accept: str | None, answered: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    response = post(signed_in(world, "owner"), NAME, **headers)
    if answered is None:
        assert (response.status_code, code_of(response)) == (406, "NOT_ACCEPTABLE")
    else:
        assert response["Content-Type"] == f"{answered}; charset=utf-8"


@pytest.mark.parametrize("query", ["{", "{ nothing }", "query($x: Int!) { viewer { username } }"])
def test_a_document_that_cannot_run_has_no_data(world: World, query: str) -> None:
    client = signed_in(world, "owner")
    for accept, status in ((RESPONSE_JSON, 400), ("application/json", 200)):
        response = post(client, {"query": query}, accept=accept)
        assert response.status_code == status
        assert set(json.loads(response.content)) == {"errors"}


BAD = {
    "null": b"null",
    "number": b"1",
    "text": b'"{ viewer }"',
    "true": b"true",
    "no query": b"{}",
    "query null": b'{"query": null}',
    "query number": b'{"query": 7}',
    "query blank": b'{"query": "  "}',
    "query list": b'{"query": ["{viewer{username}}"]}',
    "variables text": b'{"query": "{viewer{username}}", "variables": "x"}',
    "variables list": b'{"query": "{viewer{username}}", "variables": []}',
    "operation number": b'{"query": "{viewer{username}}", "operationName": 7}',
    "extensions list": b'{"query": "{viewer{username}}", "extensions": []}',
    "broken": b'{"query": "{viewer',
    "not utf-8": b'{"query": "\xff\xfe"}',
    "utf-16": '{"query": "{viewer{username}}"}'.encode("utf-16"),
    "bom": b"\xef\xbb\xbf" + NAME.encode(),
    "deep lists": b'{"query": "{viewer{username}}", "variables": {"x": ' + b"[" * 2_000 + b"]" * 2_000 + b"}}",
    "very deep lists": b"[" * 100_000,
    "deep objects": b'{"query": "{viewer{username}}", "variables": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
    "long integer": b'{"query": "{viewer{username}}", "variables": {"x": ' + b"9" * 10_000 + b"}}",
    "long fraction": b'{"query": "{viewer{username}}", "variables": {"x": 0.' + b"9" * 10_000 + b"}}",
    "huge exponent": b'{"query": "{viewer{username}}", "variables": {"x": 1e9999}}',
    "nan": b'{"query": "{viewer{username}}", "variables": {"x": NaN}}',
    "infinity": b'{"query": "{viewer{username}}", "variables": {"x": -Infinity}}',
    "nul": b'{"query": "{viewer{username}}", "variables": {"x": "\\u0000"}}',
    "half a pair": b'{"query": "{viewer{username}}", "variables": {"x": "\\ud800"}}',
    "half a pair in a key": b'{"query": "{viewer{username}}", "variables": {"\\udfff": 1}}',
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bodies_are_told_so(world: World, name: str) -> None:
    response = post(signed_in(world, "owner"), BAD[name])
    assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST") or name == "very deep lists"
    assert response.status_code == 400
    assert len(response.content) < 600


def test_batches_are_refused(world: World) -> None:
    response = post(signed_in(world, "owner"), f"[{NAME}, {NAME}]")
    assert (response.status_code, code_of(response)) == (400, "BATCHING_DISABLED")


def test_other_content_types_are_refused(world: World) -> None:
    client = signed_in(world, "owner")
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
    ):
        response = client.generic("POST", "/graphql/", NAME, content_type=kind)
        assert (response.status_code, code_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_large_and_endless_bodies_are_refused(world: World) -> None:
    client = signed_in(world, "owner")
    response = post(client, b'{"query": "' + b"#" * MAX_BODY_BYTES + b'"}')
    assert (response.status_code, code_of(response)) == (413, "BODY_TOO_LARGE")
    endless = client.post(
        "/graphql/", data=NAME, content_type="application/json", headers={"transfer-encoding": "chunked"}
    )
    assert (endless.status_code, code_of(endless)) == (411, "LENGTH_REQUIRED")


def test_several_operations_need_a_name(world: World) -> None:
    client = signed_in(world, "owner")
    query = "query A { viewer { username } } query B { viewer { isOperator } }"
    for name in (None, "C"):
        response = post(client, {"query": query, "operationName": name}, accept=RESPONSE_JSON)
        assert (response.status_code, code_of(response)) == (400, "OPERATION_RESOLUTION_FAILURE")
    assert json.loads(post(client, {"query": query, "operationName": "B"}).content)["data"] == {
        "viewer": {"isOperator": False}
    }


def test_an_unexpected_error_is_masked(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_arguments: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr("allocation.selectors.nodes.topmost", broken)
    response = post(signed_in(world, "owner"), {"query": "{ viewer { roles { why } } }"})
    answer = json.loads(response.content)
    assert answer["errors"][0]["extensions"] == {
        "code": "INTERNAL_ERROR",
        "correlationId": response["X-Correlation-Id"],
    }
    assert b"secret text" not in response.content
    assert "secret text" in caplog.text


def test_a_statement_that_takes_too_long_before_the_document_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(**_of: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")

    monkeypatch.setattr("graphql_api.context.STATEMENT_TIMEOUT_MS", 2_000)
    monkeypatch.setattr("allocation.selectors.publications.opening", slow)
    response = post(signed_in(world, "owner"), NAME)
    assert (response.status_code, code_of(response)) == (503, "TIMEOUT")


def test_the_ide_is_for_debugging_only(world: World, settings: object) -> None:
    client = signed_in(world, "owner")
    assert client.get("/graphql/", headers={"accept": "text/html"}).status_code in {405, 406}
    settings.DEBUG = True  # type: ignore[attr-defined] # pytest-django's settings
    assert b"GraphiQL" in client.get("/graphql/", headers={"accept": "text/html"}).content
