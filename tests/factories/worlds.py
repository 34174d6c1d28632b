"""Worlds that are thrown away again: one per example of a property test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def thrown_away() -> Iterator[None]:
    """Undo everything that is written inside. What is judged at commit is not judged."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
