"""What a node would have emitted had part of a service been used at another place."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from allocation.selectors import locations
from allocation.selectors.amounts import Method
from allocation.selectors.cube import CubeOrder, CubePage, Grouping, cube
from allocation.selectors.dimensions import Dimension
from allocation.selectors.emissions import by_month
from allocation.selectors.filters import FilterCodes, resolve
from allocation.selectors.locations import IntensityKey
from allocation.selectors.spans import Granularity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from allocation.policies import NodeKey, Question
    from allocation.selectors.emissions import Series
    from allocation.selectors.locations import Unit
    from allocation.selectors.statuses import Figure

MAX_CHANGES: Final = 20
PPM: Final = 1_000_000
_MAX_ROWS: Final = 50_000


class ChangeStatus(enum.StrEnum):
    """Whether a change could be worked out."""

    COMPUTED = "computed"
    PARTLY = "partly"
    NO_EMISSIONS = "no_emissions"
    NOT_COMPARABLE = "not_comparable"


class Assumption(enum.StrEnum):
    """What an answer takes for granted; every answer takes all of them."""

    SAME_USAGE = "same_usage"
    AVERAGE_INTENSITY = "average_intensity"
    REST_UNCHANGED = "rest_unchanged"
    NO_MIGRATION = "no_migration"
    UNKNOWN_UNCHANGED = "unknown_unchanged"


class Move(NamedTuple):
    """A part of a service that moves from one region to another; `share_ppm` in 10⁻⁶ of what is used there."""

    provider: str
    service: str
    from_region: str
    to_region: str
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a change, by method in micrograms.

    `before_ug` is what the part that moves emitted where it was, `after_ug` what it would have emitted, both over the
    months in which both places can be compared; `months_left_out` had emissions and no comparison.
    """

    move: Move
    status: ChangeStatus
    before_ug: Mapping[Method, int]
    after_ug: Mapping[Method, int]
    months: tuple[date, ...]
    months_left_out: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A node's total with and without the changes."""

    series: Series
    moved: tuple[Moved, ...]

    @property
    def before(self) -> Figure:
        """What was emitted."""
        return self.series.total

    def difference_ug(self, method: Method) -> int | None:
        """After minus before; None where there is no total."""
        if self.before.ug(method) is None:
            return None
        return sum(one.after_ug[method] - one.before_ug[method] for one in self.moved)


def what_if(*, question: Question, node: NodeKey, moves: Sequence[Move]) -> Answer:
    """Work the changes out month by month; a constant number of statements.

    The node's own emissions of a service in a region are scaled by the ratio of the two regions' published intensities
    of that month: usage itself is not read. A month without both intensities stays as it was, and is told.
    """
    services = sorted({move.service for move in moves})
    codes = FilterCodes(
        providers=tuple({move.provider for move in moves}),
        services=tuple(services),
        regions=tuple({move.from_region for move in moves}),
    )
    restricted = resolve(codes=codes, published=question.published, period=question.period)
    series = by_month(question=question, nodes=[node])
    rows = cube(
        question=question,
        nodes=[node],
        grouping=Grouping((Dimension.SERVICE, Dimension.REGION), Granularity.MONTH),
        page=CubePage(_MAX_ROWS, order=CubeOrder.KEY_ASC),
        restricted=restricted,
        series=series,
    ).rows
    emitted = {
        (row.values[0].provider, row.values[0].code, row.values[1].code, row.span.start): row.figure
        for row in rows
        if row.span is not None
    }
    units = locations.units(published=question.published, period=question.period, services=services)
    return Answer(series[node], tuple(_moved(move, emitted, units) for move in moves))


def _moved(
    move: Move,
    emitted: Mapping[tuple[str | None, str, str, date], Figure],
    units: Mapping[IntensityKey, Unit],
) -> Moved:
    before, after = dict.fromkeys(Method, 0), dict.fromkeys(Method, 0)
    months, left_out = [], []
    for (provider, service, region, month), figure in sorted(emitted.items(), key=lambda item: item[0][3]):
        if (provider, service, region) != (move.provider, move.service, move.from_region):
            continue
        if not any(figure.ug(method) for method in Method):
            continue
        here = units.get(IntensityKey(move.provider, service, region, month))
        there = units.get(IntensityKey(move.provider, service, move.to_region, month))
        used = None if here is None or there is None or not there.is_shown else _used(figure, here)
        if used is None or there is None:
            left_out.append(month)
            continue
        months.append(month)
        share = Fraction(move.share_ppm, PPM)
        for method in Method:
            before[method] += round((figure.ug(method) or 0) * share)
            after[method] += round(used[method] * share * there.ug(method))
    if not months and not left_out:
        status = ChangeStatus.NO_EMISSIONS
    elif not months:
        status = ChangeStatus.NOT_COMPARABLE
    else:
        status = ChangeStatus.PARTLY if left_out else ChangeStatus.COMPUTED
    return Moved(move, status, before, after, tuple(months), tuple(left_out))


def _used(figure: Figure, here: Unit) -> dict[Method, Fraction] | None:
    """How many units the emissions stand for, by each method; where one has no emissions for a unit, by the other."""
    found = {method: Fraction(figure.ug(method) or 0) / here.ug(method) for method in Method if here.ug(method)}
    return {method: found.get(method, next(iter(found.values()))) for method in Method} if found else None
