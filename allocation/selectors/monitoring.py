"""What somebody who watches over the installation wants to know: numbers about runs, no figures of customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Pulse:
    """The state of the work at one instant.

    `runs` counts by state; `steps` gives (how often, seconds altogether) of every step that runs were in;
    `oldest_waiting_seconds` is the age of the oldest run that nobody has taken up; `stuck` counts runs whose lease has
    run out; `published_months` counts by provider; `waiting_restatements` wait for a second operator.
    """

    runs: Mapping[str, int]
    steps: Mapping[str, tuple[int, float]]
    oldest_waiting_seconds: float
    stuck: int
    published_months: Mapping[str, int]
    waiting_restatements: int


_WAITING = """
SELECT COALESCE(EXTRACT(epoch FROM now() - min(requested_at) FILTER (WHERE state = 'queued')), 0)::float8,
       count(*) FILTER (WHERE state IN ('reading', 'allocating', 'writing', 'proving') AND lease_until < now())
FROM allocation_allocationrun WHERE state IN ('queued', 'reading', 'allocating', 'writing', 'proving')
"""


def pulse() -> Pulse:
    """Count; five short statements."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM allocation_allocationrun GROUP BY state")
        runs = dict(cursor.fetchall())
        cursor.execute(
            "SELECT from_state, count(*), COALESCE(sum(duration_ms), 0)::float8 / 1000 FROM allocation_runtransition"
            " WHERE from_state <> '' GROUP BY from_state"
        )
        steps = {state: (count, seconds) for state, count, seconds in cursor.fetchall()}
        cursor.execute(_WAITING)
        oldest, stuck = cursor.fetchone()
        cursor.execute(
            "SELECT provider.code, count(*) FROM allocation_publishedmonth pointer"
            " JOIN accounts_provider provider ON provider.id = pointer.provider_id GROUP BY provider.code"
        )
        months = dict(cursor.fetchall())
        cursor.execute("SELECT count(*) FROM allocation_restatement WHERE decided_at IS NULL")
        return Pulse(runs, steps, oldest, stuck, months, cursor.fetchone()[0])
