"""How apps and machines get a bearer token, keep it, lose it: over HTTP, as a front end does it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.db import connection
from oauth2_provider.models import Application

from tests.factories import people
from tests.journeys.visitor import Visitor

if TYPE_CHECKING:
    from accounts.models import User
    from tests.journeys.visitor import Answer

CALLBACK: Final = "http://127.0.0.1:1/callback"
PASSWORD: Final = "a long enough secret"
NAME: Final = "{ viewer { username scopes } }"
VERIFIER: Final = secrets.token_urlsafe(48)


def challenge(verifier: str = VERIFIER) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class FrontEnd:
    """A public application in somebody's browser."""

    def __init__(self, server: str, user: User) -> None:
        self.server = server
        self.visitor = Visitor()
        self.user = user
        user.set_password(PASSWORD)
        user.save()
        Application.objects.create(
            name="Front end",
            client_id="front-end",
            client_type="public",
            authorization_grant_type="authorization-code",
            redirect_uris=CALLBACK,
        )

    def authorize(self, **changed: str) -> Answer:
        """Ask the person; answers the page with the question, or where the browser is sent."""
        parameters = {
            "response_type": "code",
            "client_id": "front-end",
            "redirect_uri": CALLBACK,
            "scope": "emissions:read",
            "state": "xyz",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            **changed,
        }
        return self.visitor.get(
            f"{self.server}/o/authorize/", {name: value for name, value in parameters.items() if value}
        )

    def code(self, scope: str = "emissions:read") -> str:
        """Sign in, agree, and come back with a code."""
        first = self.authorize(scope=scope)
        if first.status == 302:
            assert "/login/" in first.leads_to
            back = self.visitor.sign_in(first.leads_to, self.user.username, PASSWORD)
            assert back.leads_to.startswith(f"{self.server}/o/authorize/?")
            first = self.visitor.get(back.leads_to)
        agreed = self.visitor.submit(first, allow="Authorize")
        assert agreed.leads_to.startswith(CALLBACK)
        assert agreed.parameters["state"] == "xyz"
        assert agreed.parameters["iss"] == f"{self.server}/o"
        return agreed.parameters["code"]

    def token(self, **form: str) -> Answer:
        """Ask for a token."""
        given = {"client_id": "front-end", "redirect_uri": CALLBACK, "grant_type": "authorization_code", **form}
        return Visitor().post(f"{self.server}/o/token/", {name: value for name, value in given.items() if value})

    def signed_in(self, scope: str = "emissions:read") -> dict[str, Any]:
        answer = self.token(code=self.code(scope), code_verifier=VERIFIER)
        assert answer.status == 200, answer.text
        return dict(answer.json)

    def ask(self, token: str) -> tuple[int, Any]:
        answer = Visitor().ask(self.server, NAME, token)
        return answer.status, answer.json.get("data") or answer.json["errors"][0]["extensions"]["code"]


@pytest.fixture
def front_end(committed: None, live_api: str) -> FrontEnd:  # noqa: ARG001 the server sees committed rows only
    return FrontEnd(live_api, people.person("reader"))


def test_a_front_end_gets_a_token_by_code_and_verifier(front_end: FrontEnd) -> None:
    code = front_end.code("emissions:read exports:write")
    for wrong, error in (("", "invalid_request"), ("x" * 64, "invalid_grant")):
        refused = front_end.token(code=code, code_verifier=wrong)
        assert (refused.status, refused.json["error"]) == (400, error)
    answer = front_end.token(code=code, code_verifier=VERIFIER)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json
    assert (made["token_type"], made["expires_in"]) == ("Bearer", 3600)
    viewer = {"username": front_end.user.username, "scopes": ["emissions:read", "exports:write"]}
    assert front_end.ask(made["access_token"]) == (200, {"viewer": viewer})
    again = front_end.token(code=code, code_verifier=VERIFIER)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")


def test_no_token_that_works_is_stored(front_end: FrontEnd) -> None:
    made = front_end.signed_in()
    assert {"access_token", "refresh_token"} <= made.keys()
    with connection.cursor() as cursor:
        for table in ("accesstoken", "refreshtoken"):
            cursor.execute(f"SELECT to_jsonb(stored)::text FROM oauth2_provider_{table} AS stored")  # noqa: S608 fixed names
            stored = [row for (row,) in cursor.fetchall()]
            assert stored, table
            assert not [row for row in stored for name in ("access_token", "refresh_token") if made[name] in row]
    assert front_end.ask(made["access_token"])[0] == 200


