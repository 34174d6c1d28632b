"""What an answer costs: statements, rows that they hand out, and calls of our own Python functions."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_OURS = tuple(str(Path(settings.BASE_DIR) / package) for package in ("accounts", "allocation", "graphql_api"))


class Effort(NamedTuple):
    """Counts, which are the same on every machine; of the calls, but for a few."""

    statements: int
    rows: int
    calls: int


def effort_of(act: Callable[[], Any]) -> Effort:
    """Count while something is done, also in the threads that it starts."""
    statements = rows = calls = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_filename.startswith(_OURS)

    def measure(execute: Callable[..., Any], sql: object, params: object, many: bool, context: dict[str, Any]) -> Any:  # noqa: ANN401, FBT001 Django's protocol
        nonlocal statements, rows
        found = execute(sql, params, many, context)
        statements += 1
        rows += max(context["cursor"].cursor.rowcount, 0)
        return found

    before, before_of_threads = sys.getprofile(), threading.getprofile()
    with connection.execute_wrapper(measure):
        sys.setprofile(count)
        threading.setprofile(count)
        try:
            act()
        finally:
            sys.setprofile(before)
            threading.setprofile(before_of_threads)
    return Effort(statements, rows, calls)
