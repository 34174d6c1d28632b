"""Places of the viewer's providers: how clean their electricity is, and what a unit of a service emits there.

Only ratios are read here. They are published to every customer of a provider (docs/adr/0010): none of them tells how
much anybody used.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.db import connection

from allocation.policies import KNOWN_PROVIDERS
from allocation.selectors.amounts import Method

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


class LocationMonth(NamedTuple):
    """A place in one month; None = not known, or no electricity was used."""

    month: date
    location_g_per_kwh: float | None
    market_g_per_kwh: float | None
    pue: float | None
    clean_share: float | None
    zero_emission: bool


@dataclass(frozen=True, slots=True)
class LocationProfile:
    """A place as finely as the provider reports it, by month. Names are those of its newest month."""

    cluster_id: int
    provider_code: str
    code: str
    name: str
    kind: str
    region: str
    country: str
    months: tuple[LocationMonth, ...]

    @property
    def key(self) -> tuple[str | int, ...]:
        """The sort key."""
        return (self.provider_code, self.code)


class Places(NamedTuple):
    """Restricts places by code; None = no restriction."""

    providers: tuple[str, ...] | None = None
    countries: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None


# 1 g/kWh = 10^3 ug/Wh. Purchased electricity, that of leased rooms too, over all electricity of the place.
_PROFILES = f"""
WITH {KNOWN_PROVIDERS.strip()}, page AS MATERIALIZED (
    SELECT DISTINCT provider.code COLLATE "C" AS provider, cluster.code COLLATE "C" AS code, cluster.id AS cluster_id
    FROM allocation_runlocation location
    JOIN allocation_cluster cluster ON cluster.id = location.cluster_id
    JOIN accounts_provider provider ON provider.id = cluster.provider_id
    WHERE location.run_id = ANY(%(runs)s::bigint[]) AND cluster.provider_id IN (SELECT provider_id FROM known_provider)
        AND (%(providers)s::text[] IS NULL OR provider.code = ANY(%(providers)s))
        AND (%(countries)s::text[] IS NULL OR location.country = ANY(%(countries)s))
        AND (%(regions)s::text[] IS NULL OR location.region = ANY(%(regions)s))
        AND (%(after_code)s::text IS NULL
             OR (provider.code COLLATE "C", cluster.code COLLATE "C") > (%(after_provider)s, %(after_code)s))
    ORDER BY 1, 2 LIMIT %(limit)s
), green AS (
    SELECT site.package_id, site.cluster_id,
           COALESCE(sum(site.green_ratio * COALESCE(site.facility_kwh, site.it_kwh * site.pue))
                    / NULLIF(sum(COALESCE(site.facility_kwh, site.it_kwh * site.pue)), 0),
                    CASE WHEN min(site.green_ratio) = max(site.green_ratio) THEN min(site.green_ratio) END) AS share
    FROM allocation_site site JOIN page ON page.cluster_id = site.cluster_id
    WHERE site.package_id IN (SELECT package_id FROM allocation_allocationrun WHERE id = ANY(%(runs)s::bigint[]))
    GROUP BY 1, 2
), power AS (
    SELECT proof.run_id, proof.cluster_id, max(proof.source_ug) FILTER (WHERE proof.line = 'energy_wh') AS energy_wh,
           sum(proof.source_ug) FILTER (WHERE proof.line IN ('scope2_lbm', 'scope3_leased_lbm')) AS location_ug,
           sum(proof.source_ug) FILTER (WHERE proof.line IN ('scope2_mbm', 'scope3_leased_mbm')) AS market_ug
    FROM allocation_runproof proof JOIN page ON page.cluster_id = proof.cluster_id
    WHERE proof.run_id = ANY(%(runs)s::bigint[])
    GROUP BY 1, 2
)
SELECT page.cluster_id, page.provider, page.code, location.name, location.kind, location.region, location.country,
       run.month, power.location_ug / NULLIF(power.energy_wh, 0) / 1000,
       power.market_ug / NULLIF(power.energy_wh, 0) / 1000,
       CASE WHEN location.it_wh > 0 THEN location.facility_wh / location.it_wh END, green.share, location.zero_emission
FROM page
JOIN allocation_runlocation location ON location.cluster_id = page.cluster_id
    AND location.run_id = ANY(%(runs)s::bigint[])
