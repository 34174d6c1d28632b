"""Advice: what a change would do, and what could be done."""

from __future__ import annotations

import strawberry

from allocation.selectors.recommendations import Recommendation as DomainRecommendation
from allocation.selectors.what_if import Answer, Assumption, Moved
from graphql_api.scalars import Month
from graphql_api.types.arguments import PeriodInput, WithMethod
from graphql_api.types.emissions import Emissions, Mass, Omission, mass
from graphql_api.types.enums import ChangeStatus, Method, RecommendationKind, WhatIfAssumption

UG_PER_G = 1_000_000
PPM = 1_000_000


@strawberry.input(description="A part of a service that is used in another region instead.")
class WhatIfChange:
    """A change."""

    provider: str = strawberry.field(description="Code of the provider.")
    service: str = strawberry.field(description="Code of the service.")
    from_location: str = strawberry.field(description="Code of the region where it is used.")
    to_location: str = strawberry.field(description="Code of the region where it would be used.")
    share: float = strawberry.field(
        default=1.0,
        description="Part that moves, above 0; of one service in one region at most 1 in all.",
    )


@strawberry.input(description="What would have been emitted had some of it been used elsewhere.")
class WhatIfInput:
    """A question."""

    node: strawberry.ID = strawberry.field(description="Global id of the node.")
    period: PeriodInput = strawberry.field(description="The months to answer for.")
    changes: list[WhatIfChange] = strawberry.field(description="1 to 20 changes.")


@strawberry.type(description="What became of one change.")
class WhatIfOutcome:
    """A change worked out."""

    row: strawberry.Private[Moved]

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.move.provider

    @strawberry.field(description="Code of the service.")
    def service(self) -> str:
        """Service."""
        return self.row.move.service

    @strawberry.field(description="Code of the region where it is used.")
    def from_location(self) -> str:
        """From."""
        return self.row.move.from_region

    @strawberry.field(description="Code of the region where it would be used.")
    def to_location(self) -> str:
        """To."""
        return self.row.move.to_region

    @strawberry.field(description="Part that moves, 0 to 1.")
    def share(self) -> float:
        """Share."""
        return self.row.move.share_ppm / PPM

    @strawberry.field(description="Whether it could be worked out.")
    def status(self) -> ChangeStatus:
        """Status."""
        return self.row.status

    @strawberry.field(description="What the part that moves emitted where it was, in the months compared.")
    def before(self, method: WithMethod = Method.LOCATION_BASED) -> Mass:
        """Before."""
        return mass(self.row.before_ug[method])

    @strawberry.field(description="What it would have emitted where it would be, in the same months.")
    def after(self, method: WithMethod = Method.LOCATION_BASED) -> Mass:
        """After."""
        return mass(self.row.after_ug[method])

    @strawberry.field(description="Months that were compared.")
    def months(self) -> list[Month]:
        """Months."""
        return [Month(month) for month in self.row.months]

    @strawberry.field(description="Months with emissions in which the two regions could not be compared.")
    def months_left_out(self) -> list[Month]:
        """Months left out."""
        return [Month(month) for month in self.row.months_left_out]


