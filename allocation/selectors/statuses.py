"""What stands behind a number, or behind its absence: a front end never has to guess what a blank means."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.selectors.amounts import EMPTY, Amounts, Method, Scope, sum_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class DataStatus(enum.StrEnum):
    """Kinds of numbers and of missing numbers."""

    REPORTED = "reported"
    ZERO = "zero"
    ZERO_EMISSION_SITE = "zero_emission_site"
    BELOW_THRESHOLD = "below_threshold"
    NOT_YET_PUBLISHED = "not_yet_published"
    NOT_COVERED = "not_covered"
    NOT_PERMITTED = "not_permitted"
    PARTIAL = "partial"


class Presence(enum.StrEnum):
    """Whether the amounts of a node in some months are there as a whole, in part, or why not at all."""

    WHOLE = "whole"
    PART = "part"
    BELOW_THRESHOLD = "below_threshold"
    NOT_YET_PUBLISHED = "not_yet_published"
    NOT_COVERED = "not_covered"
    NOT_PERMITTED = "not_permitted"


_THERE = frozenset({Presence.WHOLE, Presence.PART})
# Of months that all lack a value, the reason that says most about the viewer's next step.
_ABSENCES = (Presence.NOT_PERMITTED, Presence.NOT_YET_PUBLISHED, Presence.BELOW_THRESHOLD)


@dataclass(frozen=True, slots=True)
class Figure:
    """Amounts with what is known of their presence.

    `reached` is what permission and publication alone say; what is withheld of the amounts comes on top of that.
    `zero_emission_site`: every location behind them is one.
    """

    amounts: Amounts
    reached: Presence
    zero_emission_site: bool = False

    @property
    def presence(self) -> Presence:
        """Whether the amounts are there; PART if some are withheld, the reason for it if all are."""
        amounts = self.amounts
        if self.reached not in _THERE or not (amounts.below_threshold or amounts.not_covered):
            return self.reached
        if amounts.told:
            return Presence.PART
        return Presence.BELOW_THRESHOLD if amounts.below_threshold else Presence.NOT_COVERED

    @property
    def has_value(self) -> bool:
        """Whether a published and permitted value exists."""
        return self.presence in _THERE

    def ug(self, method: Method, scopes: Collection[Scope] = tuple(Scope)) -> int | None:
        """Micrograms CO2e; 0 where nothing was emitted, None where there is no value."""
        return (self.amounts.total_ug(method, scopes) or 0) if self.has_value else None

    def estimated_ug(self, method: Method, scopes: Collection[Scope] = tuple(Scope)) -> int | None:
        """The part of `ug` that rests on estimates."""
        return (self.amounts.estimated_total_ug(method, scopes) or 0) if self.has_value else None

    def energy_wh(self) -> int | None:
        """Facility electricity in watt-hours."""
        return (self.amounts.energy_wh or 0) if self.has_value else None

    def status(self, method: Method) -> DataStatus:
        """The status of the total by a method."""
        presence = self.presence
        if presence not in _THERE:
            return DataStatus(presence.value)
        if presence is Presence.PART:
            return DataStatus.PARTIAL
        if self.ug(method):
            return DataStatus.REPORTED
        if self.zero_emission_site and method is Method.MARKET_BASED:
            return DataStatus.ZERO_EMISSION_SITE
        return DataStatus.ZERO

    def estimated_share(self, method: Method) -> float | None:
        """Estimated part of the total, 0 to 1; None without a total above 0."""
        total, estimated = self.ug(method), self.estimated_ug(method)
        return estimated / total if total and estimated is not None else None

    def intensity_g_per_kwh(self, method: Method) -> float | None:
        """Grams CO2e per kilowatt-hour of facility electricity; None without electricity."""
        total, energy = self.ug(method), self.energy_wh()
        # 1 g/kWh = 10^6 ug per 10^3 Wh
        return total / (energy * 1_000) if energy and total is not None else None


ABSENT = Figure(EMPTY, Presence.NOT_PERMITTED)


def combined(figures: Iterable[Figure]) -> Figure:
    """Add figures up: `PART` if anything is left out, absent only if everything is."""
    parts = list(figures)
    if len(parts) == 1 and parts[0].reached in _THERE and parts[0].amounts.told:
        return parts[0]
    there = [figure for figure in parts if figure.has_value]
    if not there:
        kinds = {figure.presence for figure in parts}
        return Figure(EMPTY, next((absence for absence in _ABSENCES if absence in kinds), Presence.NOT_COVERED))
    # What is withheld of months without a value is among the amounts, so that it makes the total partial.
    reached = [figure for figure in parts if figure.reached in _THERE]
    amounts = sum_of(figure.amounts for figure in reached)
    whole = len(reached) == len(parts) and all(figure.reached is Presence.WHOLE for figure in reached)
    if not amounts.told:
        # A zero without any line, of which nothing more can be said than whether it is all.
        amounts, whole = EMPTY, whole and len(there) == len(reached)
    presence = Presence.WHOLE if whole else Presence.PART
    return Figure(amounts, presence, all(figure.zero_emission_site for figure in there))
