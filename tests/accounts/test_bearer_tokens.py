"""Bearer tokens are good for whom the library's own look-up says they are."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application
from oauth2_provider.oauth2_backends import get_oauthlib_core

from accounts.bearer_tokens import BearerTokens
from accounts.models import User

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.test import RequestFactory

pytestmark = pytest.mark.django_db

HERE = "http://testserver/graphql/"
CASES: dict[str, dict[str, Any]] = {
    "good": {},
    "of a machine": {"user": None},
    "without an application": {"application": None},
    "of nobody": {"user": None, "application": None},
    "expired": {"expires": timezone.now() - dt.timedelta(seconds=1)},
    "without a scope": {"scope": ""},
    "for here": {"resource": [HERE]},
    "for another place": {"resource": ["https://elsewhere.example/"]},
}


@pytest.fixture
def person() -> User:
    return User.objects.create_user("ada", email="ada@example.org", first_name="Ada")


@pytest.fixture
def application(person: User) -> Application:
    return Application.objects.create(
        user=person, name="Front end", client_id="front", client_type="public", authorization_grant_type="password"
    )


def asked(factory: RequestFactory, token: str) -> HttpRequest:
    request: HttpRequest = factory.post("/graphql/", headers={"authorization": f"Bearer {token}"})
    return request


def verdict(request: HttpRequest) -> tuple[bool, dict[str, Any]]:
    """What the library says of a request, with everything that it knows of the token."""
    valid, found = get_oauthlib_core().verify_request(request, scopes=[])
    told: dict[str, Any] = {"error": getattr(found, "oauth2_error", None)}
    if valid:
        token = found.access_token
        for name, row in (("token", token), ("application", token.application), ("user", token.user)):
            told[name] = row and {key: value for key, value in vars(row).items() if not key.startswith("_")}
        told["client"], told["person"], told["scopes"] = found.client, found.user, found.scopes
    return valid, told


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_is_that_of_the_library(
    case: str, person: User, application: Application, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"user": person, "application": application, "scope": "emissions:read operations"}
    AccessToken.objects.create(
        **(usual | {"token": "secret", "expires": timezone.now() + dt.timedelta(hours=1)} | CASES[case])
    )
    found = verdict(asked(rf, "secret"))
    assert found[0] is (case not in {"expired", "for another place"})
    monkeypatch.delattr(BearerTokens, "_load_access_token")
    assert verdict(asked(rf, "secret")) == found


def test_an_unknown_token_is_refused(rf: RequestFactory) -> None:
    assert verdict(asked(rf, "unknown"))[0] is False


def test_one_statement_finds_token_application_and_user(
    person: User, application: Application, rf: RequestFactory
) -> None:
    AccessToken.objects.create(
        user=person, application=application, token="secret", expires=timezone.now() + dt.timedelta(hours=1)
    )
    with CaptureQueriesContext(connection) as captured:
        valid, told = verdict(asked(rf, "secret"))
    assert valid
    assert (told["user"]["username"], told["application"]["client_id"]) == ("ada", "front")
    assert len(captured) == 1
