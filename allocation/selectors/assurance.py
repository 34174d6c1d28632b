"""What third parties verified of the figures that are shown, and what a restatement has left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connection

from allocation.policies import KNOWN_PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


@dataclass(frozen=True, slots=True)
class VerificationStatement:
    """A statement. `months` are those it covers as they are shown; `left_behind` those that were published again since.

    Both are empty for a statement about a methodology version, which `methodology_version_id` names.
    """

    id: int
    provider_code: str
    verifier: str
    standard: str
    level: str
    scope: str
    period_from: date | None
    period_until: date | None
    document_url: str
    document_sha256: str
    issued_on: date
    methodology_version_id: int | None
    months: list[date]
    left_behind: list[date]


_STATEMENTS = f"""
WITH {KNOWN_PROVIDERS.strip()}, pin AS (
    SELECT * FROM unnest(%(publications)s::bigint[]) AS pin (publication_id)
), about AS (
    SELECT verified.statement_id,
           array_agg(publication.month ORDER BY publication.month)
               FILTER (WHERE pin.publication_id IS NOT NULL) AS months,
           array_agg(publication.month ORDER BY publication.month) FILTER (WHERE pin.publication_id IS NULL) AS behind
    FROM allocation_verifiedpublication verified
    JOIN allocation_publication publication ON publication.id = verified.publication_id
    LEFT JOIN pin ON pin.publication_id = publication.id
    WHERE %(start)s::date IS NULL OR (publication.month >= %(start)s AND publication.month < %(bound)s)
    GROUP BY verified.statement_id
)
SELECT statement.id, provider.code, statement.verifier, statement.standard, statement.level, statement.scope,
       statement.period_from, statement.period_until, statement.document_url, statement.document_sha256,
       statement.issued_on, statement.methodology_version_id,
       COALESCE(about.months, '{{}}'), COALESCE(about.behind, '{{}}')
FROM allocation_verificationstatement statement
JOIN accounts_provider provider ON provider.id = statement.provider_id
JOIN known_provider ON known_provider.provider_id = statement.provider_id
LEFT JOIN about ON about.statement_id = statement.id
WHERE (statement.withdrawn_at IS NULL OR statement.withdrawn_at > %(moment)s) AND statement.recorded_at <= %(moment)s
    AND (statement.methodology_version_id = ANY(%(versions)s)
         OR (about.statement_id IS NOT NULL AND statement.provider_id = ANY(%(providers)s)))
ORDER BY statement.id DESC LIMIT %(limit)s
"""  # noqa: S608 fixed texts
MOST = 100


Asker = TypeVar("Asker")


def behind(
    *, viewer: Viewer, published: Published, run_ids: Mapping[Asker, Collection[int]], period: Period
) -> dict[Asker, list[VerificationStatement]]:
    """For each of several sets of runs: statements about the months that they are shown for, and about their methods.

    Two statements, whatever the number of sets.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run.id, run.methodology_version_id, run.provider_id, provider.code"
            " FROM allocation_allocationrun run JOIN accounts_provider provider ON provider.id = run.provider_id"
            " WHERE run.id = ANY(%s)",
            [sorted({run for some in run_ids.values() for run in some})],
        )
        known = {run: about for run, *about in cursor.fetchall()}
    rows = statements(
        viewer=viewer,
        published=published,
        version_ids={version for version, _, _ in known.values()},
        provider_ids={provider for _, provider, _ in known.values()},
        period=period,
    )
    found = {}
    for asker, some in run_ids.items():
        versions = {known[run][0] for run in some if run in known}
        codes = {known[run][2] for run in some if run in known}
        found[asker] = [
            row
            for row in rows
            if row.methodology_version_id in versions
            or (row.methodology_version_id is None and row.provider_code in codes)
        ]
    return found


def statements(
    *,
    viewer: Viewer,
    published: Published,
    version_ids: Collection[int] = (),
    provider_ids: Collection[int] = (),
    period: Period | None = None,
) -> list[VerificationStatement]:
    """Statements about these versions, and about months of these providers (in a period), newest first.

    `published` says what is shown of each month: what else a statement is about was left behind.
    """
    params: dict[str, Any] = {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "moment": published.moment or viewer.now,
        "publications": [pin.publication_id for pin in published.pins],
        "versions": sorted(version_ids),
        "providers": sorted(provider_ids),
        "start": None if period is None else period.start,
        "bound": None if period is None else period.bound,
        "limit": MOST,
    }
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENTS, params)
        return [VerificationStatement(*row) for row in cursor.fetchall()]
