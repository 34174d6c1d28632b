"""Statements of selectors, planned once for a connection instead of once for a request.

Half of the database's work for a question was to read and plan statements of many lines that differ in their
parameters alone (docs/adr/0015-statements-are-prepared.md). They are prepared by the server, and inside a request
(`accounts.web_role.as_web`) it plans them without looking at the parameters.

Statements on partitioned tables are planned with their parameters each time: a plan for any run would have to hold all
partitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor

from accounts.web_role import PARTITIONED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.backends.utils import CursorWrapper
    from psycopg._queries import PostgresQuery
    from psycopg.abc import Params, Query

Row = tuple[Any, ...]
# How often psycopg executes a statement before it prepares it.
_AT_ONCE: Final = 0


class _Cursor(ServerBindingCursor):
    """Leaves the text of its statement where Django's log of statements looks for it."""

    def _convert_query(self, query: Query, params: Params | None = None) -> PostgresQuery:
        converted: PostgresQuery = super()._convert_query(query, params)  # type: ignore[misc] # of psycopg's cursor
        self._query = converted
        return converted


def rows_of(statement: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> list[Row]:
    """Execute a statement whose text does not contain values; all its rows."""
    with _cursor(statement) as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())


def _cursor(statement: str) -> CursorWrapper:
    if not settings.PREPARED_STATEMENTS or any(table in statement for table in PARTITIONED):
        return connection.cursor()
    connection.ensure_connection()
    raw = connection.connection
    usual, raw.cursor_factory, raw.prepare_threshold = raw.cursor_factory, _Cursor, _AT_ONCE
    try:
        return connection.cursor()  # with Django's wrappers, as any other
    finally:
        raw.cursor_factory = usual
