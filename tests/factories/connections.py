"""A second connection, for tests of what two processes do to each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def elsewhere(*works: Callable[[], Result]) -> list[Result]:
    """Do all the works at once, each on a connection of its own; return their results once all are committed."""

    def alone(work: Callable[[], Result]) -> Result:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(alone, works, timeout=60))
