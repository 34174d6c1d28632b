"""The page of error codes says what the API answers: every request of it, and every code that there is.

With `WRITE_HANDBOOK=1` the answers are written anew, for somebody to read the difference.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client

from accounts.services.refusal import Refusal
from allocation.services import downloads
from carbon.environment import CLONE_DIR
from graphql_api.errors import Code
from tests.graphql_api.ask import post
from tests.graphql_api.test_exports import files_of, written
from tests.graphql_api.test_http import NAME, token

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import Settings

    from tests.read_model.world import World

PAGE: Final = CLONE_DIR / "docs" / "api-errors.md"
EXAMPLE: Final = re.compile(r"^## (\w+)\n\n.*?```http\n(.*?)\n```\n\n```http\n(.*?)\n```", re.DOTALL | re.MULTILINE)
EXAMPLES: Final = {code: (request, answer) for code, request, answer in EXAMPLE.findall(PAGE.read_text("utf-8"))}
REPEATED: Final = re.compile(r"‹(.*?)›×(\d+)")
# Differs each time.
UNSTEADY: Final = {"correlationId", "retryAfterSeconds"}
# What only commands, imports and the admin say.
ELSEWHERE: Final = {
    "REFUSED",
    "CONFLICTS_WITH_TREE",
    "DOCUMENT_REFUSED",
    "EXISTS",
    "STATEMENT_WITHDRAWN",
    "APPROVAL_REQUIRED",
}


def spelled_out(text: str) -> str:
    return REPEATED.sub(lambda part: "".join(part[1].replace("#", str(n)) for n in range(int(part[2]))), text)


def send(text: str) -> tuple[int, Any]:
    """Send a request of the page; the status and the JSON of the answer."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    method, path = first.split(" ", 1)
    headers = dict(line.split(": ", 1) for line in lines)
    if path.startswith("/exports/"):
        response: Any = async_to_sync(AsyncClient().get)(path)
    else:
        kind = headers.pop("Content-Type", "application/json")
        response = Client(enforce_csrf_checks=True).generic(
            method, path, spelled_out(body).encode(), content_type=kind, headers=headers
        )
    return response.status_code, json.loads(response.content)


def told(status: int, answer: Any) -> str:  # noqa: ANN401 JSON
    """An answer as the page has it."""
    for error in answer["errors"]:
        error["extensions"] |= dict.fromkeys(UNSTEADY & error["extensions"].keys(), "…")
    return f"HTTP/1.1 {status}\n\n{json.dumps(answer, indent=2, ensure_ascii=False)}"


@pytest.fixture
def known(world: World, settings: Settings, tmp_path: Path) -> dict[str, str]:
    """What the names in braces stand for."""
    settings.MEDIA_ROOT = tmp_path
    settings.ALLOCATION_LEASE_SECONDS = 100_000
    session = Client()
    session.force_login(world.made["owner"], backend="django.contrib.auth.backends.ModelBackend")
    link = files_of(written(world, "viewer-b"))[0]["link"]["url"].rpartition("/")[2]
    world.made["viewer-b"].is_active = False
    world.made["viewer-b"].save()
    return {
        "token": token(world, "owner"),
        "session": session.cookies["sessionid"].value,
        "forbidden": link,
        "expired": link,
    }


def arrange(code: str, known: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring about what the text above an example says."""

    def broken(**_arguments: object) -> None:
        raise RuntimeError("broken on purpose")

    def slow(**_arguments: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")

    match code:
        case Code.THROTTLED:
            settings.GRAPHQL_REQUESTS_PER_MINUTE = 1
            assert post(Client(), NAME, authorization=f"Bearer {known['token']}").status_code == 200
        case Code.INTROSPECTION_DISABLED:
            settings.GRAPHQL_INTROSPECTION = False
        case Code.TIMEOUT:
            monkeypatch.setattr("graphql_api.context.STATEMENT_TIMEOUT_MS", 2_000)
            monkeypatch.setattr("allocation.selectors.nodes.topmost", slow)
        case Code.INTERNAL_ERROR:
            monkeypatch.setattr("allocation.selectors.nodes.topmost", broken)
        case downloads.LinkExpired.code:
            settings.EXPORT_LINK_SECONDS = -1


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_request_gets_its_code(
    code: str, known: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, expected = EXAMPLES[code]
    arrange(code, known, settings, monkeypatch)
    status, answer = send(re.sub(r"\{\{(\w+)\}\}", lambda name: known[name[1]], request))
    with connection.cursor() as cursor:
        # Requests are savepoints of the test's transaction, which keeps what they set.
        cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {code}
    if os.environ.get("WRITE_HANDBOOK"):
        before = f"```http\n{request}\n```\n\n```http\n"
        page = PAGE.read_text("utf-8").replace(f"{before}{expected}\n```", f"{before}{told(status, answer)}\n```")
        PAGE.write_text(page, "utf-8")
    else:
        assert told(status, answer) == expected


def test_every_code_has_an_example() -> None:
    assert EXAMPLES.keys() == {*Code, downloads.LinkExpired.code}


def test_every_code_of_a_mutation_is_told() -> None:
    rows = set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    refusals = list(Refusal.__subclasses__())
    for found in refusals:
        refusals += found.__subclasses__()
    assert rows == {found.code for found in refusals} - ELSEWHERE
