"""Runs: everything for operators; for customers the published ones, without what is the provider's own business."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from allocation.policies import KNOWN_PROVIDERS

if TYPE_CHECKING:
    from accounts.months import Period
    from accounts.policies import Viewer


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a run's state: when, by whom, on which worker, after how many milliseconds, with how many rows."""

    from_state: str
    to_state: str
    at: dt.datetime
    actor: str | None
    worker: str
    attempt: int
    duration_ms: int | None
    rows: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What only operators see of a run. Chunks are clusters; `failure_code` is empty while all is well."""

    package_number: int
    requested_by: str | None
    attempt: int
    chunks: int
    chunks_written: int
    ledger_rows: int | None
    findings: int
    failure_code: str
    failure_reason: str
    transitions: tuple[Transition, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One allocation of a month."""

    id: int
    provider_code: str
    month: dt.date
    state: str
    methodology_version_id: int
    methodology: str
    requested_at: dt.datetime
    finished_at: dt.datetime | None
    published_at: dt.datetime | None
    details: RunDetails | None


_RUNS = f"""
WITH {KNOWN_PROVIDERS.strip()}
SELECT run.id, provider.code, run.month, run.state, run.methodology_version_id, version.name || '@' || version.version,
       run.requested_at, run.finished_at,
       (SELECT min(publication.published_at) FROM allocation_publication publication WHERE publication.run_id = run.id),
       accounts_is_operator(%(viewer)s), package.number, person.username, run.attempt,
       (SELECT count(*) FROM allocation_runchunk chunk WHERE chunk.run_id = run.id),
       (SELECT count(*) FROM allocation_runchunk chunk WHERE chunk.run_id = run.id AND chunk.written_at IS NOT NULL),
       run.ledger_rows, (SELECT count(*) FROM allocation_runfinding finding WHERE finding.run_id = run.id),
       run.failure_code, run.failure_reason,
       (SELECT jsonb_agg(jsonb_build_array(step.from_state, step.to_state, step.at, actor.username, step.worker,
                                           step.attempt, step.duration_ms, step.rows, step.reason) ORDER BY step.id)
        FROM allocation_runtransition step LEFT JOIN accounts_user actor ON actor.id = step.actor_id
        WHERE step.run_id = run.id AND accounts_is_operator(%(viewer)s))
FROM allocation_allocationrun run
JOIN accounts_provider provider ON provider.id = run.provider_id
JOIN known_provider ON known_provider.provider_id = run.provider_id
JOIN allocation_package package ON package.id = run.package_id
JOIN allocation_methodologyversion version ON version.id = run.methodology_version_id
LEFT JOIN accounts_user person ON person.id = run.requested_by_id
WHERE (%(before)s::bigint IS NULL OR run.id < %(before)s)
    AND (%(id)s::bigint IS NULL OR run.id = %(id)s)
    AND (%(provider)s::text IS NULL OR provider.code = %(provider)s)
    AND (%(start)s::date IS NULL OR (run.month >= %(start)s AND run.month < %(bound)s))
    AND (accounts_is_operator(%(viewer)s)
         OR EXISTS (SELECT FROM allocation_publication publication WHERE publication.run_id = run.id))
ORDER BY run.id DESC LIMIT %(limit)s
"""  # noqa: S608 fixed texts
_SHARED = 9


def runs(
    *, viewer: Viewer, limit: int, provider: str | None = None, period: Period | None = None, before: int | None = None
) -> list[Run]:
    """Runs that the viewer may know, newest first, older than the id `before`."""
    return _read(
        viewer,
        {
            "before": before,
            "id": None,
            "provider": provider,
            "start": None if period is None else period.start,
            "bound": None if period is None else period.bound,
            "limit": limit,
        },
    )


def run(*, viewer: Viewer, run_id: int) -> Run | None:
    """One run, if the viewer may know it."""
    nothing = dict.fromkeys(("before", "provider", "start", "bound"))
    found = _read(viewer, nothing | {"id": run_id, "limit": 1})
    return found[0] if found else None


def _read(viewer: Viewer, params: dict[str, Any]) -> list[Run]:
    with connection.cursor() as cursor:
        cursor.execute(_RUNS, {"viewer": viewer.user_id, "now": viewer.now} | params)
        return [Run(*(*row[:_SHARED], _details(row) if row[_SHARED] else None)) for row in cursor.fetchall()]


def _details(row: tuple[Any, ...]) -> RunDetails:
    values = [*row[_SHARED + 1 : -1], _transitions(row[-1])]
    return RunDetails(*values)


def _transitions(text: str | None) -> tuple[Transition, ...]:
    """Read the history, oldest first, from the JSON that comes out of the database."""
    rows = json.loads(text or "[]")
    return tuple(Transition(before, after, dt.datetime.fromisoformat(at), *rest) for before, after, at, *rest in rows)
