"""The short way through the middleware answers as Django's own way does."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncRequestFactory

from carbon.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

REQUESTS = [
    ("POST", "/graphql/", {}),
    ("POST", "/graphql/", {"Authorization": "Bearer nothing"}),
    ("POST", "/graphql/", {"Host": "evil.example"}),
    ("GET", "/graphql/", {}),
    ("POST", "/graphql", {}),
    ("GET", "/login/", {}),
    ("GET", "/nowhere/", {}),
]


def answer_of(handler: ASGIHandler, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer, those left out that differ from one request to the next."""
    request = AsyncRequestFactory(headers={"Host": "localhost", **headers}).generic(
        method, path, b'{"query": "{ __typename }"}', content_type="application/json"
    )
    get: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = handler.get_response_async
    response: Any = asyncio.run(get(request))  # type: ignore[arg-type] # a coroutine
    changing = {"X-Correlation-Id", "Set-Cookie", "Content-Length"}
    return response.status_code, {name: value for name, value in response.headers.items() if name not in changing}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS)
def test_answers_are_those_of_the_ordinary_way(method: str, path: str, headers: dict[str, str]) -> None:
    answers = [answer_of(handler, method, path, headers) for handler in (ASGIHandler(), Handler())]
    assert answers[0] == answers[1]
    assert "X-Content-Type-Options" in answers[1][1] or answers[1][0] == HTTPStatus.BAD_REQUEST


def test_a_refusal_needs_no_thread() -> None:
    """What is refused before anybody is asked for touches no database, so nothing has to leave the event loop."""
    before = threading.active_count()
    status, headers = answer_of(Handler(), "GET", "/graphql/", {})
    assert (status, threading.active_count()) == (HTTPStatus.METHOD_NOT_ALLOWED, before)
    assert headers["X-Content-Type-Options"] == "nosniff"
