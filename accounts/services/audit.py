"""The append-only record: every service that changes structure or access writes here, in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accounts.models import AuditEntry, NodeRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accounts.policies import Viewer


def record(
    *, viewer: Viewer, action: str, node: NodeRef, details: dict[str, Any], acting_account_id: int | None = None
) -> AuditEntry:
    """Write one entry. `details` is plain JSON; nodes in it are `kind:id`, which the reader's policy can redact."""
    return record_many(viewer=viewer, action=action, entries=[(node, details)], acting_account_id=acting_account_id)[0]


def record_many(
    *,
    viewer: Viewer,
    action: str,
    entries: Iterable[tuple[NodeRef, dict[str, Any]]],
    acting_account_id: int | None = None,
) -> list[AuditEntry]:
    """Write one entry for each node, with one statement."""
    return AuditEntry.objects.bulk_create(
        AuditEntry(
            at=viewer.now,
            actor_id=viewer.user_id,
            acting_account_id=acting_account_id,
            action=action,
            node_kind=node.kind.value,
            node_id=node.id,
            details=details,
        )
        for node, details in entries
    )
