"""Which pages of other origins may call the API, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

if TYPE_CHECKING:
    from django.conf import LazySettings
    from django.http import HttpResponse

pytestmark = pytest.mark.django_db
OURS = "https://app.example.org"


@pytest.fixture(autouse=True)
def _configured(settings: LazySettings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [OURS]


def preflight(path: str, origin: str) -> HttpResponse:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    return Client().options(path, headers=headers)  # type: ignore[return-value] # the stub's response wraps HttpResponse


@pytest.mark.parametrize("path", ["/graphql/", "/o/token/", "/o/revoke_token/", "/exports/a-link"])
def test_a_configured_origin_may_call_with_a_token_and_without_cookies(path: str) -> None:
    answer = preflight(path, OURS)
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert {"authorization", "content-type"} <= set(answer["Access-Control-Allow-Headers"].split(", "))
    assert "POST" in answer["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer
    assert "origin" in answer["Vary"].lower()


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/graphql/", "https://elsewhere.example.org"),
        ("/graphql/", "http://app.example.org"),
        ("/graphql/", f"{OURS}.evil.example"),
        ("/graphql/", "null"),
        ("/admin/", OURS),
        ("/login/", OURS),
    ],
)
def test_nobody_else_may_and_nothing_else(path: str, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(path, origin)


def test_a_page_may_read_what_a_refusal_says() -> None:
    answer = Client().post("/graphql/", data="{}", content_type="application/json", headers={"origin": OURS})
    assert answer.status_code == 401
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert set(answer["Access-Control-Expose-Headers"].split(", ")) == {
        "Content-Disposition",
        "Retry-After",
        "X-Correlation-Id",
    }


def test_a_page_may_fetch_a_file_and_read_why_not() -> None:
    answer = Client().get("/exports/no-such-link", headers={"origin": OURS})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert "Access-Control-Allow-Credentials" not in answer


def test_without_configuration_no_origin_is_allowed(settings: LazySettings) -> None:
    settings.CORS_ALLOWED_ORIGINS = []
    assert "Access-Control-Allow-Origin" not in preflight("/graphql/", OURS)
