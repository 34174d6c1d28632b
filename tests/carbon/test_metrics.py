"""Metrics: requests of the process, the state of the work, and nobody else's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.factories.months import OPERATOR, month

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db
TOKEN = {"Authorization": "Bearer a-long-token"}


def read(client: Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    answer = client.get("/metrics", headers=TOKEN)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_there_is_no_such_page_without_the_token(client: Client, settings: Settings) -> None:
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    settings.METRICS_TOKEN = "a-long-token"
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer ä"}):
        assert client.get("/metrics", headers=headers).status_code == 404
    assert client.post("/metrics", headers=TOKEN).status_code == 405


def test_runs_and_requests_are_counted(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "a-long-token"
    before = read(client)
    june = month()
    june.run()
    client.get("/health/live")
    client.get("/nowhere/7")
    after = read(client)
    ready = ("canopy_runs", (("state", "ready"),))
    assert after[ready] == before.get(ready, 0) + 1
    proving = ("canopy_run_steps_total", (("step", "proving"),))
    assert after[proving] == before.get(proving, 0) + 1
    live = (
        "canopy_http_request_seconds_count",
        (("method", "GET"), ("route", "health/live"), ("status", "200")),
    )
    assert after[live] == before.get(live, 0) + 1
    assert not [labels for name, labels in after if any("nowhere" in value for _, value in labels)]
    assert after["canopy_oldest_queued_run_seconds", ()] == 0
    june = month(june.provider, when=OPERATOR.now.date().replace(day=1))
    june.request()
    assert read(client)["canopy_oldest_queued_run_seconds", ()] > 0
