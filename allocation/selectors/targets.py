"""Targets of nodes and how far they are: years against a straight line, decided in integers."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db.models import Q

from accounts.months import Period, month_of, shift
from accounts.policies import NodeKind, Purpose, months_of
from allocation.models import Target, TargetKind
from allocation.policies import Kind, NodeKey, Question
from allocation.selectors.amounts import Method, Scope
from allocation.selectors.emissions import by_month
from allocation.selectors.statuses import Figure, Presence, combined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from accounts.policies import Viewer
    from allocation.selectors.emissions import Point, Series

__all__ = ["Progress", "Stand", "TargetKind", "TargetStatus", "progress"]

_PPM: Final = 1_000_000
_YEAR: Final = 12


class TargetStatus(enum.StrEnum):
    """How a target stands after the newest twelve months that are complete."""

    REACHED = "reached"
    ON_TRACK = "on_track"
    OFF_TRACK = "off_track"
    MISSED = "missed"
    UNKNOWN = "unknown"


class Stand(NamedTuple):
    """Twelve months against the line.

    `path_ppm` is where the line is, in 10⁻⁶ of the base year, rounded half up for display; `on_track` is decided
    exactly and None where a month of these or of the base year is missing.
    """

    start: date
    figure: Figure
    path_ppm: int
    on_track: bool | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A target with what happened: the base year, every year that began, and the newest twelve complete months."""

    target: Target
    base: Figure
    years: tuple[Stand, ...]
    latest: Stand | None
    status: TargetStatus

    @property
    def method(self) -> Method:
        """The method of the target."""
        return Method(self.target.method)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes of the target."""
        return tuple(Scope(scope) for scope in self.target.scopes)


def progress(
    *, viewer: Viewer, question: Callable[[Period], Question], nodes: Sequence[NodeKey]
) -> dict[NodeKey, list[Progress]]:
    """The current targets of nodes that the viewer may see, by name.

    A few statements whatever the number of nodes and targets; what is read are roll-ups of the nodes themselves.
    `question` makes the question for a period.
    """
    targets = _targets(viewer, nodes)
    found: dict[NodeKey, list[Progress]] = {node: [] for node in nodes}
    held = [node for node in nodes if targets.get(node)]
    if not held:
        return found
    first = min(date(t.base_year, t.fiscal_year_start, 1) for node in held for t in targets[node])
    # Targets of years to come have a line and no months yet.
    until = max(shift(month_of(viewer.now), 1), shift(first, 1))
    series = by_month(question=question(Period(first, until)), nodes=held)
    return found | {node: [_progress(target, series[node]) for target in targets[node]] for node in held}


def _targets(viewer: Viewer, nodes: Sequence[NodeKey]) -> dict[NodeKey, list[Target]]:
    wanted: dict[str, list[int]] = defaultdict(list)
    for node in nodes:
        if node.kind is not Kind.MISCELLANEOUS:
            wanted[node.kind.value].append(node.id)
    any_of = Q()
    for kind, ids in wanted.items():
        any_of |= Q(node_kind=kind, node_id__in=ids)
    rows = Target.objects.filter(any_of, ended_at__isnull=True) if wanted else Target.objects.none()
    found: dict[NodeKey, list[Target]] = defaultdict(list)
    for target in rows.order_by("name", "pk"):
        found[NodeKey(Kind(target.node_kind), target.node_id)].append(target)
    seen: set[NodeKey] = set()
    for of_kind in {node.kind for node in found}:
        ids = [node.id for node in found if node.kind is of_kind]
        visible = months_of(viewer, kind=NodeKind(of_kind.value), ids=ids, purpose=Purpose.SEE)
        seen |= {NodeKey(of_kind, node_id) for node_id in visible}
    return {node: targets for node, targets in found.items() if node in seen}


def _progress(target: Target, series: Series) -> Progress:
    points = {point.month: point for point in series.points}
    base_start = date(target.base_year, target.fiscal_year_start, 1)
    base = _year(points, base_start)
    years = []
    for year in range(target.base_year, target.target_year + 1):
        start = date(year, target.fiscal_year_start, 1)
        if start in points:
            years.append(_stand(target, base, start, _year(points, start)))
    latest = _latest(target, base, points)
    return Progress(target, base, tuple(years), latest, _status(target, latest))


def _year(points: dict[date, Point], start: date) -> Figure:
    months = [points[month] for month in Period(start, shift(start, _YEAR)).months() if month in points]
    found = combined(point.figure for point in months)
    if len(months) < _YEAR and found.presence is Presence.WHOLE:
        return Figure(found.amounts, Presence.PART, found.zero_emission_site)
    return found


def _latest(target: Target, base: Figure, points: dict[date, Point]) -> Stand | None:
    """The newest twelve months in a row that are complete, from the base year to the target year."""
    end = date(target.target_year, target.fiscal_year_start, 1)
    start = date(target.base_year, target.fiscal_year_start, 1)
    for month in sorted((month for month in points if start <= month <= end), reverse=True):
        figure = _year(points, month)
        if figure.presence is Presence.WHOLE:
            return _stand(target, base, month, figure)
    return None


def _stand(target: Target, base: Figure, start: date, figure: Figure) -> Stand:
    gone = (start.year - target.base_year) * _YEAR + start.month - target.fiscal_year_start
    whole = (target.target_year - target.base_year) * _YEAR
    # The line at this month: 1 - reduction * gone / whole, as a fraction with this denominator.
    left, denominator = whole * _PPM - target.reduction_ppm * gone, whole * _PPM
    return Stand(start, figure, (2 * left + whole) // (2 * whole), _is_below(target, base, figure, left, denominator))


def _is_below(target: Target, base: Figure, figure: Figure, left: int, denominator: int) -> bool | None:
    """Whether a figure is at most `left / denominator` of the base: cross-multiplied, nothing is rounded."""
    if base.presence is not Presence.WHOLE or figure.presence is not Presence.WHOLE:
        return None
    method, scopes = Method(target.method), tuple(Scope(scope) for scope in target.scopes)
    now_ug, base_ug = figure.ug(method, scopes) or 0, base.ug(method, scopes) or 0
    if target.kind == TargetKind.ABSOLUTE:
        return now_ug * denominator <= base_ug * left
    now_wh, base_wh = figure.energy_wh() or 0, base.energy_wh() or 0
    if not now_wh or not base_wh:
        return None
    return now_ug * base_wh * denominator <= base_ug * now_wh * left


def _status(target: Target, latest: Stand | None) -> TargetStatus:
    if latest is None or latest.on_track is None:
        return TargetStatus.UNKNOWN
    if latest.start == date(target.target_year, target.fiscal_year_start, 1):
        return TargetStatus.REACHED if latest.on_track else TargetStatus.MISSED
    return TargetStatus.ON_TRACK if latest.on_track else TargetStatus.OFF_TRACK
