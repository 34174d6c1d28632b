"""Dismissing recommendations, for oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction

from accounts.policies import Action
from accounts.services.refusal import Invalid, PermissionDenied, require
from allocation.models import RecommendationDismissal

if TYPE_CHECKING:
    from accounts.models import NodeRef
    from accounts.policies import Viewer

MAX_KEY: Final = 600
MAX_REASON: Final = 1_000


@transaction.atomic
def dismiss(*, viewer: Viewer, node: NodeRef, key: str, reason: str, restore: bool) -> None:
    """Hide a recommendation for a node from the viewer's own lists, or show it again; twice is the same as once.

    Raises:
        NotFound, PermissionDenied: the viewer may not see the node.
        Invalid: key or reason are too long.
    """
    require(viewer, Action.SEE, node, field="nodeId")
    if viewer.user_id is None:
        raise PermissionDenied("sign in first")
    if not 1 <= len(key) <= MAX_KEY:
        raise Invalid(f"a key has 1 to {MAX_KEY} characters", field="key")
    if len(reason) > MAX_REASON:
        raise Invalid(f"a reason has at most {MAX_REASON} characters", field="reason")
    mine = RecommendationDismissal.objects.filter(
        user_id=viewer.user_id, node_kind=node.kind.value, node_id=node.id, key=key
    )
    if restore:
        mine.delete()
    elif not mine.exists():
        RecommendationDismissal.objects.create(
            user_id=viewer.user_id,
            node_kind=node.kind.value,
            node_id=node.id,
            key=key,
            reason=reason,
            dismissed_at=viewer.now,
        )
