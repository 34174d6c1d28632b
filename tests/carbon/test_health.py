"""The health pages answer for a real database and a real broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.fixtures import Settings


def test_a_live_process_says_so_without_a_database(client: Client) -> None:
    response = client.get("/health/live")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.django_db
def test_ready_looks_at_database_migrations_and_broker(client: Client) -> None:
    response = client.get("/health/ready")
    assert response.json() == {
        "status": "ok",
        "checks": {"database": "ok", "migrations": "ok", "broker": "ok"},
    }
    assert response.status_code == 200


@pytest.mark.django_db
def test_probes_ask_by_address_and_nobody_else_does(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["canopy.example.com"]
    answers = {
        path: client.get(path, headers={"host": "127.0.0.1:8000"}).status_code
        for path in ("/health/live", "/health/ready", "/admin/login/", "/graphql/")
    }
    assert answers == {"/health/live": 200, "/health/ready": 200, "/admin/login/": 400, "/graphql/": 400}
