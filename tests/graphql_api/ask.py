"""Ask the API over Django's test client, as somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.test import Client

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.read_model.world import World


def post(client: Client, body: object, **headers: str) -> HttpResponse:
    """POST anything as JSON."""
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post("/graphql/", data=data, content_type="application/json", headers=headers)  # type: ignore[return-value] # the stub's response wraps HttpResponse


def signed_in(world: World, who: str) -> Client:
    """A browser with a session."""
    client = Client()
    client.force_login(world.made[who], backend="django.contrib.auth.backends.ModelBackend")
    return client


def ask(client: Client, query: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401 variables are JSON
    """Ask and return `data`; fails on errors."""
    answer = json.loads(post(client, {"query": query, "variables": variables}).content)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]  # type: ignore[no-any-return]


def errors(client: Client, query: str, **variables: Any) -> list[dict[str, Any]]:  # noqa: ANN401 variables are JSON
    """Ask and return the errors."""
    answer = json.loads(post(client, {"query": query, "variables": variables}).content)
    return answer.get("errors", [])  # type: ignore[no-any-return]


def codes(client: Client, query: str, **variables: Any) -> list[str]:  # noqa: ANN401 variables are JSON
    """Ask and return the codes of the errors."""
    return [error["extensions"]["code"] for error in errors(client, query, **variables)]
