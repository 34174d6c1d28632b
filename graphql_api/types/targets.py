"""Targets of a node: the line to follow, what happened, and whether it is followed."""

from __future__ import annotations

from datetime import datetime

import strawberry

from accounts.months import shift
from allocation.selectors.statuses import Figure
from allocation.selectors.targets import Progress, Stand
from graphql_api.context import Context
from graphql_api.scalars import Month, global_id
from graphql_api.types.emissions import Emissions, Mass, mass
from graphql_api.types.enums import Method, Scope, TargetKind, TargetStatus
from graphql_api.types.nodes import Node

Info = strawberry.Info[Context, None]
PPM_PER_PERCENT = 10_000
_PPM = 1_000_000
_YEAR = 12


@strawberry.type(description="Twelve months of a node beside the straight line of a target.")
class TargetPoint:
    """Twelve months."""

    progress: strawberry.Private[Progress]
    stand: strawberry.Private[Stand]

    @strawberry.field(description="First of the twelve months.")
    def month(self) -> Month:
        """First month."""
        return Month(self.stand.start)

    @strawberry.field(description="Month after the last one, exclusive.")
    def until(self) -> Month:
        """Bound."""
        return Month(shift(self.stand.start, _YEAR))

    @strawberry.field(description="What was emitted in these months; PARTIAL while some are not published.")
    def emissions(self) -> Emissions:
        """Emissions."""
        return Emissions(figure=self.stand.figure)

    @strawberry.field(description="Emissions in the scopes and by the method of the target.")
    def counted(self) -> Mass:
        """The mass that counts."""
        return mass(self.stand.figure.ug(self.progress.method, self.progress.scopes))

    @strawberry.field(
        description="Grams CO2e in the scopes of the target per kilowatt-hour of facility electricity; null without it."
    )
    def intensity_grams_per_kwh(self) -> float | None:
        """Intensity."""
        return _intensity(self.stand.figure, self.progress)

    @strawberry.field(description="Where the line is, in percent of the base year: 100 in the base year itself.")
    def path_percent(self) -> float:
        """Line."""
        return self.stand.path_ppm / PPM_PER_PERCENT

    @strawberry.field(
        description="Where the line is for an absolute target, rounded down to a microgram; null without a base year."
    )
    def path(self) -> Mass:
        """Line in mass."""
        base = self.progress.base.ug(self.progress.method, self.progress.scopes)
        absolute = self.progress.target.kind == TargetKind.ABSOLUTE
        return mass(base * self.stand.path_ppm // _PPM if absolute and base is not None else None)

    @strawberry.field(
        description="Where the line is for an intensity target, in grams CO2e per kilowatt-hour; null without a base."
    )
    def path_grams_per_kwh(self) -> float | None:
        """Line as intensity."""
        base = _intensity(self.progress.base, self.progress)
        if self.progress.target.kind != TargetKind.INTENSITY or base is None:
            return None
        return base * self.stand.path_ppm / _PPM

    @strawberry.field(
        description="Whether it is at or below the line, decided in whole micrograms; null where a month of these or of"
        " the base year is missing."
    )
    def on_track(self) -> bool | None:
        """On track."""
        return self.stand.on_track


@strawberry.type(description="A reduction of a node between two years, on a straight line.")
class Target(Node):
    """A target."""

    progress: strawberry.Private[Progress]

    @strawberry.field(description="Its name, unique at the node.")
    def name(self) -> str:
        """Name."""
        return self.progress.target.name

    @strawberry.field(description="What is to shrink.")
    def kind(self) -> TargetKind:
        """Kind."""
        return TargetKind(self.progress.target.kind)

    @strawberry.field(description="By which method energy is accounted for.")
    def method(self) -> Method:
        """Method."""
        return self.progress.method

    @strawberry.field(description="Which provider scopes count.")
    def scopes(self) -> list[Scope]:
        """Scopes."""
        return list(self.progress.scopes)

    @strawberry.field(description="The year to compare with; a fiscal year is named after the year in which it begins.")
    def base_year(self) -> int:
        """Base year."""
        return self.progress.target.base_year

    @strawberry.field(description="The year in which the reduction is to be reached.")
    def target_year(self) -> int:
        """Target year."""
        return self.progress.target.target_year

    @strawberry.field(description="First month of a year, 1 to 12; 1 = calendar years.")
    def fiscal_year_start(self) -> int:
        """Fiscal year."""
        return self.progress.target.fiscal_year_start

    @strawberry.field(description="What is to go, in percent of the base year.")
    def reduction_percent(self) -> float:
        """Reduction."""
        return self.progress.target.reduction_ppm / PPM_PER_PERCENT

    @strawberry.field(description="When it was set.")
    def set_at(self) -> datetime:
        """Setting."""
        return self.progress.target.set_at

    @strawberry.field(description="What was emitted in the base year, as far as the viewer may see it.")
    def base(self) -> Emissions:
        """Base year."""
        return Emissions(figure=self.progress.base)

    @strawberry.field(description="Every year from the base year on that has begun, in order.")
    def years(self) -> list[TargetPoint]:
        """Years."""
        return [TargetPoint(progress=self.progress, stand=stand) for stand in self.progress.years]

    @strawberry.field(description="The newest twelve months in a row that are complete; null if there are none.")
    def latest(self) -> TargetPoint | None:
        """Newest."""
        stand = self.progress.latest
        return None if stand is None else TargetPoint(progress=self.progress, stand=stand)

    @strawberry.field(description="How it stands after the newest twelve complete months.")
    def status(self) -> TargetStatus:
        """Status."""
        return self.progress.status

    @classmethod
    def of(cls, progress: Progress) -> Target:
        """Convert."""
        return cls(id=strawberry.ID(global_id("Target", progress.target.pk)), progress=progress)


def _intensity(figure: Figure, progress: Progress) -> float | None:
    mass_ug, energy_wh = figure.ug(progress.method, progress.scopes), figure.energy_wh()
    # 1 g/kWh = 10^6 ug per 10^3 Wh
    return mass_ug / (energy_wh * 1_000) if energy_wh and mass_ug is not None else None
