"""Reading the settings starts nothing, and a production must name its secrets."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import AsyncClient, Client

from carbon.environment import CLONE_DIR, kept_secret
from carbon.management.commands.serve import debug_on_loopback

if TYPE_CHECKING:
    from pathlib import Path

PRODUCTION = {
    "DATABASE_URL": "postgres://canopy:secret@db.example/canopy",
    "CELERY_BROKER_URL": "amqp://canopy:secret@mq.example//",
    "CANOPY_SECRET_KEY": "k" * 60,
    "CANOPY_ALLOWED_HOSTS": "canopy.example",
    "CANOPY_STATIC_DIR": "/srv/static",
}


def evaluate(expression: str, state: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Evaluate an expression over freshly read settings in a process of its own."""
    return python(["-c", f"import carbon.settings as s; print({expression})"], state, variables)


def python(words: list[str], state: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in the clone with no variables of ours but these."""
    ours = ("DATABASE_URL", "CELERY_BROKER_URL")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("CANOPY_") and k not in ours}
    return subprocess.run(
        [sys.executable, *words],
        cwd=CLONE_DIR,
        env={**inherited, "CANOPY_STATE_DIR": str(state), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_whoever_collects_static_files_others_serve_them(tmp_path: Path) -> None:
    """In the image root collects them, and an account of its own serves them."""
    collected = tmp_path / "static"
    variables = PRODUCTION | {"CANOPY_STATIC_DIR": str(collected)}
    done = python(["manage.py", "collectstatic", "--no-input"], tmp_path / "state", variables)
    assert done.returncode == 0, done.stderr
    files = [path for path in collected.rglob("*") if path.is_file()]
    assert collected / "staticfiles.json" in files
    assert [path for path in files if not path.stat().st_mode & 0o004] == []


def test_reading_the_settings_starts_nothing(tmp_path: Path) -> None:
    done = evaluate("s.EMBEDDED, s.DEBUG, s.HTTPS", tmp_path / "state", {})
    assert done.stdout == "True False False\n", done.stderr
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["secret_key"]
    assert (tmp_path / "state" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_commands_that_need_no_database_start_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CLONE_DIR,
        env={**os.environ, "CANOPY_STATE_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_generated_secret_stays(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "deep" / "key")
    assert len(first) >= 64
    assert kept_secret(tmp_path / "deep" / "key") == first
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["key"]


@pytest.mark.parametrize("missing", ["CANOPY_SECRET_KEY", "CANOPY_ALLOWED_HOSTS", "CANOPY_STATIC_DIR"])
def test_a_production_must_name_its_secrets(tmp_path: Path, missing: str) -> None:
    done = evaluate("0", tmp_path, {k: v for k, v in PRODUCTION.items() if k != missing})
    assert done.returncode == 1
    assert f'Environment variable "{missing}" not set' in done.stderr


def test_a_production_is_closed_by_default(tmp_path: Path) -> None:
    names = ("DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "CELERY_IS_AMQP")
    done = evaluate(", ".join(f"s.{name}" for name in names), tmp_path, PRODUCTION)
    assert done.stdout == "False True True True True\n", done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_production_passes_djangos_deployment_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "ERROR"],
        cwd=CLONE_DIR,
        env={**os.environ, **PRODUCTION, "CANOPY_STATE_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_only_postgresql_is_accepted(tmp_path: Path) -> None:
    done = evaluate("0", tmp_path, {**PRODUCTION, "DATABASE_URL": "sqlite:///db.sqlite3"})
    assert done.returncode == 1
    assert "DATABASE_URL must name a PostgreSQL" in done.stderr


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", {"CANOPY_DEBUG": "1"}),
        ("localhost", {"CANOPY_DEBUG": "1"}),
        ("::1", {"CANOPY_DEBUG": "1"}),
        ("0.0.0.0", {}),  # noqa: S104 the case to refuse
        ("192.0.2.7", {}),
        ("canopy.example", {}),
    ],
)
def test_debug_pages_stay_on_this_machine(host: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANOPY_DEBUG", raising=False)
    monkeypatch.setattr(settings, "EMBEDDED", True)
    assert debug_on_loopback(host) == expected


def test_guardian_never_counts_global_permissions_of_a_stored_anonymous_user() -> None:
    assert settings.ANONYMOUS_USER_NAME is None
    assert not hasattr(settings, "GUARDIAN_LEGACY_GLOBAL_PERMS_GROUP_UNION")
    assert settings.OAUTH2_PROVIDER["PKCE_REQUIRED"] is True


@pytest.mark.django_db  # closing a response looks at the connections of earlier tests
def test_static_files_are_served_under_wsgi(client: Client) -> None:
    response = client.get("/static/admin/css/base.css")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/css")
    assert response.getvalue() == static_bytes("admin/css/base.css")
    response.close()


@pytest.mark.parametrize("method", ["get", "head"])
def test_static_files_are_served_under_asgi(method: str) -> None:
    response = asyncio.run(getattr(AsyncClient(), method)("/static/admin/css/base.css"))
    assert response.status_code == 200
    assert not response.streaming
    content = static_bytes("admin/css/base.css")
    assert response.content == (content if method == "get" else b"")
    assert response["Content-Length"] == str(len(content))


def static_bytes(path: str) -> bytes:
    found = finders.find(path)
    assert isinstance(found, str)
    with open(found, "rb") as file:  # noqa: PTH123 the finder gives text
        return file.read()


def test_the_api_server_alone_keeps_a_pool_of_connections(tmp_path: Path) -> None:
    pool = "s.DATABASES['default']['OPTIONS'].get('pool', {}).get('max_size')"
    assert evaluate(pool, tmp_path, {}).stdout == "None\n"
    assert evaluate(pool, tmp_path, {"CANOPY_POOL_CONNECTIONS": "3"}).stdout == "3\n"
    program = f"import carbon.asgi, carbon.settings as s; print({pool})"
    served = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CLONE_DIR,
        env={**os.environ, "CANOPY_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert served.stdout == "8\n"
