"""Statements of selectors, planned once for a connection instead of once for a request.

Half of the database's work for a question was to read and plan statements of many lines that differ in their
parameters alone (docs/adr/0015-statements-are-prepared.md). They are prepared by the server, and inside a request
(`accounts.web_role.as_web`) it plans them without looking at the parameters.

Statements on partitioned tables are planned with their parameters each time: a plan for any run would have to hold all
partitions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.base import CursorMixin
from psycopg import RawCursor

from accounts.web_role import PARTITIONED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.utils import CursorWrapper
    from psycopg._queries import PostgresQuery
    from psycopg.abc import Params, Query

Row = tuple[Any, ...]
# How often psycopg executes a statement before it prepares it.
_AT_ONCE: Final = 0
_PLACES: Final = re.compile(r"%(?:%|\((\w+)\)s|s|.)")
# As many texts as an installation's questions have; each is some kilobytes long.
_MAX_TEXTS: Final = 1_024


class _Cursor(CursorMixin, RawCursor[Row]):
    """Leaves the text of its statement where Django's log of statements looks for it."""

    def _convert_query(self, query: Query, params: Params | None = None) -> PostgresQuery:
        converted: PostgresQuery = super()._convert_query(query, params)
        self._query = converted
        return converted


class _Numbered(NamedTuple):
    """A statement with `$1` for its first parameter; `names` of the parameters, in this order, where they have names.

    psycopg would read a text of more than four kilobytes anew each time that it is executed.
    """

    text: str
    names: tuple[str, ...]


@lru_cache(maxsize=_MAX_TEXTS)
def _numbered(statement: str) -> _Numbered:
    names: dict[str, int] = {}
    count = 0

    def number(place: re.Match[str]) -> str:
        nonlocal count
        if place[0] == "%%":
            return "%"
        if place[1] is not None:
            return f"${names.setdefault(place[1], len(names) + 1)}"
        if place[0] != "%s":
            raise ValueError(f"{place[0]!r} is no place of a parameter")
        count += 1
        return f"${count}"

    return _Numbered(_PLACES.sub(number, statement), tuple(names))


@lru_cache(maxsize=_MAX_TEXTS)
def _is_partitioned(statement: str) -> bool:
    return any(table in statement for table in PARTITIONED)


def rows_of(statement: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> list[Row]:
    """Execute a statement whose text does not contain values; all its rows."""
    if not settings.PREPARED_STATEMENTS or _is_partitioned(statement):
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            return list(cursor.fetchall())
    text, values = statement, params
    if params is not None:
        text, names = _numbered(statement)
        values = [params[name] for name in names] if isinstance(params, Mapping) else params
    with _preparing_cursor() as cursor:
        cursor.execute(text, values)
        return list(cursor.fetchall())


def _preparing_cursor() -> CursorWrapper:
    connection.ensure_connection()
    raw = connection.connection
    usual, raw.cursor_factory, raw.prepare_threshold = raw.cursor_factory, _Cursor, _AT_ONCE
    try:
        return connection.cursor()  # with Django's wrappers, as any other
    finally:
        raw.cursor_factory = usual
