"""Places and services compared: carbon intensity, PUE, clean share, emissions for each unit."""

from __future__ import annotations

import strawberry

from allocation.selectors.locations import Intensity, LocationMonth, LocationProfile
from graphql_api.pagination import PageInfo
from graphql_api.scalars import Month
from graphql_api.types.arguments import PeriodInput, WithMethod
from graphql_api.types.enums import Method

UG_PER_G = 1_000_000


@strawberry.input(description="Which places, in which months.")
class LocationsInput:
    """A question about places."""

    period: PeriodInput = strawberry.field(description="The months; those that are not published are left out.")
    providers: list[str] | None = strawberry.field(default=None, description="Only these providers, by code.")
    countries: list[str] | None = strawberry.field(default=None, description="Only these countries, by code.")
    regions: list[str] | None = strawberry.field(default=None, description="Only these regions, by code.")


@strawberry.type(description="How clean a place was in a month. Ratios alone: no amount can be worked out from them.")
class LocationMonthProfile:
    """A month of a place."""

    month: Month = strawberry.field(description="The month.")
    location_grams_per_kwh: float | None = strawberry.field(
        description="Grams CO2e of purchased electricity per kilowatt-hour of facility electricity, by the grid; null"
        " without electricity."
    )
    market_grams_per_kwh: float | None = strawberry.field(
        description="The same by contracts and certificates; null without electricity."
    )
    pue: float | None = strawberry.field(
        description="Power usage effectiveness: facility electricity divided by that of the computers, 1 or more."
    )
    clean_share: float | None = strawberry.field(
        description="Part of the electricity that is bought green at the sites, 0 to 1; null where it is not known."
    )
    zero_emission: bool = strawberry.field(
        description="Whether every active site buys all its electricity green (market-based)."
    )

    @classmethod
    def of(cls, row: LocationMonth) -> LocationMonthProfile:
        """Convert."""
        return cls(
            month=Month(row.month),
            location_grams_per_kwh=row.location_g_per_kwh,
            market_grams_per_kwh=row.market_g_per_kwh,
            pue=row.pue,
            clean_share=row.clean_share,
            zero_emission=row.zero_emission,
        )


@strawberry.type(description="A place where computers run, as finely as the provider reports it, month by month.")
class LocationComparison:
    """A place."""

    provider: str = strawberry.field(description="Code of the provider.")
    code: str = strawberry.field(description="The provider's code of the place.")
    name: str = strawberry.field(description="Display name; the code where the provider gives none.")
    cluster_kind: str = strawberry.field(description="region, edge, availability_zone or data_center.")
    region: str | None = strawberry.field(description="Code of the region; null where there is none.")
    country: str | None = strawberry.field(description="ISO 3166-1 alpha-2 code; null where it is not told.")
    months: list[LocationMonthProfile] = strawberry.field(description="Its published months, in order.")

    @classmethod
    def of(cls, row: LocationProfile) -> LocationComparison:
        """Convert."""
        return cls(
            provider=row.provider_code,
            code=row.code,
            name=row.name or row.code,
            cluster_kind=row.kind,
            region=row.region or None,
            country=row.country or None,
            months=[LocationMonthProfile.of(month) for month in row.months],
        )


@strawberry.type(description="A place in a list.")
class LocationComparisonEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: LocationComparison = strawberry.field(description="The place.")


@strawberry.type(description="Places, one page of them, by provider and code.")
class LocationComparisonConnection:
    """Relay connection."""

    edges: list[LocationComparisonEdge] = strawberry.field(description="The places of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.input(description="Which services, where, in which months.")
class ServiceIntensitiesInput:
    """A question about services."""

    period: PeriodInput = strawberry.field(description="The months; those that are not published are left out.")
    providers: list[str] | None = strawberry.field(default=None, description="Only these providers, by code.")
    services: list[str] | None = strawberry.field(default=None, description="Only these services, by code.")
    regions: list[str] | None = strawberry.field(default=None, description="Only these regions, by code.")


@strawberry.type(
    description="What a unit of a service emits in a region in a month, over everybody who used it there. Told only"
    " where enough tenants do."
)
class ServiceIntensity:
    """A service at a place in a month."""

    row: strawberry.Private[Intensity]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.key.provider

    @strawberry.field(description="Code of the service.")
    def service(self) -> str:
        """Service."""
        return self.row.key.service

    @strawberry.field(description="Display name of the service.")
    def service_name(self) -> str:
        """Name."""
        return self.row.service_name

    @strawberry.field(description="Code of the region; null for edge locations.")
    def region(self) -> str | None:
        """Region."""
        return self.row.key.place or None

    @strawberry.field(description="The month.")
    def month(self) -> Month:
        """Month."""
        return Month(self.row.key.month)

    @strawberry.field(description="The unit in which the provider measures the service, in the provider's words.")
    def unit(self) -> str:
        """Unit."""
        return self.row.unit

    @strawberry.field(description="Grams CO2e for each unit, scopes 1 to 3, for display.")
    def grams_per_unit(self, method: WithMethod = Method.LOCATION_BASED) -> float:
        """Intensity."""
        found = self.row.location_ug_per_unit if method is Method.LOCATION_BASED else self.row.market_ug_per_unit
        return float(found) / UG_PER_G

    @strawberry.field(description="Watt-hours of facility electricity for each unit.")
    def watt_hours_per_unit(self) -> float:
        """Electricity."""
        return float(self.row.wh_per_unit)


@strawberry.type(description="A service at a place in a list.")
class ServiceIntensityEdge:
    """Relay edge."""

    cursor: str = strawberry.field(description="Place in the list, for `after`.")
    node: ServiceIntensity = strawberry.field(description="The service at a place in a month.")


@strawberry.type(description="Services at places, one page of them, by provider, service, region and month.")
class ServiceIntensityConnection:
    """Relay connection."""

    edges: list[ServiceIntensityEdge] = strawberry.field(description="The rows of the page.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
