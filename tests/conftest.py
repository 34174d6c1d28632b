"""What all tests share: a real PostgreSQL, which the first connection starts."""

from __future__ import annotations

from django.conf import settings


def pytest_configure() -> None:
    """Hash passwords quickly: the real hashers take a tenth of a second each, on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
