"""The way from the top to a node: names, and numbers only where the viewer has a role."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts.models import NodeKind, NodeRef
from accounts.months import shift
from accounts.policies import Access, Purpose, ancestors, explorable, months_of
from accounts.selectors.nodes import nodes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from accounts.months import Period
    from accounts.policies import Viewer


@dataclass(frozen=True, slots=True)
class PathEntry:
    """One step of a path. NAME_ONLY: the viewer has no role there in that month."""

    ref: NodeRef
    name: str
    access: Access


def _shown_month(periods: Collection[Period], wanted: date | None, now: date) -> date | None:
    """The month whose path is shown: the wanted one if it may be seen, else the latest that may, up to now."""
    if wanted is not None:
        return wanted if any(wanted in period for period in periods) else None
    past = [min(shift(period.bound, -1), now) for period in periods if period.start <= now]
    return max(past) if past else min((period.start for period in periods), default=None)


def paths(*, viewer: Viewer, refs: Collection[NodeRef], month: date | None = None) -> dict[NodeRef, list[PathEntry]]:
    """Each node's ancestors and the node itself, from the top, in a month in which it may be known.

    Without a month: the current one, or the latest in which the node may be seen. A node that may not be known (then)
    is missing. A constant number of statements for each kind.
    """
    by_kind: dict[NodeKind, set[int]] = defaultdict(set)
    for ref in refs:
        by_kind[ref.kind].add(ref.id)
    names = {} if viewer.is_operator else explorable(viewer)
    ways: dict[NodeRef, list[NodeRef]] = {}
    shown: dict[NodeRef, date] = {}
    for kind, ids in by_kind.items():
        seen = months_of(viewer, kind=kind, ids=ids, purpose=Purpose.SEE)
        months: dict[int, date] = {}
        for node_id in ids:
            periods = [*seen.get(node_id, []), *names.get(NodeRef(kind, node_id), [])]
            when = _shown_month(periods, month, viewer.month)
            if when is not None:
                months[node_id] = when
        for node_id, steps in (ancestors(kind=kind, months=months) if months else {}).items():
            ref = NodeRef(kind, node_id)
            ways[ref] = [step.ref for step in sorted(steps, key=lambda step: -step.height)]
            shown[ref] = months[node_id]
    return _named(viewer, ways, shown)


def _named(
    viewer: Viewer, ways: Mapping[NodeRef, list[NodeRef]], shown: Mapping[NodeRef, date]
) -> dict[NodeRef, list[PathEntry]]:
    """Put names on the ways; a step is fully visible if it may be seen in the month of the path."""
    steps = {step for way in ways.values() for step in way}
    rows = nodes(viewer=viewer, refs=steps)
    seen: dict[NodeRef, list[Period]] = {}
    for kind in NodeKind:
        ids = [step.id for step in steps if step.kind == kind]
        if ids:
            for node_id, periods in months_of(viewer, kind=kind, ids=ids, purpose=Purpose.SEE).items():
                seen[NodeRef(kind, node_id)] = periods

    def entry(step: NodeRef, month: date) -> PathEntry:
        visible = any(month in period for period in seen.get(step, []))
        return PathEntry(step, rows[step].name, Access.VISIBLE if visible else Access.NAME_ONLY)

    return {
        ref: [entry(step, shown[ref]) for step in way] for ref, way in ways.items() if all(step in rows for step in way)
    }
