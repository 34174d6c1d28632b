"""Rewriting who stood where: values over months, and the rows that record them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from accounts.models import NodeKind, NodeRef, TreeVersion
from accounts.months import Period
from accounts.services.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date

    from accounts.policies import Viewer


class MonthPublished(Refusal):
    """The change reaches a month that is published: it would have to be a restatement, by an operator."""

    code = "MONTH_PUBLISHED"


class Place(NamedTuple):
    """Where a group or an account can stand: in a group, or directly under its directory."""

    directory_id: int
    group_id: int | None

    @property
    def node(self) -> NodeRef:
        """The parent node."""
        if self.group_id is None:
            return NodeRef(NodeKind.RESOURCE_DIRECTORY, self.directory_id)
        return NodeRef(NodeKind.ACCOUNT_GROUP, self.group_id)


class Stay(NamedTuple):
    """In these months the node stood at this place."""

    months: Period
    place: Place


def joined(stays: Iterable[Stay]) -> list[Stay]:
    """The same stays in order, those at one place that touch made one."""
    result: list[Stay] = []
    for stay in sorted(stays, key=lambda one: one.months.start):
        last = result[-1] if result else None
        if last is not None and last.place == stay.place and last.months.bound == stay.months.start:
            result[-1] = Stay(Period(last.months.start, stay.months.end), stay.place)
        else:
            result.append(stay)
    return result


def overwrite(stays: Iterable[Stay], months: Period, place: Place | None) -> list[Stay]:
    """The stays after the node stood at `place` (nowhere if None) in these months; disjoint, in order."""
    kept = [Stay(rest, stay.place) for stay in stays for rest in stay.months.minus(months)]
    return joined(kept if place is None else [*kept, Stay(months, place)])


def changed_months(stays: Iterable[Stay], months: Period, place: Place | None) -> list[Period]:
    """Those of the months in which the node does not stand at `place` already."""
    left = [months]
    for stay in stays:
        if stay.place == place:
            left = [rest for piece in left for rest in piece.minus(stay.months)]
    if place is None:
        return [piece for stay in stays if (piece := stay.months.intersect(months)) is not None]
    return left


def places_in(stays: Iterable[Stay], months: Period) -> list[str]:
    """The keys of the parents in these months, for the audit log."""
    return sorted({stay.place.node.key for stay in stays if stay.months.intersect(months)})


def require_unpublished(changed: Iterable[Period], frozen_months: Collection[date]) -> None:
    """MonthPublished if one of these months would change, whoever asks.

    A restatement, which publishes the new totals together with the change, passes no months.
    """
    for period in changed:
        if any(month in period for month in frozen_months):
            raise MonthPublished(f"{period} reaches a published month: only a restatement may", field="month")


def new_version(viewer: Viewer, *, directory_id: int, reason: str) -> TreeVersion:
    """Number one recorded change of structure."""
    return TreeVersion.objects.create(
        directory_id=directory_id, actor_id=viewer.user_id, recorded_at=viewer.now, reason=reason
    )
