"""Numbers: never naked, always with what stands behind them."""

from __future__ import annotations

import strawberry

from allocation.selectors.spans import Span
from allocation.selectors.standing import Omission as DomainOmission
from allocation.selectors.statuses import Figure
from graphql_api.scalars import BigInt, Month
from graphql_api.types.arguments import WithMethod, WithScopes
from graphql_api.types.enums import DataStatus, Method, Reason, Scope

UG_PER_KG = 1_000_000_000
WH_PER_KWH = 1_000


@strawberry.type(description="An amount of greenhouse gases as CO2 equivalents.")
class Mass:
    """Kilograms for display, micrograms for arithmetic."""

    kg_co2e: float | None = strawberry.field(
        name="kgCO2e", description="Kilograms CO2e, rounded to a binary float: for display. Null without a value."
    )
    micrograms_co2e: BigInt | None = strawberry.field(
        name="microgramsCO2e", description="Micrograms CO2e, exact: for arithmetic. Null without a value."
    )


def mass(ug: int | None) -> Mass:
    """Write micrograms in both units."""
    return Mass(kg_co2e=kg(ug), micrograms_co2e=None if ug is None else BigInt(ug))


def kg(ug: int | None) -> float | None:
    """Kilograms of micrograms, for display."""
    return None if ug is None else ug / UG_PER_KG


@strawberry.type(
    description="Emissions with what stands behind them. Values are null unless a published, permitted value exists;"
    " `status` says which blank it is."
)
class Emissions:
    """One figure."""

    figure: strawberry.Private[Figure]

    @strawberry.field(name="kgCO2e", description="Kilograms CO2e, rounded to a binary float: for display.")
    def kg_co2e(self, method: WithMethod = Method.LOCATION_BASED, scopes: WithScopes = None) -> float | None:
        """Total of a method in kg."""
        return kg(self.figure.ug(method, tuple(scopes or Scope)))

    @strawberry.field(name="microgramsCO2e", description="Micrograms CO2e, exact.")
    def micrograms_co2e(self, method: WithMethod = Method.LOCATION_BASED, scopes: WithScopes = None) -> BigInt | None:
        """Total of a method in ug."""
        found = self.figure.ug(method, tuple(scopes or Scope))
        return None if found is None else BigInt(found)

    @strawberry.field(description="Provider scope 1: direct emissions.")
    def scope1(self) -> Mass:
        """Scope 1."""
        return mass(self.figure.ug(Method.LOCATION_BASED, (Scope.SCOPE_1,)))

    @strawberry.field(description="Provider scope 2 by the grid: electricity, heat and cooling.")
    def scope2_location_based(self) -> Mass:
        """Scope 2, location-based."""
        return mass(self.figure.ug(Method.LOCATION_BASED, (Scope.SCOPE_2,)))

    @strawberry.field(description="Provider scope 2 by contracts and certificates: electricity, heat and cooling.")
    def scope2_market_based(self) -> Mass:
        """Scope 2, market-based."""
        return mass(self.figure.ug(Method.MARKET_BASED, (Scope.SCOPE_2,)))

    @strawberry.field(description="Provider scope 3; its energy-related categories follow the method.")
    def scope3(self, method: WithMethod = Method.LOCATION_BASED) -> Mass:
        """Scope 3."""
        return mass(self.figure.ug(method, (Scope.SCOPE_3,)))

    @strawberry.field(description="Facility electricity in kilowatt-hours, cooling and losses included.")
    def electricity_kwh(self) -> float | None:
        """Electricity."""
        found = self.figure.energy_wh()
        return None if found is None else found / WH_PER_KWH

    @strawberry.field(description="Facility electricity in watt-hours, exact.")
    def electricity_watt_hours(self) -> BigInt | None:
        """Electricity, exact."""
        found = self.figure.energy_wh()
        return None if found is None else BigInt(found)

    @strawberry.field(description="Grams CO2e of the total per kilowatt-hour of electricity; null without electricity.")
    def intensity_grams_per_kwh(self, method: WithMethod = Method.LOCATION_BASED) -> float | None:
        """Intensity."""
        return self.figure.intensity_g_per_kwh(method)

    @strawberry.field(
        description="Part of the total that rests on estimates instead of meters and invoices, 0 to 1; null without a"
        " total above 0."
    )
    def estimated_share(self, method: WithMethod = Method.LOCATION_BASED) -> float | None:
        """Estimated share."""
        return self.figure.estimated_share(method)

    @strawberry.field(description="What stands behind the total of a method.")
    def status(self, method: WithMethod = Method.LOCATION_BASED) -> DataStatus:
        """Status."""
        return self.figure.status(method)


@strawberry.type(description="Emissions of a month, quarter or year.")
class EmissionsPoint:
    """One point of a series."""

    month: Month = strawberry.field(description="First month of the point.")
    until: Month = strawberry.field(description="Month after the last one of the point, exclusive.")
    label: str = strawberry.field(description="For example 2025-06, 2025-Q2, 2025 or FY2025/26.")
    complete: bool = strawberry.field(
        description="Whether all months of the quarter or year lie in the period and nothing is left out."
    )
    emissions: Emissions = strawberry.field(description="Emissions of these months.")

    @classmethod
    def of(cls, span: Span) -> EmissionsPoint:
        """Convert."""
        return cls(
            month=Month(span.start),
            until=Month(span.until),
            label=span.label,
            complete=span.complete,
            emissions=Emissions(figure=span.figure),
        )


@strawberry.type(description="Something that is left out of a total.")
class Omission:
    """What is left out and why."""

    reason: Reason = strawberry.field(description="Why it is left out.")
    months: list[Month] = strawberry.field(description="In which months.")
    accounts: int | None = strawberry.field(
        description="How many accounts are left out; null where the viewer may not know."
    )

    @classmethod
    def of(cls, omission: DomainOmission) -> Omission:
        """Convert."""
        return cls(
            reason=omission.reason,
            months=[Month(month) for month in omission.months],
            accounts=omission.accounts,
        )
