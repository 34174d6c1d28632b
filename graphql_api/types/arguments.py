"""Arguments and inputs that several fields share, each described once."""

from __future__ import annotations

from typing import Annotated, Final

import strawberry

from accounts.months import Period
from allocation.selectors.filters import FilterCodes
from graphql_api.errors import bad_input
from graphql_api.scalars import Month
from graphql_api.types.enums import Method, Scope

MAX_MONTHS: Final = 120
MAX_FILTER_CODES: Final = 200

First = Annotated[int | None, strawberry.argument(description="Rows on the page, 1 to 100; 50 if it is not given.")]
After = Annotated[
    str | None, strawberry.argument(description="Cursor of the row before the page: `endCursor` of the last page.")
]
WithMethod = Annotated[Method, strawberry.argument(description="By which method energy is accounted for.")]
WithScopes = Annotated[
    list[Scope] | None, strawberry.argument(description="Only these provider scopes; all of them if it is not given.")
]


@strawberry.input(description="Whole months, half-open: from the first, until just before the second.")
class PeriodInput:
    """A period of months."""

    start: Month = strawberry.field(name="from", description="First month, inclusive.")
    until: Month = strawberry.field(description="Month after the last one, exclusive.")

    def period(self) -> Period:
        """Check and convert: at least one month, at most `MAX_MONTHS`."""
        if self.until <= self.start:
            raise bad_input("period.until must be later than period.from; it is exclusive.", field="period")
        months = (self.until.year - self.start.year) * 12 + self.until.month - self.start.month
        if months > MAX_MONTHS:
            raise bad_input(f"A period may have {MAX_MONTHS} months.", field="period", limit=MAX_MONTHS)
        return Period(self.start, self.until)


InPeriod = Annotated[PeriodInput, strawberry.argument(description="The months to answer for.")]


@strawberry.input(
    description="Only emissions of these services and places. Lists hold codes; conditions are combined with AND."
)
class EmissionsFilter:
    """A filter by codes."""

    providers: list[str] | None = strawberry.field(default=None, description="Codes of providers.")
    services: list[str] | None = strawberry.field(default=None, description="Codes of services.")
    service_categories: list[str] | None = strawberry.field(default=None, description="Categories of services.")
    countries: list[str] | None = strawberry.field(default=None, description="ISO 3166-1 alpha-2 codes of countries.")
    regions: list[str] | None = strawberry.field(default=None, description="Codes of regions.")
    clusters: list[str] | None = strawberry.field(default=None, description="Codes of clusters.")

    def codes(self) -> FilterCodes:
        """Check and convert."""
        found = FilterCodes(
            providers=_codes(self.providers),
            services=_codes(self.services),
            categories=_codes(self.service_categories),
            countries=_codes(self.countries),
            regions=_codes(self.regions),
            clusters=_codes(self.clusters),
        )
        if sum(len(codes or ()) for codes in found) > MAX_FILTER_CODES:
            raise bad_input(f"A filter may name {MAX_FILTER_CODES} codes.", field="filter", limit=MAX_FILTER_CODES)
        return found


def _codes(codes: list[str] | None) -> tuple[str, ...] | None:
    return None if codes is None else tuple(sorted(set(codes)))


WithFilter = Annotated[
    EmissionsFilter | None, strawberry.argument(description="Only emissions of these services and places.")
]
