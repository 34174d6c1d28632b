"""The short way through the middleware answers as Django's own way does."""

from __future__ import annotations

import asyncio
import threading
from http import HTTPStatus
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.test import AsyncRequestFactory

from carbon.handler import Handler

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

    async def answered() -> Any:  # noqa: ANN401 a response
        try:
            return await handler.get_response_async(request)
        finally:  # the thread ends with this loop, and its connection would outlive it
            await sync_to_async(connections.close_all)()

    response = asyncio.run(answered())
    changing = {"X-Correlation-Id", "Set-Cookie", "Content-Length", "Expires"}
    return response.status_code, {name: value for name, value in response.headers.items() if name not in changing}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS)
def test_answers_are_those_of_the_ordinary_way(method: str, path: str, headers: dict[str, str]) -> None:
    answers = [answer_of(handler, method, path, headers) for handler in (ASGIHandler(), Handler())]
    assert answers[0] == answers[1]
    assert "X-Content-Type-Options" in answers[1][1] or answers[1][0] == HTTPStatus.BAD_REQUEST


def test_a_refusal_needs_no_thread() -> None:
    """What is refused before anybody is asked for touches no database, so nothing has to leave the event loop."""
    request = AsyncRequestFactory(headers={"Host": "localhost"}).get("/graphql/")
    before = threading.active_count()
    response: Any = asyncio.run(Handler().get_response_async(request))
    assert (response.status_code, threading.active_count()) == (HTTPStatus.METHOD_NOT_ALLOWED, before)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
