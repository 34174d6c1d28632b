"""From the codes that people know to the ids that roll-ups hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from allocation.selectors.facts import NO_FILTER, EmissionsFilter

if TYPE_CHECKING:
    from accounts.months import Period
    from allocation.selectors.publications import Published


class FilterCodes(NamedTuple):
    """Codes to restrict emissions to; None = no restriction, empty = nothing at all."""

    providers: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    countries: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None

    @property
    def names_services(self) -> bool:
        """Whether services are restricted."""
        return any(codes is not None for codes in (self.providers, self.services, self.categories))

    @property
    def names_places(self) -> bool:
        """Whether clusters are restricted."""
        return any(codes is not None for codes in (self.countries, self.regions, self.clusters))


_SERVICES = """
SELECT service.id FROM allocation_service service JOIN accounts_provider provider ON provider.id = service.provider_id
WHERE (%(services)s::text[] IS NULL OR service.code = ANY(%(services)s))
    AND (%(categories)s::text[] IS NULL OR service.category = ANY(%(categories)s))
    AND (%(providers)s::text[] IS NULL OR provider.code = ANY(%(providers)s))
"""
_CLUSTERS = """
SELECT DISTINCT cluster.id
FROM allocation_runlocation location JOIN allocation_cluster cluster ON cluster.id = location.cluster_id
WHERE location.run_id = ANY(%(runs)s)
    AND (%(clusters)s::text[] IS NULL OR cluster.code = ANY(%(clusters)s))
    AND (%(regions)s::text[] IS NULL OR location.region = ANY(%(regions)s))
    AND (%(countries)s::text[] IS NULL OR location.country = ANY(%(countries)s))
"""


def resolve(*, codes: FilterCodes, published: Published, period: Period) -> EmissionsFilter:
    """Find the services and clusters that a filter names; unknown codes name nothing. At most two statements."""
    if codes == FilterCodes():
        return NO_FILTER
    params: dict[str, Any] = {name: None if value is None else list(value) for name, value in codes._asdict().items()}
    params["runs"] = [pin.run_id for pin in published.within(period)]
    return EmissionsFilter(
        _ids(_SERVICES, params) if codes.names_services else None,
        _ids(_CLUSTERS, params) if codes.names_places else None,
    )


def _ids(statement: str, params: dict[str, Any]) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return tuple(sorted(row[0] for row in cursor.fetchall()))
