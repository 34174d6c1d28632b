"""May this viewer do that to this node? And on whose authority?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from accounts.models import NodeKind, NodeRef
from accounts.months import ALWAYS, Period, between, covers
from accounts.policies.ancestry import ancestors
from accounts.policies.visible import Purpose, VisibleSets
from accounts.statements import rows_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from accounts.policies.viewer import Viewer


class Action(StrEnum):
    """What somebody may want to do to a node."""

    SEE = "see"
    SEE_NUMBERS = "see_numbers"
    ADMINISTER = "administer"
    DELEGATE = "delegate"
    OPERATE = "operate"


class Access(StrEnum):
    """How a node may be known to a viewer."""

    VISIBLE = "visible"
    NAME_ONLY = "name_only"
    HIDDEN = "hidden"


class Root(NamedTuple):
    """A node on which a role of the viewer stands, why, and for which months."""

    ref: NodeRef
    role: str
    why: str
    via_account_id: int | None
    authority: tuple[str, ...]
    months: Period


@dataclass(frozen=True, slots=True)
class Authority:
    """By what right an administrator acts on a node in the current month.

    `inside` is what a grant made by this right must stay inside (`Grant.authority`): empty for direct administrators
    and operators. `via_account_id` is the management account through which the role came, if one did.
    """

    inside: tuple[str, ...]
    via_account_id: int | None


def roots_of(viewer: Viewer, purpose: Purpose = Purpose.SEE) -> list[Root]:
    """The viewer's roles as they count now; expired grants and inactive viewers have none."""
    text, params = VisibleSets(viewer, purpose).roots()
    rows = rows_of(
        "SELECT node_kind, node_id, role, why, via_account_id, authority, valid_from, valid_to"  # noqa: S608 fixed names
        f" FROM ({text}) AS root ORDER BY node_kind, node_id, role, why, via_account_id, valid_from",
        params,
    )
    return [
        Root(NodeRef(NodeKind(kind), node_id), role, why, via, tuple(authority), period)
        for kind, node_id, role, why, via, authority, start, bound in rows
        if (period := between(start, bound)) is not None
    ]


def months_of(
    viewer: Viewer, *, kind: NodeKind, ids: Collection[int], purpose: Purpose = Purpose.NUMBERS
) -> dict[int, list[Period]]:
    """The months in which each of the nodes may be seen: disjoint, in order; nodes never seen are absent.

    One statement, which walks up from the nodes. Operators see every month, of existing nodes and others alike: ask
    whether a node exists elsewhere.
    """
    if viewer.is_operator:
        return {node_id: [ALWAYS] for node_id in ids}
    seen: dict[int, list[Period]] = defaultdict(list)
    rows = rows_of(
        "SELECT node_id, valid_from, valid_to FROM accounts_viewer_months(%s, %s, %s, %s, %s)",
        [viewer.user_id, viewer.now, purpose.value, kind.value, list(ids)],
    )
    for node_id, start, bound in rows:
        period = between(start, bound)
        if period is not None:
            seen[node_id].append(period)
    return dict(seen)


def explorable(viewer: Viewer) -> dict[NodeRef, list[Period]]:
    """Ancestors of what the viewer may see, with the months: their names may be shown and nothing else."""
    names: dict[NodeRef, list[Period]] = defaultdict(list)
    rows = rows_of(
        "SELECT node_kind, node_id, valid_from, valid_to"
        " FROM accounts_viewer_explorable(%s, %s, NULL, NULL) ORDER BY 1, 2, 3",
        [viewer.user_id, viewer.now],
    )
    for kind, node_id, start, bound in rows:
        period = between(start, bound)
        if period is not None:
            names[NodeRef(NodeKind(kind), node_id)].append(period)
    return dict(names)


