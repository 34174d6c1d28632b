"""Steps of a lineage: which share of what went where, exactly."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from allocation.engine.units import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from fractions import Fraction


class Stage(enum.StrEnum):
    """The kinds of steps, in the order of the pipeline."""

    SOURCE_TO_CLUSTER = "source_to_cluster"
    CLUSTER_TO_MACHINES = "cluster_to_machines"
    CLUSTER_TO_RACKS = "cluster_to_racks"
    CLUSTER_TO_RACK = "cluster_to_rack"
    ASSET_TO_RACK = "asset_to_rack"
    RACK_TO_OVERHEAD = "rack_to_overhead"
    OVERHEAD_TO_RACK = "overhead_to_rack"
    RACK_TO_POOL = "rack_to_pool"
    RACK_TO_SERVICE = "rack_to_service"
    POOL_TO_SERVICE = "pool_to_service"
    SERVICE_TO_SERVICE = "service_to_service"
    SERVICE_TO_ACCOUNT = "service_to_account"
    MACHINES_TO_ACCOUNT = "machines_to_account"
    POOL_TO_ACCOUNT = "pool_to_account"
    SERVICE_TO_FALLBACK = "service_to_fallback"
    FALLBACK_TO_ACCOUNT = "fallback_to_account"
    ACCOUNT_TO_RESOURCE_GROUP = "account_to_resource_group"


class PlaceKind(enum.StrEnum):
    """What an amount stands at between two steps."""

    SOURCE = "source"
    CLUSTER = "cluster"
    RACKS = "racks"
    RACK = "rack"
    OVERHEAD = "overhead"
    POOL = "pool"
    MACHINES = "machines"
    SERVICE = "service"
    FALLBACK = "fallback"
    ACCOUNT = "account"
    RESOURCE_GROUP = "resource_group"


class Driver(enum.StrEnum):
    """By what an amount is divided, with the unit of weight and total."""

    WHOLE = "whole"
    POSTING_UG = "posting_ug"
    IT_KWH = "it_kwh"
    FACILITY_KWH = "facility_kwh"
    UTILISATION = "utilisation"
    USED_KWH = "used_kwh"
    USED_EMISSIONS_UG = "used_emissions_ug"
    SERVICE_UNITS = "service_units"
    PEAK_WEIGHTED_UNITS = "peak_weighted_units"
    ROUND = "round"
    EARLIER_UNITS = "earlier_units"
    EMISSIONS_UG = "emissions_ug"


class Place(NamedTuple):
    """A stop of the amount: its kind and the code by which the package knows it."""

    kind: PlaceKind
    code: str


class InputRow(NamedTuple):
    """A row of the package: file and line number in it (header = 1).

    None stands for all rows of the file that are about the same site or instrument, hour by hour.
    """

    file: str
    row: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """`amount_out` = `share` x `amount_in`, in µg (Wh on the energy line); `share` = `weight` / `total`.

    `amount_in` is all that `source` has. `members` counts the steps that were brought together in this one; then
    weight and total are amounts.
    """

    stage: Stage
    source: Place
    target: Place
    driver: Driver
    weight: Fraction
    total: Fraction
    amount_in: Fraction
    rows: tuple[InputRow, ...] = ()
    members: int = 1

    @property
    def share(self) -> Fraction:
        """Weight / total, exactly; 0 where nothing is divided."""
        return self.weight / self.total if self.total else ZERO

    @property
    def amount_out(self) -> Fraction:
        """What arrives at the target by this step."""
        return self.amount_in * self.share


class Division(NamedTuple):
    """How a step divides: driver, weight, total."""

    driver: Driver
    weight: Fraction
    total: Fraction


WHOLE = Division(Driver.WHOLE, ONE, ONE)


@dataclass(slots=True)
class Graph:
    """The steps of one line as they are found, and what has arrived where."""

    steps: list[Step] = field(default_factory=list)
    _arrived: dict[Place, Fraction] = field(default_factory=dict)

    def at(self, place: Place) -> Fraction:
        """Return what all steps so far brought to a place."""
        return self._arrived.get(place, ZERO)

    def begin(self, place: Place, amount: Fraction) -> None:
        """Put an amount where the chain starts."""
        self._arrived[place] = self.at(place) + amount

    def add(  # noqa: PLR0913 a step has as many parts
        self,
        stage: Stage,
        source: Place,
        target: Place,
        division: Division,
        *,
        amount_in: Fraction | None = None,
        rows: Iterable[InputRow] = (),
    ) -> None:
        """Add a step; `amount_in` is what stands at `source` unless it is given."""
        amount = self.at(source) if amount_in is None else amount_in
        step = Step(stage, source, target, *division, amount, tuple(rows))
        self.steps.append(step)
        self.begin(target, step.amount_out)


def behind(steps: Iterable[Step], target: Place) -> list[Step]:
    """Return the steps on some way to `target`, in their order; steps that bring nothing are left out."""
    carrying = [step for step in steps if step.amount_out]
    into: dict[Place, list[Step]] = {}
    for step in carrying:
        into.setdefault(step.target, []).append(step)
    reached = {target}
    waiting = [target]
    while waiting:
        for step in into.get(waiting.pop(), ()):
            if step.source not in reached:
                reached.add(step.source)
                waiting.append(step.source)
    return [step for step in carrying if step.target in reached]


def brought_together(steps: Iterable[Step], kind: PlaceKind, most: int) -> list[Step]:
    """Bring the smaller places of one kind together in one, so that at most `most` of them stay apart.

    The steps of the places brought together add up: nothing is left out and every equation still holds.
    """
    listed = list(steps)
    amounts: dict[Place, Fraction] = {}
    for step in listed:
        if step.source.kind is kind:
            amounts[step.source] = step.amount_in
    if len(amounts) <= most:
        return listed
    ranked = sorted(amounts, key=lambda place: (-amounts[place], place.code))
    others = frozenset(ranked[most:])
    together = Place(kind, f"({len(others)} others)")
    whole = sum((amounts[place] for place in others), ZERO)
    kept = [step for step in listed if step.source not in others and step.target not in others]
    into = _grouped((step for step in listed if step.target in others), lambda step: (step.source, step.stage))
    out = _grouped((step for step in listed if step.source in others), lambda step: (step.target, step.stage))
    for members in into.values():
        weight = sum((member.weight for member in members), ZERO)
        if len({(member.driver, member.total, member.amount_in) for member in members}) > 1:
            raise ArithmeticError("steps from one place divide it in different ways")
        kept.append(replace(members[0], target=together, weight=weight, rows=(), members=len(members)))
    for members in out.values():
        amount = sum((member.amount_out for member in members), ZERO)
        kept.append(
            Step(
                members[0].stage,
                together,
                members[0].target,
                Driver.EMISSIONS_UG,
                amount,
                whole,
                whole,
                members=len(members),
            )
        )
    order = {stage: number for number, stage in enumerate(Stage)}
    return sorted(kept, key=lambda step: order[step.stage])


def _grouped(
    steps: Iterable[Step], key: Callable[[Step], tuple[Place, Stage]]
) -> Mapping[tuple[Place, Stage], Sequence[Step]]:
    groups: dict[tuple[Place, Stage], list[Step]] = {}
    for step in steps:
        groups.setdefault(key(step), []).append(step)
    return groups
