"""What a node could do to emit less, or to know better: ranked, each with the figures behind it."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from allocation.models import RecommendationDismissal
from allocation.selectors import locations
from allocation.selectors.cube import CubePage, Grouping, cube
from allocation.selectors.dimensions import Dimension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from allocation.policies import NodeKey, Question
    from allocation.selectors.amounts import Method
    from allocation.selectors.cube import CubeRow
    from allocation.selectors.locations import IntensityKey, Unit

# Rows of a node that are looked at, largest first: what lies behind weighs next to nothing.
_MAX_ROWS: Final = 500
# Savings and growth below this are noise.
_LEAST: Final = Fraction(5, 100)


class RecommendationKind(enum.StrEnum):
    """What is recommended."""

    CLEANER_LOCATION = "cleaner_location"
    GROWING_INTENSITY = "growing_intensity"
    METER_ESTIMATED = "meter_estimated"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommendation about a service at a place.

    `affected_ug` ranks: what would be saved, has been added, or rests on estimates. `from_ug_per_unit` and
    `to_ug_per_unit` are the mean intensities of here and there, or of the first and the second half of the period; None
    for estimates.
    """

    key: str
    kind: RecommendationKind
    provider: str
    service: str
    service_name: str
    region: str
    to_region: str | None
    emitted_ug: int
    affected_ug: int
    from_ug_per_unit: Fraction | None
    to_ug_per_unit: Fraction | None
    dismissed: bool = False


class _Means(NamedTuple):
    """Mean micrograms for a unit over the months, and over the two halves of the period; None without a month."""

    whole: Fraction
    first: Fraction | None
    second: Fraction | None


def recommendations(
    *, question: Question, node: NodeKey, method: Method, limit: int, with_dismissed: bool
) -> list[Recommendation]:
    """The weightiest recommendations for a node over a period; a constant number of statements.

    Places are compared only in months in which enough tenants use the service there.
    """
    found = cube(
        question=question,
        nodes=[node],
        grouping=Grouping((Dimension.SERVICE, Dimension.REGION)),
        page=CubePage(_MAX_ROWS, method),
    )
    rows = [row for row in found.rows if row.figure.ug(method)]
    services = sorted({row.values[0].code for row in rows})
    means = _means(
        locations.units(published=question.published, period=question.period, services=services), question, method
    )
    dismissed = set(
        RecommendationDismissal.objects.filter(
            user_id=question.viewer.user_id or 0, node_kind=node.kind.value, node_id=node.id
        ).values_list("key", flat=True)
    )
    made = [
        one if one.key not in dismissed else _dismissed(one)
        for row in rows
        for one in _of_row(row, means, method)
        if with_dismissed or one.key not in dismissed
    ]
    return sorted(made, key=lambda one: (-one.affected_ug, one.key))[:limit]


def _dismissed(one: Recommendation) -> Recommendation:
    return Recommendation(**{name: getattr(one, name) for name in one.__slots__} | {"dismissed": True})


_Place = tuple[str, str, str]


def _means(units: Mapping[IntensityKey, Unit], question: Question, method: Method) -> dict[_Place, _Means]:
    months = list(question.period.months())
    half: date = months[len(months) // 2]
    groups: dict[_Place, list[tuple[date, Unit]]] = defaultdict(list)
    for key, unit in units.items():
        if unit.is_shown:
            groups[key.provider, key.service, key.place].append((key.month, unit))
    return {
        place: _Means(
            _mean([unit.ug(method) for _, unit in held]) or Fraction(0),
            _mean([unit.ug(method) for month, unit in held if month < half]),
            _mean([unit.ug(method) for month, unit in held if month >= half]),
        )
        for place, held in groups.items()
    }


def _mean(values: list[Fraction]) -> Fraction | None:
    return sum(values, Fraction(0)) / len(values) if values else None


def _of_row(row: CubeRow, means: Mapping[_Place, _Means], method: Method) -> Iterator[Recommendation]:
    service, place = row.values
    emitted_ug, estimated_ug = row.figure.ug(method) or 0, row.figure.estimated_ug(method) or 0
    provider, here = service.provider or "", means.get((service.provider or "", service.code, place.code))

    def made(
        kind: RecommendationKind, affected: Fraction, to: str | None, pair: tuple[Fraction | None, Fraction | None]
    ) -> Recommendation:
        key = ":".join([kind.value, provider, service.code, place.code, to or ""])
        return Recommendation(
            key, kind, provider, service.code, service.name, place.code, to, emitted_ug, round(affected), *pair
        )

    if estimated_ug:
        yield made(RecommendationKind.METER_ESTIMATED, Fraction(estimated_ug), None, (None, None))
    # Edge locations serve everybody around them: nothing moves there or away from there.
    if here is None or not here.whole or not place.code:
        return
    if here.first and here.second and here.second > here.first * (1 + _LEAST):
        added = emitted_ug * (1 - here.first / here.second)
        yield made(RecommendationKind.GROWING_INTENSITY, added, None, (here.first, here.second))
    elsewhere = [
        (found.whole, code)
        for (of_provider, of_service, code), found in means.items()
        if (of_provider, of_service) == (provider, service.code) and code not in {"", place.code}
    ]
    if elsewhere and (best := min(elsewhere))[0] < here.whole * (1 - _LEAST):
        saved = emitted_ug * (1 - best[0] / here.whole)
        yield made(RecommendationKind.CLEANER_LOCATION, saved, best[1], (here.whole, best[0]))
