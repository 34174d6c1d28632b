"""Delegated administrators: accounts whose users see the directory, or a subtree of it, until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q

from accounts.models import Account, AccountGroup, DelegatedAdministrator, NodeKind, NodeRef, NodeStatus
from accounts.months import month_of, shift
from accounts.policies import Access, Viewer, access_to
from accounts.services import audit
from accounts.services.directories import delegating_authority, locked_directory, require_member
from accounts.services.quotas import require_room_for_delegation
from accounts.services.refusal import Invalid, NotFound, Refusal, require_known

if TYPE_CHECKING:
    from datetime import datetime


class AlreadyDelegated(Refusal):
    """The account is an active delegated administrator of the directory."""

    code = "ALREADY_DELEGATED"


class Unsuitable(Refusal):
    """The account cannot be a delegated administrator: it manages the directory, or is closed."""

    code = "UNSUITABLE_ACCOUNT"


@transaction.atomic
def delegate_administrator(
    *,
    viewer: Viewer,
    directory_id: int,
    account_id: int,
    group_id: int | None = None,
    ends_at: datetime | None = None,
) -> DelegatedAdministrator:
    """Make an account a delegated administrator of the directory, or of the subtree under a group, until `ends_at`.

    Only the management account's administrators may (directly, or from above it through the whole directory).
    """
    authority = delegating_authority(viewer, directory_id)
    directory = locked_directory(directory_id)
    require_known(viewer, NodeRef(NodeKind.ACCOUNT, account_id), field="account")
    account = Account.objects.select_for_update().filter(id=account_id).first()
    if account is None:
        raise NotFound(f"there is no account {account_id}", field="account")
    if group_id is not None and not AccountGroup.objects.filter(id=group_id, directory=directory).exists():
        raise NotFound(f"there is no account group {group_id} in this directory", field="group")
    if ends_at is not None and ends_at <= viewer.now:
        raise Invalid("the delegation would have ended already", field="endsAt")
    last = None if ends_at is None else shift(month_of(ends_at), 1)
    require_member(viewer, account, directory_id, until=last)
    if account.pk == directory.management_account_id:
        raise Unsuitable("the management account needs no delegation", field="account")
    if account.status == NodeStatus.CLOSED:
        raise Unsuitable("the account is closed", field="account")
    standing = DelegatedAdministrator.objects.filter(directory=directory, account=account, revoked_at__isnull=True)
    if standing.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=viewer.now)).exists():
        raise AlreadyDelegated("the account is a delegated administrator already", field="account")
    # What has run out is closed, so that only one row is ever open.
    standing.update(revoked_at=F("ends_at"))
    require_room_for_delegation(directory=directory, now=viewer.now)
    delegation = DelegatedAdministrator.objects.create(
        directory=directory,
        account=account,
        group_id=group_id,
        registered_at=viewer.now,
        registered_by_id=viewer.user_id,
        ends_at=ends_at,
    )
    _record(viewer, "delegate_administrator", delegation, authority.via_account_id)
    return delegation


@transaction.atomic
def revoke_delegation(*, viewer: Viewer, delegation_id: int) -> DelegatedAdministrator:
    """End a delegation now. Ending one that has ended already changes nothing."""
    delegation = DelegatedAdministrator.objects.select_for_update().filter(id=delegation_id).first()
    if delegation is None or _hidden(viewer, delegation):
        raise NotFound(f"there is no delegation {delegation_id}", field="delegation")
    authority = delegating_authority(viewer, delegation.directory_id)
    if delegation.revoked_at is not None or (delegation.ends_at is not None and delegation.ends_at <= viewer.now):
        return delegation
    delegation.revoked_at = viewer.now
    delegation.save(update_fields=["revoked_at"])
    _record(viewer, "revoke_delegation", delegation, authority.via_account_id)
    return delegation


def _hidden(viewer: Viewer, delegation: DelegatedAdministrator) -> bool:
    known = access_to(viewer, kind=NodeKind.RESOURCE_DIRECTORY, ids=[delegation.directory_id])
    # Who knows the directory by name alone is not told what stands in it.
    return known[delegation.directory_id] != Access.VISIBLE


def _record(viewer: Viewer, action: str, delegation: DelegatedAdministrator, acting_account_id: int | None) -> None:
    scope = (
        NodeRef(NodeKind.RESOURCE_DIRECTORY, delegation.directory_id)
        if delegation.group_id is None
        else NodeRef(NodeKind.ACCOUNT_GROUP, delegation.group_id)
    )
    account = NodeRef(NodeKind.ACCOUNT, delegation.account_id)
    details = {
        "account": account.key,
        "scope": scope.key,
        "ends_at": None if delegation.ends_at is None else delegation.ends_at.isoformat(),
    }
    directory = NodeRef(NodeKind.RESOURCE_DIRECTORY, delegation.directory_id)
    audit.record_many(
        viewer=viewer,
        action=action,
        entries=[(node, details) for node in dict.fromkeys([directory, scope, account])],
        acting_account_id=acting_account_id,
    )
