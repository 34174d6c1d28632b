"""How a service says no. Each service's own refusals stand beside it; these are the ones they all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from accounts.policies import Access, Action, Viewer, access_to, may, may_throughout

if TYPE_CHECKING:
    from accounts.models import NodeKind, NodeRef
    from accounts.months import Period


class Refusal(Exception):  # noqa: N818 a refusal is an answer, not a malfunction
    """The request was understood and will not be carried out; nothing was written.

    `code` is stable and belongs to the API. `field` names the argument at fault, where there is one.
    """

    code: ClassVar[str] = "REFUSED"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(Refusal):
    """The node does not exist, or the viewer may not know that it does: both look the same."""

    code = "NOT_FOUND"


class PermissionDenied(Refusal):
    """The viewer may see the node and may not do this to it."""

    code = "PERMISSION_DENIED"


class Invalid(Refusal):
    """An argument makes no sense by itself."""

    code = "INVALID"


def require_known(viewer: Viewer, node: NodeRef, *, field: str) -> None:
    """NotFound unless the viewer may know the node."""
    if access_to(viewer, kind=node.kind, ids=[node.id])[node.id] == Access.HIDDEN:
        raise NotFound(f"there is no {node.kind.label} {node.id}", field=field)


def require(viewer: Viewer, action: Action, node: NodeRef, *, field: str) -> None:
    """NotFound or PermissionDenied unless the viewer may do this to the node now."""
    if may(viewer, action, node):
        return
    require_known(viewer, node, field=field)
    raise PermissionDenied(f"you may not {action.value} this {node.kind.label}", field=field)


def require_throughout(viewer: Viewer, kind: NodeKind, needed: dict[int, list[Period]], *, field: str) -> None:
    """NotFound or PermissionDenied unless the viewer administers each node in every one of its months."""
    if may_throughout(viewer, kind=kind, needed=needed):
        return
    for node_id, access in access_to(viewer, kind=kind, ids=list(needed)).items():
        if access == Access.HIDDEN:
            raise NotFound(f"there is no {kind.label} {node_id}", field=field)
    raise PermissionDenied(f"you do not administer this {kind.label} in all of these months", field=field)


def require_operator(viewer: Viewer) -> None:
    """PermissionDenied for everybody but operators."""
    if not viewer.is_operator:
        raise PermissionDenied("only operators may do this")