JOIN allocation_allocationrun run ON run.id = location.run_id
LEFT JOIN power ON power.run_id = run.id AND power.cluster_id = page.cluster_id
LEFT JOIN green ON green.package_id = run.package_id AND green.cluster_id = page.cluster_id
ORDER BY page.provider COLLATE "C", page.code COLLATE "C", run.month
"""  # noqa: S608 fixed texts


def profiles(  # noqa: PLR0913 the parts of a page
    *,
    viewer: Viewer,
    published: Published,
    period: Period,
    places: Places,
    limit: int,
    after: tuple[str, str] | None = None,
) -> list[LocationProfile]:
    """Places of the providers of which the viewer is a customer, by provider and code; one statement."""
    params: dict[str, Any] = {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "runs": [pin.run_id for pin in published.within(period)],
        "limit": limit,
        "after_provider": after and after[0],
        "after_code": after and after[1],
        **{name: None if codes is None else list(codes) for name, codes in places._asdict().items()},
    }
    groups: dict[int, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_PROFILES, params)
        for row in cursor.fetchall():
            groups.setdefault(row[0], []).append(row)
    return [_profile(rows) for rows in groups.values()]


def _profile(rows: Sequence[tuple[Any, ...]]) -> LocationProfile:
    months = tuple(
        LocationMonth(month, _float(location), _float(market), _float(pue), _float(clean), zero)
        for *_, month, location, market, pue, clean, zero in rows
    )
    cluster_id, provider, code, name, kind, region, country, *_ = rows[-1]
    return LocationProfile(cluster_id, provider, code, name, kind, region, country, months)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


class IntensityKey(NamedTuple):
    """A service at a place in a month."""

    provider: str
    service: str
    place: str
    month: date


@dataclass(frozen=True, slots=True)
class Intensity:
    """What a unit of a service emits at a place, over everybody who used it there."""

    key: IntensityKey
    service_name: str
    category: str
    unit: str
    location_ug_per_unit: Decimal
    market_ug_per_unit: Decimal
    wh_per_unit: Decimal


_INTENSITIES = f"""
WITH {KNOWN_PROVIDERS.strip()}
SELECT provider.code, service.code, intensity.place, run.month, COALESCE(NULLIF(service.name, ''), service.code),
       service.category, intensity.unit, intensity.location_ug_per_unit, intensity.market_ug_per_unit,
       intensity.wh_per_unit
FROM allocation_serviceintensity intensity
JOIN allocation_allocationrun run ON run.id = intensity.run_id
JOIN allocation_service service ON service.id = intensity.service_id
JOIN accounts_provider provider ON provider.id = service.provider_id
WHERE intensity.run_id = ANY(%(runs)s::bigint[]) AND service.provider_id IN (SELECT provider_id FROM known_provider)
    AND intensity.tenants >= %(tenants)s
    AND (%(providers)s::text[] IS NULL OR provider.code = ANY(%(providers)s))
    AND (%(services)s::text[] IS NULL OR service.code = ANY(%(services)s))
    AND (%(regions)s::text[] IS NULL OR intensity.place = ANY(%(regions)s))
    AND (%(after_month)s::date IS NULL
         OR (provider.code COLLATE "C", service.code COLLATE "C", intensity.place COLLATE "C", run.month)
             > (%(after_provider)s, %(after_service)s, %(after_place)s, %(after_month)s))
ORDER BY provider.code COLLATE "C", service.code COLLATE "C", intensity.place COLLATE "C", run.month
LIMIT %(limit)s
"""  # noqa: S608 fixed texts


def intensities(  # noqa: PLR0913 the parts of a page
    *,
    viewer: Viewer,
    published: Published,
    period: Period,
    limit: int,
    providers: Sequence[str] | None = None,
    services: Sequence[str] | None = None,
    regions: Sequence[str] | None = None,
    after: IntensityKey | None = None,
) -> list[Intensity]:
    """Emissions for each unit of services by place and month, for places where enough tenants use them; one statement.

    By provider, service, place and month; only of providers of which the viewer is a customer.
    """
    params: dict[str, Any] = {
        "viewer": viewer.user_id,
        "now": viewer.now,
        "runs": [pin.run_id for pin in published.within(period)],
        "tenants": settings.COMPARISON_MIN_TENANTS,
        "providers": None if providers is None else list(providers),
        "services": None if services is None else list(services),
        "regions": None if regions is None else list(regions),
        "limit": limit,
        "after_provider": after and after.provider,
        "after_service": after and after.service,
        "after_place": after and after.place,
        "after_month": after and after.month,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INTENSITIES, params)
        return [Intensity(IntensityKey(*row[:4]), *row[4:]) for row in cursor.fetchall()]


class Unit(NamedTuple):
    """Micrograms for a unit by both methods, exact, and whether enough tenants stand behind it to be shown to all."""

    location_ug: Fraction
    market_ug: Fraction
    is_shown: bool

    def ug(self, method: Method) -> Fraction:
        """By one method."""
        return self.location_ug if method is Method.LOCATION_BASED else self.market_ug


_UNITS = """
SELECT provider.code, service.code, intensity.place, run.month, intensity.location_ug_per_unit,
       intensity.market_ug_per_unit, intensity.tenants >= %(tenants)s
FROM allocation_serviceintensity intensity
JOIN allocation_allocationrun run ON run.id = intensity.run_id
JOIN allocation_service service ON service.id = intensity.service_id
JOIN accounts_provider provider ON provider.id = service.provider_id
WHERE intensity.run_id = ANY(%(runs)s::bigint[]) AND service.code = ANY(%(services)s)
"""


def units(*, published: Published, period: Period, services: Sequence[str]) -> Mapping[IntensityKey, Unit]:
    """Intensities of services, those of few tenants too; one statement.

    For arithmetic on the viewer's own emissions, which tell the intensity of what the viewer uses anyway. What is not
    `is_shown` must never be shown, nor used for a place at which the viewer has no emissions.
    """
    params: dict[str, Any] = {
        "runs": [pin.run_id for pin in published.within(period)],
        "services": list(services),
        "tenants": settings.COMPARISON_MIN_TENANTS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_UNITS, params)
        return {IntensityKey(*row[:4]): Unit(Fraction(row[4]), Fraction(row[5]), row[6]) for row in cursor.fetchall()}
