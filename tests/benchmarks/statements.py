"""Where the database spends its time: seconds of each kind of statement that goes through Django's connection."""

from __future__ import annotations

import contextlib
import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import connection
from psycopg import sql as psycopg_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"_\d+\b")
_TARGET = re.compile(
    r"^(?:WITH .*?)?(INSERT INTO|CREATE INDEX ON|ANALYZE|UPDATE|DELETE FROM|ALTER TABLE|CREATE TABLE|SELECT)"
    r"(?: ONLY)? ?\"?([a-z_0-9]*)\"?"
)


@contextlib.contextmanager
def timed_statements() -> Iterator[dict[str, float]]:
    """Add up the seconds of statements by verb and table inside; COPY streams past this and is not seen."""
    seconds: defaultdict[str, float] = defaultdict(float)

    def measure(execute: Callable[..., Any], sql: object, params: object, many: bool, context: dict[str, Any]) -> Any:  # noqa: ANN401, FBT001 Django's protocol
        begin = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            seconds[kind_of(sql)] += time.perf_counter() - begin

    with connection.execute_wrapper(measure):
        yield seconds


def kind_of(sql: object) -> str:
    """Name a statement by its verb and its first table, without the number of a partition."""
    text = sql.as_string(None) if isinstance(sql, psycopg_sql.Composable) else str(sql)
    text = _SPACE.sub(" ", text).strip()
    if text.startswith("WITH") and "INSERT INTO" in text:
        text = text[text.index("INSERT INTO") :]
    found = _TARGET.match(text)
    if found is None:
        return text.split(" ", 1)[0]
    verb, table = found.groups()
    if verb == "SELECT":
        source = re.search(r"\bFROM \"?(?:ONLY )?([a-z_0-9]+)", text)
        table = source[1] if source else ""
    return f"{verb} {_NUMBER.sub('', table)}".strip()