@strawberry.type(description="A node's emissions with and without the changes, by both methods.")
class WhatIf:
    """The answer."""

    answer: strawberry.Private[Answer]

    @strawberry.field(description="What was emitted, as far as the viewer may see it.")
    def before(self) -> Emissions:
        """Before."""
        return Emissions(figure=self.answer.before)

    @strawberry.field(description="What would have been emitted; null without a total.")
    def after(self, method: WithMethod = Method.LOCATION_BASED) -> Mass:
        """After."""
        total, difference = self.answer.before.ug(method), self.answer.difference_ug(method)
        return mass(None if total is None or difference is None else total + difference)

    @strawberry.field(description="After minus before; negative = less. Null without a total.")
    def difference(self, method: WithMethod = Method.LOCATION_BASED) -> Mass:
        """Difference."""
        return mass(self.answer.difference_ug(method))

    @strawberry.field(description="Difference divided by before; null where there is no total above 0.")
    def ratio(self, method: WithMethod = Method.LOCATION_BASED) -> float | None:
        """Ratio."""
        total, difference = self.answer.before.ug(method), self.answer.difference_ug(method)
        return difference / total if total and difference is not None else None

    @strawberry.field(description="Each change, in the order of the input.")
    def changes(self) -> list[WhatIfOutcome]:
        """Changes."""
        return [WhatIfOutcome(row=row) for row in self.answer.moved]

    @strawberry.field(description="What the answer takes for granted.")
    def assumptions(self) -> list[WhatIfAssumption]:
        """Assumptions."""
        return list(Assumption)

    @strawberry.field(description="What is left out of the total, and why.")
    def omissions(self) -> list[Omission]:
        """Omissions."""
        return [Omission.of(omission) for omission in self.answer.series.omissions]


@strawberry.input(description="For which node, from which months.")
class RecommendationsInput:
    """A question."""

    node: strawberry.ID = strawberry.field(description="Global id of the node.")
    period: PeriodInput = strawberry.field(description="The months to look at; a year says more than a month.")
    method: Method = strawberry.field(
        default=Method.LOCATION_BASED, description="By which method energy is accounted for."
    )
    with_dismissed: bool = strawberry.field(default=False, description="Tell also what the viewer has dismissed.")
    first: int | None = strawberry.field(default=None, description="How many, 1 to 100; 50 if it is not given.")


@strawberry.type(description="Something to do about a service in a region, with the figures behind it.")
class Recommendation:
    """A recommendation."""

    row: strawberry.Private[DomainRecommendation]

    @strawberry.field(description="Names it at its node, for `dismissRecommendation`.")
    def key(self) -> str:
        """Key."""
        return self.row.key

    @strawberry.field(description="What is recommended.")
    def kind(self) -> RecommendationKind:
        """Kind."""
        return self.row.kind

    @strawberry.field(description="Code of the provider.")
    def provider(self) -> str:
        """Provider."""
        return self.row.provider

    @strawberry.field(description="Code of the service.")
    def service(self) -> str:
        """Service."""
        return self.row.service

    @strawberry.field(description="Display name of the service.")
    def service_name(self) -> str:
        """Name."""
        return self.row.service_name

    @strawberry.field(description="Code of the region; null for edge locations.")
    def region(self) -> str | None:
        """Region."""
        return self.row.region or None

    @strawberry.field(description="CLEANER_LOCATION: code of the region to use instead; else null.")
    def to_region(self) -> str | None:
        """Region instead."""
        return self.row.to_region

    @strawberry.field(description="What the node emitted by this service in this region.")
    def emitted(self) -> Mass:
        """Emitted."""
        return mass(self.row.emitted_ug)

    @strawberry.field(
        description="What ranks it: emissions that would be saved, that growth has added, or that rest on estimates."
    )
    def affected(self) -> Mass:
        """Affected."""
        return mass(self.row.affected_ug)

    @strawberry.field(
        description="Mean grams CO2e for each unit: in `region`, or in the first half of the period; else null."
    )
    def from_grams_per_unit(self) -> float | None:
        """Intensity here or before."""
        found = self.row.from_ug_per_unit
        return None if found is None else float(found / UG_PER_G)

    @strawberry.field(
        description="Mean grams CO2e for each unit: in `toRegion`, or in the second half of the period; null for"
        " estimates."
    )
    def to_grams_per_unit(self) -> float | None:
        """Intensity there or after."""
        found = self.row.to_ug_per_unit
        return None if found is None else float(found / UG_PER_G)

    @strawberry.field(description="Whether the viewer has dismissed it.")
    def dismissed(self) -> bool:
        """Dismissed."""
        return self.row.dismissed
