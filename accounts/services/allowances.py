"""Counting requests: one statement each, shared by all processes, without a job that refills anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.db import connection

MINUTE: Final = timedelta(minutes=1)


def take(*, asker: str, per_minute: int) -> timedelta | None:
    """Take one request out of an asker's allowance.

    A whole allowance is a minute's requests, which may come all at once; it fills again evenly. (This is the generic
    cell rate algorithm, ITU-T I.371: one instant per asker says how full it is.)

    Args:
        asker: who asks; up to 80 characters.
        per_minute: size of the allowance, 1 or more.

    Returns:
        None if there was one left, else how long it takes until there is.
    """
    given: dict[str, Any] = {"asker": asker, "each": MINUTE / per_minute, "minute": MINUTE}
    with connection.cursor() as cursor:
        # The database's clock: several machines share the row. It runs on inside a transaction.
        cursor.execute(
            "INSERT INTO accounts_requestallowance AS kept (asker, full_at)"
            " VALUES (%(asker)s, clock_timestamp() + %(each)s)"
            " ON CONFLICT (asker) DO UPDATE SET full_at = GREATEST(kept.full_at, clock_timestamp()) + %(each)s"
            " WHERE kept.full_at + %(each)s <= clock_timestamp() + %(minute)s RETURNING asker",
            given,
        )
        if cursor.fetchone() is not None:
            return None
        cursor.execute(
            "SELECT GREATEST(full_at + %(each)s - %(minute)s - clock_timestamp(), interval '0')"
            " FROM accounts_requestallowance WHERE asker = %(asker)s",
            given,
        )
        row = cursor.fetchone()
    return row[0] if row else timedelta()


def forget_whole() -> int:
    """Delete the rows of whole allowances, which say nothing; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_requestallowance WHERE full_at < clock_timestamp()")
        return int(cursor.rowcount)
