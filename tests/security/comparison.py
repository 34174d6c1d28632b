"""Every answer of the policies about a world beside what the model says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import connection

from accounts.models import NodeKind
from accounts.policies import Access, Action, Purpose, VisibleSets, access_to, explorable, may, months_of
from tests.security.model import Node
from tests.security.worlds import MONTHS, World, ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from accounts.months import Period
    from accounts.policies import NodeRef, Viewer
    from tests.security.model import Pair


@dataclass
class Findings:
    """How many (viewer, question) pairs were compared, and where the answers differ."""

    compared: int = 0
    leaks: list[str] = field(default_factory=list)
    denials: list[str] = field(default_factory=list)

    def compare(self, question: str, *, found: set[Pair], expected: set[Pair], asked: int) -> None:
        """Compare two sets of (node, month); what was found and not expected is a leak."""
        self.compared += asked
        if found - expected:
            self.leaks.append(f"{question}: {sorted(found - expected)[:3]}")
        if expected - found:
            self.denials.append(f"{question}: {sorted(expected - found)[:3]}")

    def __str__(self) -> str:
        lines = [f"{self.compared} (viewer, question) pairs, {len(self.leaks)} leaks, {len(self.denials)} denials"]
        return "\n".join([*lines, *self.leaks[:10], *self.denials[:10]])


def compare_policies(world: World, findings: Findings, people: Iterable[int | None] | None = None) -> None:
    """Ask the policies everything about every person of the world."""
    nodes = sorted(world.model.nodes())
    for person in world.everybody() if people is None else people:
        viewer, model = world.viewer(person), world.model
        seen = {
            Purpose.SEE: model.seen(person, world.now),
            Purpose.NUMBERS: model.numbers(person, world.now),
            Purpose.ADMINISTER: model.administered(person, world.now),
        }
        for purpose, expected in seen.items():
            _compare_purpose(world, findings, viewer, purpose, expected)
        named = model.named(person, world.now)
        if not viewer.is_operator:
            found = _within(explorable(viewer))
            everything = seen[Purpose.SEE]
            findings.compare(
                f"names to {person} in world {world.seed}",
                found=found - everything,
                expected=named - everything,
                asked=len(nodes),
            )
        _compare_access(world, findings, viewer, seen[Purpose.SEE], named)
        _compare_actions(world, findings, viewer, seen)


def _within(spans: Mapping[NodeRef, list[Period]]) -> set[Pair]:
    return {
        (Node(node.kind.value, node.id), month)
        for node, periods in spans.items()
        for month in MONTHS
        if any(month in period for period in periods)
    }


def _compare_purpose(world: World, findings: Findings, viewer: Viewer, purpose: Purpose, expected: set[Pair]) -> None:
    for kind in NodeKind:
        ids = [node.id for node in world.model.nodes() if node.kind == kind.value]
        of_kind = {pair for pair in expected if pair[0].kind == kind.value}
        months = months_of(viewer, kind=kind, ids=ids, purpose=purpose)
        found = {
            (Node(kind.value, node_id), month)
            for node_id, periods in months.items()
            for month in MONTHS
            if any(month in period for period in periods)
        }
        about = f"{purpose} of {kind} to {viewer.user_id} in world {world.seed}"
        findings.compare(f"months: {about}", found=found, expected=of_kind, asked=len(ids))
        text, params = VisibleSets(viewer, purpose).sql(kind)
        with connection.cursor() as cursor:
            cursor.execute(text, params)
            rows = cursor.fetchall()
        # Other worlds share the database: an operator sees them too.
        found = {
            (Node(kind.value, node_id), month)
            for node_id, start, bound in rows
            for month in MONTHS
            if start <= month < bound and (node_id in ids or not viewer.is_operator)
        }
        findings.compare(f"set: {about}", found=found, expected=of_kind, asked=len(ids))


def _compare_access(world: World, findings: Findings, viewer: Viewer, seen: set[Pair], named: set[Pair]) -> None:
    """How a node may be known in any month at all, months outside of the window included."""
    for kind in NodeKind:
        nodes = [node for node in world.model.nodes() if node.kind == kind.value]
        known = access_to(viewer, kind=kind, ids=[node.id for node in nodes])
        for access, pairs in ((Access.VISIBLE, seen), (Access.NAME_ONLY, named - seen)):
            found = {node for node in nodes if known[node.id] == access}
            expected = {node for node, _ in pairs if node in nodes}
            if access == Access.NAME_ONLY:
                expected -= {node for node, _ in seen}
            findings.compare(
                f"{access} {kind} to {viewer.user_id} in world {world.seed}",
                found={(node, MONTHS[0]) for node in found},
                expected={(node, MONTHS[0]) for node in expected},
                asked=len(nodes),
            )


def _compare_actions(world: World, findings: Findings, viewer: Viewer, seen: dict[Purpose, set[Pair]]) -> None:
    """What may be done to a few nodes today."""
    nodes = world.rng.sample(sorted(world.model.nodes()), k=6)
    wanted = {
        Action.SEE: {node for node, _ in seen[Purpose.SEE]},
        Action.SEE_NUMBERS: {node for node, _ in seen[Purpose.NUMBERS]},
        Action.ADMINISTER: {node for node, month in seen[Purpose.ADMINISTER] if month == viewer.month},
        Action.OPERATE: set(nodes) if world.model.is_operator(viewer.user_id) else set(),
    }
    for action, allowed in wanted.items():
        found = {(node, MONTHS[0]) for node in nodes if may(viewer, action, ref(node))}
        expected = {(node, MONTHS[0]) for node in nodes if node in allowed}
        findings.compare(
            f"{action} by {viewer.user_id} in world {world.seed}", found=found, expected=expected, asked=len(nodes)
        )