def access_to(viewer: Viewer, *, kind: NodeKind, ids: Collection[int]) -> dict[int, Access]:
    """How each node may be known to the viewer in any month. Two statements; none for operators."""
    if viewer.is_operator:
        return dict.fromkeys(ids, Access.VISIBLE)
    visible = months_of(viewer, kind=kind, ids=ids, purpose=Purpose.SEE)
    hidden = [node_id for node_id in ids if node_id not in visible]
    by_name = _known_by_name(viewer, kind, hidden) if hidden else set()
    return {
        node_id: Access.VISIBLE if node_id in visible else Access.NAME_ONLY if node_id in by_name else Access.HIDDEN
        for node_id in ids
    }


def _known_by_name(viewer: Viewer, kind: NodeKind, ids: Collection[int]) -> set[int]:
    """Those of the nodes that stand above something visible."""
    rows = rows_of(
        "SELECT DISTINCT node_id FROM accounts_viewer_explorable(%s, %s, %s, %s) WHERE valid_from < valid_to",
        [viewer.user_id, viewer.now, kind.value, list(ids)],
    )
    return {node_id for (node_id,) in rows}


def may(viewer: Viewer, action: Action, node: NodeRef) -> bool:
    """Whether the viewer may do this to the node now: reading in any month, administering in the current one."""
    if not viewer.is_active:
        return False
    if viewer.is_operator or action == Action.OPERATE:
        return viewer.is_operator
    if action in {Action.SEE, Action.SEE_NUMBERS}:
        purpose = Purpose.SEE if action == Action.SEE else Purpose.NUMBERS
        return node.id in months_of(viewer, kind=node.kind, ids=[node.id], purpose=purpose)
    purpose = Purpose.ADMINISTER if action == Action.ADMINISTER else Purpose.DELEGATE
    held = months_of(viewer, kind=node.kind, ids=[node.id], purpose=purpose).get(node.id, [])
    return any(viewer.month in period for period in held)


def administered(viewer: Viewer, nodes: Collection[NodeRef]) -> dict[NodeRef, list[Period]]:
    """Those of the nodes that the viewer may ADMINISTER now, with all months in which they administer them.

    One statement for each kind among the nodes; none for operators.
    """
    if not viewer.is_active:
        return {}
    found: dict[NodeRef, list[Period]] = {}
    for kind in sorted({node.kind for node in nodes}):
        ids = [node.id for node in nodes if node.kind == kind]
        for node_id, periods in months_of(viewer, kind=kind, ids=ids, purpose=Purpose.ADMINISTER).items():
            if any(viewer.month in period for period in periods):
                found[NodeRef(kind, node_id)] = periods
    return found


def may_throughout(viewer: Viewer, *, kind: NodeKind, needed: dict[int, list[Period]]) -> bool:
    """Whether the viewer administers each of these nodes in every one of its months."""
    if viewer.is_operator:
        return True
    held = months_of(viewer, kind=kind, ids=list(needed), purpose=Purpose.ADMINISTER)
    return all(covers(held.get(node_id, []), period) for node_id, periods in needed.items() for period in periods)


def authority_over(viewer: Viewer, node: NodeRef, *, purpose: Purpose = Purpose.ADMINISTER) -> Authority | None:
    """By what right the viewer administers the node in the current month; None if by none.

    A role on the node itself passes on what limits it; a role inherited from above adds the node on which it stands.
    Of several rights the widest is taken: none at all to stay inside, else the one whose narrowest node is highest.
    """
    if viewer.is_operator:
        return Authority(inside=(), via_account_id=None)
    above = {step.ref: step.height for step in ancestors(kind=node.kind, months={node.id: viewer.month})[node.id]}
    best: tuple[tuple[int, int, tuple[str, ...]], Authority] | None = None
    for root in roots_of(viewer, purpose):
        if root.ref not in above or viewer.month not in root.months:
            continue
        inside = tuple(sorted({*root.authority} | ({root.ref.key} if root.ref != node else set())))
        narrowest = min((above.get(NodeRef.parse(key), -1) for key in inside), default=1_000_000)
        rank = (-narrowest, len(inside), inside)
        if best is None or rank < best[0]:
            best = (rank, Authority(inside=inside, via_account_id=root.via_account_id))
    return None if best is None else best[1]
