"""The installation itself as the one who asks: its clock publishes, sweeps and verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from accounts.policies import Viewer

if TYPE_CHECKING:
    import datetime as dt


def database_now() -> dt.datetime:
    """Return the time by the database's clock: one clock for all workers, whatever theirs say."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
        return now


def system(now: dt.datetime) -> Viewer:
    """Return a viewer who is nobody and may do what an operator may; for schedules and commands, never for requests."""
    return Viewer(user_id=None, is_active=True, is_operator=True, now=now)
