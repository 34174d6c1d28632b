"""What providers report, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import strawberry

from allocation.selectors.coverage import Coverage as DomainCoverage
from allocation.selectors.coverage import CoveredMonth as DomainCoveredMonth
from allocation.selectors.coverage import ReportedService
from allocation.selectors.statuses import Presence
from graphql_api.scalars import Month
from graphql_api.types.arguments import WithMethod
from graphql_api.types.enums import DataStatus, Method


@strawberry.type(description="What a provider reports of one month.")
class CoveredMonth:
    """A month."""

    month: Month = strawberry.field(description="The month.")
    published: bool = strawberry.field(description="Whether it is published.")
    status: DataStatus | None = strawberry.field(
        description="Why it is not: NOT_YET_PUBLISHED or NOT_COVERED; null if it is published."
    )
    published_at: datetime | None = strawberry.field(description="When it was published as it is now.")
    due_on: date = strawberry.field(description="The day on which the provider's calendar has it published.")
    methodology: str | None = strawberry.field(description="The method, as name@version.")
    restated: bool = strawberry.field(description="Whether it was published more than once.")
    incomplete: bool = strawberry.field(description="Whether usage was left out because it could not be read.")
    shares: strawberry.Private[Mapping[Method, float | None]]

    @strawberry.field(
        description="Part of all that the provider divided in the month that rests on estimates instead of meters and"
        " invoices, 0 to 1; null where nothing is published or above 0, and in months published before it was kept."
    )
    def estimated_share(self, method: WithMethod = Method.LOCATION_BASED) -> float | None:
        """Estimated share."""
        return self.shares.get(method)

    @classmethod
    def of(cls, row: DomainCoveredMonth) -> CoveredMonth:
        """Convert."""
        there = row.presence is Presence.WHOLE
        return cls(
            month=Month(row.month),
            published=there,
            status=None if there else DataStatus(row.presence.value),
            published_at=row.published_at,
            due_on=row.due_on,
            methodology=row.methodology,
            restated=row.restated,
            incomplete=row.incomplete,
            shares=row.estimated_share,
        )


@strawberry.type(description="A service that a provider reports.")
class CoveredService:
    """A service."""

    code: str = strawberry.field(description="The provider's code of the service.")
    name: str = strawberry.field(description="Display name.")
    category: str | None = strawberry.field(description="The provider's category; null where it gives none.")
    not_covered_in: list[Month] = strawberry.field(
        description="Published months of the period in which the provider does not measure it: NOT_COVERED."
    )
    threshold_kg: float = strawberry.field(
        description="Kilograms CO2e, the highest of the period's months: what an account causes with the service in a"
        " month is told from there on, and BELOW_THRESHOLD below it; 0 = everything is told."
    )

    @classmethod
    def of(cls, row: ReportedService) -> CoveredService:
        """Convert."""
        return cls(
            code=row.code,
            name=row.name,
            category=row.category or None,
            not_covered_in=[Month(month) for month in row.not_covered_in],
            threshold_kg=float(row.threshold_kg),
        )


@strawberry.type(description="What one provider reports in a period.")
class ProviderCoverage:
    """A provider."""

    provider: str = strawberry.field(description="Code of the provider.")
    name: str = strawberry.field(description="Display name.")
    time_zone: str = strawberry.field(description="IANA zone in which its months begin and end.")
    release_lag_months: int = strawberry.field(description="Months between a month and its publication.")
    release_day: int = strawberry.field(description="Day of the month on which it publishes.")
    months: list[CoveredMonth] = strawberry.field(description="Every month of the period, in order.")
    services: list[CoveredService] = strawberry.field(
        description="The provider's catalogue in the published months of the period, services that are not covered"
        " included; the same for every customer."
    )

    @classmethod
    def of(cls, row: DomainCoverage) -> ProviderCoverage:
        """Convert."""
        return cls(
            provider=row.provider_code,
            name=row.provider_name,
            time_zone=row.time_zone,
            release_lag_months=row.release_lag_months,
            release_day=row.release_day,
            months=[CoveredMonth.of(month) for month in row.months],
            services=[CoveredService.of(one) for one in row.services],
        )


@strawberry.type(description="What the viewer's providers report in a period.")
class Coverage:
    """All providers."""

    providers: list[ProviderCoverage] = strawberry.field(description="By code.")