def test_nothing_weaker_than_a_code_with_a_challenge_is_offered(front_end: FrontEnd) -> None:
    front_end.code()
    for changed, error in (
        ({"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"scope": "everything"}, "invalid_scope"),
    ):
        answer = front_end.authorize(**changed)
        if answer.status == 200:  # the method is looked at when the person has agreed
            answer = front_end.visitor.submit(answer, allow="Authorize")
        assert (answer.leads_to.split("?")[0].split("#")[0], answer.parameters["error"]) == (CALLBACK, error)
    elsewhere = front_end.authorize(redirect_uri="http://127.0.0.1:1/elsewhere")
    assert elsewhere.status == 400  # and the browser is sent nowhere
    password = front_end.token(grant_type="password", username=front_end.user.username, password=PASSWORD)
    assert password.status == 400
    assert "access_token" not in password.json


def test_a_refresh_token_counts_once_and_a_second_use_ends_everything(front_end: FrontEnd) -> None:
    first = front_end.signed_in()
    answer = front_end.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert answer.status == 200
    second = answer.json
    assert len({first["access_token"], second["access_token"], first["refresh_token"], second["refresh_token"]}) == 4
    assert front_end.ask(first["access_token"]) == (401, "UNAUTHENTICATED")
    assert front_end.ask(second["access_token"])[0] == 200
    stolen = front_end.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
    assert front_end.ask(second["access_token"]) == (401, "UNAUTHENTICATED")
    ended = front_end.token(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert (ended.status, ended.json["error"]) == (400, "invalid_grant")


def test_a_refreshed_token_may_do_no_more(front_end: FrontEnd) -> None:
    made = front_end.signed_in()
    more = front_end.token(
        grant_type="refresh_token", refresh_token=made["refresh_token"], scope="emissions:read operations"
    )
    assert (more.status, more.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_a_revoked_token_counts_no_more(front_end: FrontEnd, which: str) -> None:
    made = front_end.signed_in()
    assert front_end.ask(made["access_token"])[0] == 200
    url = f"{front_end.server}/o/revoke_token/"
    stranger = Visitor().post(url, {"client_id": "somebody", "token": made[which]})
    assert stranger.status == 401
    assert front_end.ask(made["access_token"])[0] == 200
    assert Visitor().post(url, {"client_id": "front-end", "token": made[which]}).status == 200
    assert front_end.ask(made["access_token"]) == (401, "UNAUTHENTICATED")
    renewed = front_end.token(grant_type="refresh_token", refresh_token=made["refresh_token"])
    assert (renewed.status, renewed.json["error"]) == (400, "invalid_grant")


def test_a_machine_acts_for_the_user_of_its_application(committed: None, live_api: str) -> None:  # noqa: ARG001 as above
    user = people.person("machine")
    Application.objects.create(
        name="reports",
        client_id="reports",
        client_secret=PASSWORD,
        client_type="confidential",
        authorization_grant_type="client-credentials",
        user=user,
    )

    def token(secret: str, **form: str) -> Answer:
        basic = base64.b64encode(f"reports:{secret}".encode()).decode()
        given = {"grant_type": "client_credentials", **form}
        return Visitor().post(f"{live_api}/o/token/", given, Authorization=f"Basic {basic}")

    refused = token("something else")
    assert (refused.status, refused.json["error"]) == (401, "invalid_client")
    unknown = token(PASSWORD, scope="everything")
    assert (unknown.status, unknown.json["error"]) == (400, "invalid_scope")
    made = token(PASSWORD).json
    assert made["scope"] == "emissions:read"
    assert "refresh_token" not in made
    answer = Visitor().ask(live_api, NAME, made["access_token"])
    assert answer.json["data"]["viewer"] == {"username": user.username, "scopes": ["emissions:read"]}
    user.is_active = False
    user.save()
    assert Visitor().ask(live_api, NAME, made["access_token"]).status == 401


def test_only_operators_register_applications(front_end: FrontEnd) -> None:
    front_end.code()
    for path in ("applications/", "applications/register/", "register/", "device-authorization/"):
        assert front_end.visitor.get(f"{front_end.server}/o/{path}").status == 404
    listed = front_end.visitor.get(f"{front_end.server}/o/authorized_tokens/")
    assert listed.status == 200
