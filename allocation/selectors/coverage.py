"""What a provider reports: which months are published, when the next ones are due, which services are there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from accounts.months import shift
from allocation.policies import KNOWN_PROVIDERS
from allocation.selectors.amounts import LINES, Amounts, Method
from allocation.selectors.statuses import Figure, Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


class CoveredMonth(NamedTuple):
    """One month of a provider. `incomplete`: rows of its usage were rejected when it was loaded.

    `estimated_share`: how much of all that the provider divided in the month rests on estimates, 0 to 1, by method.
    """

    month: date
    presence: Presence
    published_at: datetime | None
    due_on: date
    methodology: str | None
    restated: bool
    incomplete: bool
    estimated_share: Mapping[Method, float | None]


class ReportedService(NamedTuple):
    """A service of the catalogue that a provider gave with a published month of a period, covered or not.

    `threshold_kg` is the highest of these months: what an account causes with the service in a month, if less, is not
    told.
    """

    code: str
    name: str
    category: str
    not_covered_in: list[date]
    threshold_kg: Decimal


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one provider reports in a period."""

    provider_code: str
    provider_name: str
    time_zone: str
    release_lag_months: int
    release_day: int
    months: tuple[CoveredMonth, ...]
    services: tuple[ReportedService, ...]


_PROVIDERS = f"""
WITH {KNOWN_PROVIDERS.strip()}
SELECT provider.id, provider.code, COALESCE(NULLIF(provider.name, ''), provider.code), provider.time_zone,
       provider.release_lag_months, provider.release_day
FROM accounts_provider provider JOIN known_provider ON known_provider.provider_id = provider.id
WHERE %(codes)s::text[] IS NULL OR provider.code = ANY(%(codes)s) ORDER BY provider.code
"""  # noqa: S608 fixed texts
_PUBLICATIONS = """
SELECT publication.id, publication.published_at, publication.restates_id IS NOT NULL,
       version.name || '@' || version.version, package.rejected_rows > 0
FROM allocation_publication publication
JOIN allocation_allocationrun run ON run.id = publication.run_id
JOIN allocation_methodologyversion version ON version.id = run.methodology_version_id
JOIN allocation_package package ON package.id = run.package_id
WHERE publication.id = ANY(%(publications)s)
"""
_PROOFS = """
SELECT publication.id, proof.line, sum(proof.source_ug),
       CASE WHEN count(*) = count(proof.estimated_ug) THEN sum(proof.estimated_ug) END
FROM allocation_publication publication JOIN allocation_runproof proof ON proof.run_id = publication.run_id
WHERE publication.id = ANY(%(publications)s)
GROUP BY publication.id, proof.line
"""
# A provider's catalogue is the same for all of its customers; whose accounts use what is told nowhere here.
_SERVICES = """
WITH published AS MATERIALIZED (
    SELECT publication.id, publication.month, run.package_id
    FROM allocation_publication publication JOIN allocation_allocationrun run ON run.id = publication.run_id
    WHERE publication.id = ANY(%(publications)s)
)
SELECT service.provider_id, service.code, COALESCE(NULLIF(service.name, ''), service.code), service.category,
       COALESCE(array_agg(published.month ORDER BY published.month) FILTER (WHERE NOT own.covered), '{}'),
       max(COALESCE(own.threshold_kg, others.threshold_kg, 0))
FROM published
JOIN allocation_packageservice listed ON listed.package_id = published.package_id
JOIN allocation_service service ON service.id = listed.service_id
LEFT JOIN allocation_servicecoverage own
    ON own.package_id = published.package_id AND own.service_id = listed.service_id
LEFT JOIN allocation_servicecoverage others ON others.package_id = published.package_id AND others.service_id IS NULL
GROUP BY service.id ORDER BY service.provider_id, service.code
"""


def coverage(
    *, viewer: Viewer, published: Published, period: Period, providers: list[str] | None = None
) -> list[Coverage]:
    """What the viewer's providers report in a period; four statements.

    `providers` restricts the answer to codes; unknown ones, and those of which the viewer is no customer, are left out.
    """
    pins = published.within(period)
    params = {"viewer": viewer.user_id, "now": viewer.now, "codes": providers}
    chosen = {"publications": [pin.publication_id for pin in pins]}
    with connection.cursor() as cursor:
        cursor.execute(_PROVIDERS, params)
        known = cursor.fetchall()
        cursor.execute(_PUBLICATIONS, chosen)
        details = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(_PROOFS, chosen)
        shares = _estimated_shares(cursor.fetchall())
        cursor.execute(_SERVICES, chosen)
        services = cursor.fetchall()
    found = []
    for provider_id, code, name, time_zone, lag, day in known:
        months = []
        for month in period.months():
            pin = published.by_month.get((provider_id, month))
            at, restated, methodology, incomplete = details[pin.publication_id] if pin else (None, False, None, False)
            first = published.first_months.get(provider_id)
            missing = Presence.NOT_COVERED if first is not None and month < first else Presence.NOT_YET_PUBLISHED
            due = shift(month, lag).replace(day=day)
            estimated = shares.get(pin.publication_id, {}) if pin else {}
            there = Presence.WHOLE if pin else missing
            months.append(CoveredMonth(month, there, at, due, methodology, restated, incomplete, estimated))
        mine = tuple(ReportedService(*row[1:]) for row in services if row[0] == provider_id)
        found.append(Coverage(code, name, time_zone, lag, day, tuple(months), mine))
    return found


def _estimated_shares(
    rows: Iterable[tuple[int, str, Decimal, Decimal | None]],
) -> dict[int, dict[Method, float | None]]:
    """The estimated share by publication and method; None without an amount, or where it was not kept."""
    sources: dict[int, dict[str, Decimal]] = defaultdict(dict)
    estimated: dict[int, dict[str, Decimal | None]] = defaultdict(dict)
    for publication_id, line, source_ug, estimated_ug in rows:
        sources[publication_id][line], estimated[publication_id][line] = source_ug, estimated_ug
    found = {}
    for publication_id, by_line in sources.items():
        known = [by_line.get(line.name) for line in LINES]
        parts = [estimated[publication_id].get(line.name) for line in LINES]
        unknown = any(part is None for one, part in zip(known, parts, strict=True) if one is not None)
        amounts = Amounts.of([*known, None, *parts, None, None, None])
        figure = Figure(amounts, Presence.WHOLE)
        found[publication_id] = {method: None if unknown else figure.estimated_share(method) for method in Method}
    return found
