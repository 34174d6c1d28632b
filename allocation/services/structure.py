"""Changes of structure: free in months not yet published, refused in published ones, to operators as to everybody.

A published month changes by a restatement only (`allocation.services.restatement`), which writes the new totals
together with the change.

Publishing holds the tree still while it rolls up; a change takes the same lock before it looks which months are
published, so that neither can slip between the other's look and its write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db import connection, transaction

from accounts.models import AccountGroup, NodeKind, NodeRef, ResourceDirectory
from accounts.months import Period
from accounts.services import groups, memberships
from accounts.services.refusal import Invalid, NotFound, require_known
from allocation.models import PublishedMonth

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection

    from accounts.models import Account
    from accounts.policies import Viewer

T = TypeVar("T")


@transaction.atomic
def in_unpublished_months(*, provider_id: int, change: Callable[[Collection[dt.date]], T]) -> T:
    """Call `change` with the months that it must not touch: those that are published."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_treeversion IN ROW EXCLUSIVE MODE")
    return change(frozenset(PublishedMonth.objects.filter(provider_id=provider_id).values_list("month", flat=True)))


def create_group(  # noqa: PLR0913 each argument is a field of the form
    *, viewer: Viewer, directory_id: int, parent_id: int | None, external_id: str, name: str, month: dt.date
) -> AccountGroup:
    """Create a group from a month on; see `accounts.services.groups.create_group`."""
    _require_period(month)
    return in_unpublished_months(
        provider_id=_provider_of(viewer, directory_id),
        change=lambda frozen: groups.create_group(
            viewer=viewer,
            directory_id=directory_id,
            parent_id=parent_id,
            external_id=external_id,
            name=name,
            month=month,
            frozen_months=frozen,
        ),
    )


def move_group(
    *, viewer: Viewer, group_id: int, parent_id: int | None, month: dt.date, until: dt.date | None = None
) -> AccountGroup:
    """Move a group from a month on; see `accounts.services.groups.move_group`."""
    _require_period(month, until)
    return in_unpublished_months(
        provider_id=_provider_of(viewer, _directory_of(viewer, group_id)),
        change=lambda frozen: groups.move_group(
            viewer=viewer, group_id=group_id, parent_id=parent_id, month=month, until=until, frozen_months=frozen
        ),
    )


def close_group(*, viewer: Viewer, group_id: int, month: dt.date) -> AccountGroup:
    """Close a group from a month on; see `accounts.services.groups.close_group`."""
    _require_period(month)
    return in_unpublished_months(
        provider_id=_provider_of(viewer, _directory_of(viewer, group_id)),
        change=lambda frozen: groups.close_group(viewer=viewer, group_id=group_id, month=month, frozen_months=frozen),
    )


def move_accounts(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    account_ids: Collection[int],
    directory_id: int,
    group_id: int | None,
    month: dt.date,
    until: dt.date | None = None,
) -> list[Account]:
    """Move accounts from a month on; see `accounts.services.memberships.move_accounts`."""
    _require_period(month, until)
    return in_unpublished_months(
        provider_id=_provider_of(viewer, directory_id),
        change=lambda frozen: memberships.move_accounts(
            viewer=viewer,
            account_ids=account_ids,
            directory_id=directory_id,
            group_id=group_id,
            month=month,
            until=until,
            frozen_months=frozen,
        ),
    )


def _require_period(month: dt.date, until: dt.date | None = None) -> None:
    try:
        Period(month, until)
    except ValueError as problem:
        raise Invalid(str(problem), field="month") from problem


def _provider_of(viewer: Viewer, directory_id: int) -> int:
    require_known(viewer, NodeRef(NodeKind.RESOURCE_DIRECTORY, directory_id), field="directory")
    found = ResourceDirectory.objects.filter(id=directory_id).values_list("provider_id", flat=True).first()
    if found is None:
        raise NotFound(f"there is no directory {directory_id}", field="directory")
    return found


def _directory_of(viewer: Viewer, group_id: int) -> int:
    require_known(viewer, NodeRef(NodeKind.ACCOUNT_GROUP, group_id), field="group")
    found = AccountGroup.objects.filter(id=group_id).values_list("directory_id", flat=True).first()
    if found is None:
        raise NotFound(f"there is no account group {group_id}", field="group")
    return found
