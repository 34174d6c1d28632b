"""Enterprises and directories: setting them up, and how a directory is managed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from accounts import closure
from accounts.models import (
    Account,
    AccountMembership,
    EnterpriseParent,
    NodeKind,
    NodeRef,
    NodeStatus,
    Provider,
    ResourceDirectory,
)
from accounts.months import Period, covers
from accounts.policies import Action, Purpose, Viewer, authority_over
from accounts.services import audit
from accounts.services.refusal import Invalid, NotFound, Refusal, require, require_operator

if TYPE_CHECKING:
    from datetime import date

    from accounts.policies import Authority
    from accounts.services.quotas import Quotas


class Exists(Refusal):
    """Another enterprise or directory has this external id."""

    code = "EXISTS"


class NotAMember(Refusal):
    """The account does not belong to the directory this month."""

    code = "NOT_A_MEMBER"


def locked_directory(directory_id: int) -> ResourceDirectory:
    """The directory, its advisory lock and its row taken; NotFound if there is none."""
    closure.lock(directory_ids=[directory_id])
    directory = ResourceDirectory.objects.select_for_update().filter(id=directory_id).first()
    if directory is None:
        raise NotFound(f"there is no resource directory {directory_id}", field="directory")
    return directory


def delegating_authority(viewer: Viewer, directory_id: int) -> Authority:
    """By what right the viewer decides about delegation: administrator of the management account, or from above.

    An administrator of a group that contains the management account is none of the directory: refused.
    """
    node = NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id)
    require(viewer, Action.DELEGATE, node, field="directory")
    authority = authority_over(viewer, node, purpose=Purpose.DELEGATE)
    if authority is None:
        raise NotFound(f"there is no resource directory {directory_id}", field="directory")
    return authority


def require_member(viewer: Viewer, account: Account, directory_id: int, *, until: date | None = None) -> None:
    """NotAMember unless the account belongs to the directory from the current month until another, or for good.

    An office is not given to an account whose leave is already recorded: it would take the office with it.
    """
    stays = AccountMembership.objects.filter(account=account, directory_id=directory_id, superseded_by__isnull=True)
    if not covers((Period(stay.valid_from, stay.valid_to) for stay in stays), Period(viewer.month, until)):
        raise NotAMember("the account is not a member of this directory for all of that time", field="account")


@transaction.atomic
def create_enterprise(*, viewer: Viewer, external_id: str, name: str) -> EnterpriseParent:
    """Record a company. Operators only."""
    require_operator(viewer)
    if EnterpriseParent.objects.filter(external_id=external_id).exists():
        raise Exists(f"enterprise {external_id!r} exists", field="externalId")
    enterprise = EnterpriseParent.objects.create(external_id=external_id, name=name)
    node = NodeRef(NodeKind.ENTERPRISE_PARENT, enterprise.pk)
    audit.record(viewer=viewer, action="create_enterprise", node=node, details={"name": name})
    return enterprise


@transaction.atomic
def create_directory(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    provider: Provider,
    enterprise: EnterpriseParent,
    external_id: str,
    name: str,
    quotas: Quotas,
) -> ResourceDirectory:
    """Record an organisation at a provider. Operators only."""
    require_operator(viewer)
    if ResourceDirectory.objects.filter(provider=provider, external_id=external_id).exists():
        raise Exists(f"directory {external_id!r} exists at this provider", field="externalId")
    directory = ResourceDirectory.objects.create(
        provider=provider,
        enterprise=enterprise,
        external_id=external_id,
        name=name,
        max_depth=quotas.depth,
        max_groups=quotas.groups,
        max_accounts=quotas.accounts,
        max_delegated_administrators=quotas.delegated_administrators,
    )
    node = NodeRef(NodeKind.RESOURCE_DIRECTORY, directory.pk)
    audit.record(viewer=viewer, action="create_directory", node=node, details={"name": name})
    return directory


@transaction.atomic
def set_multi_account_management(*, viewer: Viewer, directory_id: int, enabled: bool) -> ResourceDirectory:
    """Switch multi-account management: it counts at once and for all months. Switching back restores what was there."""
    authority = delegating_authority(viewer, directory_id)
    directory = locked_directory(directory_id)
    if directory.multi_account_management == enabled:
        return directory
    directory.multi_account_management = enabled
    directory.save(update_fields=["multi_account_management"])
    audit.record(
        viewer=viewer,
        action="set_multi_account_management",
        node=NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id),
        details={"enabled": enabled},
        acting_account_id=authority.via_account_id,
    )
    return directory


@transaction.atomic
def set_management_account(*, viewer: Viewer, directory_id: int, account_id: int | None) -> ResourceDirectory:
    """Make an account of the directory its management account, or none. For administrators from above and operators.

    The current management account cannot hand its office on: its administrators see the directory because of it.
    """
    node = NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id)
    require(viewer, Action.ADMINISTER, node, field="directory")
    directory = locked_directory(directory_id)
    if account_id is not None:
        require(viewer, Action.ADMINISTER, NodeRef(NodeKind.ACCOUNT, account_id), field="account")
        account = Account.objects.select_for_update().filter(id=account_id).first()
        if account is None:
            raise NotFound(f"there is no account {account_id}", field="account")
        require_member(viewer, account, directory_id)
        if account.status == NodeStatus.CLOSED:
            raise Invalid("the account is closed", field="account")
        if account.delegations.filter(
            Q(ends_at__isnull=True) | Q(ends_at__gt=viewer.now), directory=directory, revoked_at__isnull=True
        ).exists():
            raise Invalid("the account is a delegated administrator of the directory", field="account")
    before = directory.management_account_id
    if before == account_id:
        return directory
    directory.management_account_id = account_id
    directory.save(update_fields=["management_account"])
    audit.record(
        viewer=viewer,
        action="set_management_account",
        node=node,
        details={
            "from": None if before is None else NodeRef(NodeKind.ACCOUNT, before).key,
            "to": None if account_id is None else NodeRef(NodeKind.ACCOUNT, account_id).key,
        },
    )
    return directory


@transaction.atomic
def set_quotas(*, viewer: Viewer, directory_id: int, quotas: Quotas) -> ResourceDirectory:
    """Set the limits of a directory. Operators only. What is already larger stays, and cannot grow."""
    require_operator(viewer)
    directory = locked_directory(directory_id)
    directory.max_depth, directory.max_groups = quotas.depth, quotas.groups
    directory.max_accounts, directory.max_delegated_administrators = quotas.accounts, quotas.delegated_administrators
    directory.save(update_fields=["max_depth", "max_groups", "max_accounts", "max_delegated_administrators"])
    node = NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id)
    audit.record(viewer=viewer, action="set_quotas", node=node, details=dict(quotas._asdict()))
    return directory
