"""One id from a request to the log of a worker."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from pythonjsonlogger.json import JsonFormatter

from carbon import correlation
from tests.worker_probe import say

if TYPE_CHECKING:
    from tests.conftest import LiveWorker


def test_an_answer_tells_its_id(client: Client) -> None:
    first, second = (client.get("/health/live").headers["X-Correlation-Id"] for _ in range(2))
    assert first != second
    assert len(first) == 32


def test_the_id_of_a_proxy_is_kept_and_anything_that_could_forge_a_log_line_is_not(client: Client) -> None:
    kept = client.get("/health/live", headers={"X-Correlation-Id": "proxy-0123456789"})
    assert kept.headers["X-Correlation-Id"] == "proxy-0123456789"
    for bad in ("short", "x" * 65, "two words", "new\tline", "a{b}cdefgh"):
        assert client.get("/health/live", headers={"X-Correlation-Id": bad}).headers["X-Correlation-Id"] != bad


@pytest.mark.django_db
def test_graphql_answers_and_logs_under_the_same_id(client: Client) -> None:
    answer = client.post(
        "/graphql/", data="{}", content_type="application/json", headers={"X-Correlation-Id": "proxy-0123456789"}
    )
    assert answer.headers["X-Correlation-Id"] == "proxy-0123456789"


def test_outside_of_a_request_there_is_none() -> None:
    assert correlation.current.get() == correlation.NONE
    assert correlation.id_of(RequestFactory().get("/")) != correlation.NONE


def test_lines_of_json_have_the_id() -> None:
    record = logging.LogRecord("allocation", logging.INFO, "", 1, "run %d", (7,), None)
    token = correlation.current.set("from-the-test")
    try:
        correlation.CorrelationFilter().filter(record)
    finally:
        correlation.current.reset(token)
    formatters: dict[str, dict[str, Any]] = settings.LOGGING["formatters"]  # type: ignore[assignment] # a nested literal
    given = dict(formatters["json"])
    assert given.pop("()") == "pythonjsonlogger.json.JsonFormatter"
    told = json.loads(JsonFormatter(given.pop("format"), **given).format(record))
    assert (told["logger"], told["level"], told["message"]) == ("allocation", "INFO", "run 7")
    assert told["correlation_id"] == "from-the-test"
    assert told["time"]


def test_a_task_works_under_the_id_of_whoever_sent_it(live_worker: LiveWorker) -> None:
    token = correlation.current.set("sent-by-the-test")
    try:
        say.delay(words="one two three")
    finally:
        correlation.current.reset(token)
    deadline = time.monotonic() + 60
    lines: list[str] = []
    while not lines and time.monotonic() < deadline:
        time.sleep(0.1)
        lines = [line for line in live_worker.log.read_text().splitlines() if "one two three" in line]
    assert len(lines) == 1
    assert "sent-by-the-test" in lines[0]


@pytest.mark.parametrize("headers", [None, {}])
def test_without_a_request_messages_carry_no_id(headers: dict[str, str] | None) -> None:
    correlation.send_along(headers=headers)
    assert not headers
