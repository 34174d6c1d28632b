"""Setting and ending targets of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import transaction

from accounts.models import NodeKind, NodeRef
from accounts.policies import Action
from accounts.services import audit
from accounts.services.quotas import QuotaExceeded
from accounts.services.refusal import Invalid, NotFound, require
from allocation.models import Target, TargetKind

if TYPE_CHECKING:
    from accounts.policies import Viewer
    from allocation.selectors.amounts import Method, Scope

MAX_TARGETS: Final = 10
FIRST_YEAR, LAST_YEAR = 2000, 2100
MAX_NAME: Final = 100
_WHOLE_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Aim:
    """What is to be reached; `reduction_ppm` in 10⁻⁶ of the base year."""

    kind: TargetKind
    method: Method
    scopes: tuple[Scope, ...]
    base_year: int
    target_year: int
    fiscal_year_start: int
    reduction_ppm: int


@transaction.atomic
def set_target(*, viewer: Viewer, node: NodeRef, name: str, aim: Aim) -> Target:
    """Set a target of a node; one of the same name ends. The same again changes nothing.

    Raises:
        NotFound, PermissionDenied: the viewer does not administer the node.
        Invalid: years, reduction or name make no sense.
        QuotaExceeded: the node has `MAX_TARGETS`.
    """
    require(viewer, Action.ADMINISTER, node, field="nodeId")
    name = name.strip()
    _check(name, aim)
    current = Target.objects.select_for_update().filter(
        node_kind=node.kind.value, node_id=node.id, ended_at__isnull=True
    )
    before = {target.name: target for target in current}
    columns = {
        "kind": aim.kind,
        "method": aim.method.value,
        "scopes": sorted(int(scope) for scope in aim.scopes),
        "base_year": aim.base_year,
        "target_year": aim.target_year,
        "fiscal_year_start": aim.fiscal_year_start,
        "reduction_ppm": aim.reduction_ppm,
    }
    old = before.get(name)
    if old is not None:
        if all(getattr(old, column) == value for column, value in columns.items()):
            return old
        Target.objects.filter(pk=old.pk).update(ended_at=viewer.now)
    elif len(before) >= MAX_TARGETS:
        raise QuotaExceeded(quota="targets", limit=MAX_TARGETS, found=len(before) + 1)
    made = Target.objects.create(
        node_kind=node.kind.value, node_id=node.id, name=name, set_at=viewer.now, set_by_id=viewer.user_id, **columns
    )
    details = {"name": name, **columns, "kind": aim.kind.value}
    audit.record(viewer=viewer, action="set_target", node=node, details=details)
    return made


@transaction.atomic
def end_target(*, viewer: Viewer, target_id: int) -> Target:
    """End a target; ending one that has ended changes nothing.

    Raises:
        NotFound, PermissionDenied: there is none, or the viewer does not administer its node.
    """
    found = Target.objects.select_for_update().filter(pk=target_id).first()
    if found is None:
        raise NotFound(f"there is no target {target_id}", field="targetId")
    node = NodeRef(NodeKind(found.node_kind), found.node_id)
    require(viewer, Action.ADMINISTER, node, field="targetId")
    if found.ended_at is None:
        found.ended_at = viewer.now
        found.save(update_fields=["ended_at"])
        audit.record(viewer=viewer, action="end_target", node=node, details={"name": found.name})
    return found


def _check(name: str, aim: Aim) -> None:
    if not 1 <= len(name) <= MAX_NAME:
        raise Invalid(f"a name has 1 to {MAX_NAME} characters", field="name")
    if not FIRST_YEAR <= aim.base_year < aim.target_year <= LAST_YEAR:
        raise Invalid(
            f"the target year comes after the base year; both lie between {FIRST_YEAR} and {LAST_YEAR}",
            field="targetYear",
        )
    if not 1 <= aim.reduction_ppm <= _WHOLE_PPM:
        raise Invalid("the reduction lies above 0 and at most at 100 percent", field="reductionPercent")
    if not aim.scopes or len(set(aim.scopes)) < len(aim.scopes):
        raise Invalid("name at least one scope, each once", field="scopes")
