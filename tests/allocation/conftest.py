"""What tests of runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:  # noqa: ARG001 what the test commits, other connections see
    """Let the test commit; partitions, which Django does not know of, are dropped afterwards."""
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relname ~ '^allocation_(usagerow|ledgerrow|accounttotal|containertotal)_[0-9]+$'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {table}")
        # Django empties all tables now; some of ours refuse that, as they should. It closes the connection afterwards.
        cursor.execute("SET session_replication_role = replica")
