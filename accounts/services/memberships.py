"""Accounts in directories: joining, moving, leaving, closing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from accounts import closure
from accounts.models import (
    Account,
    AccountMembership,
    DelegatedAdministrator,
    NodeKind,
    NodeRef,
    NodeStatus,
    ResourceDirectory,
)
from accounts.months import Period, between, check_month
from accounts.policies import Action, Viewer
from accounts.services import audit, quotas
from accounts.services.groups import require_destination
from accounts.services.refusal import Invalid, NotFound, Refusal, require, require_throughout
from accounts.services.timeline import (
    Place,
    Stay,
    changed_months,
    new_version,
    overwrite,
    places_in,
    require_unpublished,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date


class OtherProvider(Refusal):
    """An account can only join a directory of its own provider."""

    code = "OTHER_PROVIDER"


class AccountClosed(Refusal):
    """The account is closed in these months."""

    code = "CLOSED"


class Bound(Refusal):
    """The account manages the directory or is its delegated administrator, and cannot leave it (or close) as long."""

    code = "BOUND_TO_DIRECTORY"


def _accounts(viewer: Viewer, account_ids: Collection[int], months: Period) -> dict[int, Account]:
    """The accounts, locked in order; refuse what the viewer does not administer in all of these months."""
    needed = {account_id: [months] for account_id in account_ids}
    if not needed:
        raise Invalid("name at least one account", field="accounts")
    found = Account.objects.select_for_update().filter(id__in=needed).order_by("id").in_bulk()
    require_throughout(viewer, NodeKind.ACCOUNT, needed, field="accounts")
    missing = sorted(set(needed) - set(found))
    if missing:
        raise NotFound(f"there is no account {missing[0]}", field="accounts")
    return found


def _rows(account_ids: Collection[int]) -> dict[int, list[AccountMembership]]:
    held: dict[int, list[AccountMembership]] = defaultdict(list)
    rows = AccountMembership.objects.filter(account_id__in=account_ids, superseded_by__isnull=True)
    for row in rows.order_by("account_id", "valid_from"):
        held[row.account_id].append(row)
    return held


def _stay(row: AccountMembership) -> Stay:
    return Stay(Period(row.valid_from, row.valid_to), Place(row.directory_id, row.group_id))


def _lock(account_ids: Collection[int], destination: int | None) -> None:
    """Lock every directory concerned; again if somebody moved an account into another one while we waited."""
    locked: set[int] = set()
    while True:
        rows = AccountMembership.objects.filter(account_id__in=account_ids, superseded_by__isnull=True)
        wanted = set(rows.values_list("directory_id", flat=True)) | ({destination} if destination else set())
        if wanted <= locked:
            return
        closure.lock(directory_ids=wanted - locked)
        locked |= wanted


def _write(
    viewer: Viewer, held: Mapping[int, list[AccountMembership]], after: Mapping[int, list[Stay]], *, reason: str
) -> None:
    """Record the stays: end the rows that no longer hold, add new ones, under one version for each directory."""
    versions: dict[int, int] = {}

    def version(directory_id: int) -> int:
        if directory_id not in versions:
            versions[directory_id] = new_version(viewer, directory_id=directory_id, reason=reason).pk
        return versions[directory_id]

    ended: dict[int, list[int]] = defaultdict(list)
    fresh: list[AccountMembership] = []
    for account_id, stays in after.items():
        known = {_stay(row) for row in held.get(account_id, [])}
        for row in held.get(account_id, []):
            if _stay(row) not in stays:
                ended[version(row.directory_id)].append(row.pk)
        fresh += [
            AccountMembership(
                account_id=account_id,
                directory_id=stay.place.directory_id,
                group_id=stay.place.group_id,
                valid_from=stay.months.start,
                valid_to=stay.months.end,
                recorded_by_id=version(stay.place.directory_id),
            )
            for stay in stays
            if stay not in known
        ]
    for version_id, rows in ended.items():
        AccountMembership.objects.filter(pk__in=rows).update(superseded_by=version_id)
    AccountMembership.objects.bulk_create(fresh)


def _directories_left(viewer: Viewer, before: list[Stay], months: Period, destination: int | None) -> set[int]:
    """The directories that an account would not be in any more, now or later."""
    ahead = between(max(months.start, viewer.month), months.bound)
    if ahead is None:
        return set()
    return {
        stay.place.directory_id
        for stay in before
        if stay.place.directory_id != destination and stay.months.intersect(ahead)
    }


def _require_not_bound(viewer: Viewer, leaving: Mapping[int, set[int]]) -> None:
    """Refuse if a management account or an active delegated administrator would leave its directory."""
    accounts = [account_id for account_id, directories in leaving.items() if directories]
    for directory in ResourceDirectory.objects.filter(management_account_id__in=accounts):
        if directory.pk in leaving[directory.management_account_id or 0]:
            raise Bound("the management account cannot leave its directory", field="accounts")
    active = DelegatedAdministrator.objects.filter(
        Q(ends_at__isnull=True) | Q(ends_at__gt=viewer.now), account_id__in=accounts, revoked_at__isnull=True
    )
    for delegation in active:
        if delegation.directory_id in leaving[delegation.account_id]:
            raise Bound("a delegated administrator cannot leave its directory", field="accounts")


def _place(  # noqa: PLR0913 one change of many accounts
    *,
    viewer: Viewer,
    account_ids: Collection[int],
    months: Period,
    place: Place | None,
    frozen_months: Collection[date],
    action: str,
) -> list[Account]:
    """Put the accounts at the place (nowhere if None) in these months; those already there are left alone."""
    _lock(account_ids, None if place is None else place.directory_id)
    accounts = _accounts(viewer, account_ids, months)
    if place is not None:
        require_destination(viewer, directory_id=place.directory_id, parent_id=place.group_id, months=months)
        _require_can_join(accounts.values(), place.directory_id, months)
    held = _rows(account_ids)
    before = {account_id: [_stay(row) for row in held.get(account_id, [])] for account_id in accounts}
    changed = {
        account_id: periods for account_id, stays in before.items() if (periods := changed_months(stays, months, place))
    }
    if not changed:
        return list(accounts.values())
    for periods in changed.values():
        require_unpublished(periods, frozen_months)
    destination = None if place is None else place.directory_id
    _require_not_bound(
        viewer,
        {account_id: _directories_left(viewer, before[account_id], months, destination) for account_id in changed},
    )
    after = {account_id: overwrite(before[account_id], months, place) for account_id in changed}
    _write(viewer, held, after, reason=action.replace("_", " "))
    if place is not None:
        quotas.require_room(directory=ResourceDirectory.objects.get(id=place.directory_id), month=months.start)
    audit.record_many(
        viewer=viewer,
        action=action,
        entries=[
            (
                NodeRef(NodeKind.ACCOUNT, account_id),
                {
                    "from": places_in(before[account_id], months),
                    "to": None if place is None else place.node.key,
                    "months": str(months),
                },
            )
            for account_id in changed
        ],
    )
    return list(accounts.values())


def _require_can_join(accounts: Collection[Account], directory_id: int, months: Period) -> None:
    directory = ResourceDirectory.objects.filter(id=directory_id).first()
    if directory is None:
        raise NotFound(f"there is no resource directory {directory_id}", field="directory")
    for account in accounts:
        if account.provider_id != directory.provider_id:
            raise OtherProvider(f"account {account.external_id} belongs to another provider", field="accounts")
        if account.closed_from is not None and account.closed_from <= months.start:
            raise AccountClosed(f"account {account.external_id} is closed in these months", field="accounts")


@transaction.atomic
def move_accounts(  # noqa: PLR0913 each argument is a field of the form
    *,
    viewer: Viewer,
    account_ids: Collection[int],
    directory_id: int,
    group_id: int | None,
    month: date,
    frozen_months: Collection[date],
    until: date | None = None,
) -> list[Account]:
    """From this month on (to `until`, exclusive) the accounts stand in a group, or directly under a directory.

    Also joins accounts that stood alone, and takes accounts over from another directory of the same provider. The
    viewer must administer each account and the new place in all of these months.
    """
    return _place(
        viewer=viewer,
        account_ids=account_ids,
        months=Period(check_month(month), until),
        place=Place(directory_id, group_id),
        frozen_months=frozen_months,
        action="move_account",
    )


@transaction.atomic
def leave_directory(
    *,
    viewer: Viewer,
    account_ids: Collection[int],
    month: date,
    frozen_months: Collection[date],
    until: date | None = None,
) -> list[Account]:
    """From this month on (to `until`, exclusive) the accounts stand alone."""
    return _place(
        viewer=viewer,
        account_ids=account_ids,
        months=Period(check_month(month), until),
        place=None,
        frozen_months=frozen_months,
        action="leave_directory",
    )


@transaction.atomic
def close_account(*, viewer: Viewer, account_id: int, month: date) -> Account:
    """The account is closed from this month on. It keeps its name, its place and its history: late figures still count.

    A management account or delegated administrator is released from that office first.
    """
    require(viewer, Action.ADMINISTER, NodeRef(NodeKind.ACCOUNT, account_id), field="account")
    check_month(month)
    account = Account.objects.select_for_update().filter(id=account_id).first()
    if account is None:
        raise NotFound(f"there is no account {account_id}", field="account")
    offices = {row.directory_id for row in _rows([account_id]).get(account_id, [])}
    _require_not_bound(viewer, {account_id: offices})
    before = account.closed_from
    account.status, account.closed_from = NodeStatus.CLOSED, month
    account.save(update_fields=["status", "closed_from"])
    audit.record(
        viewer=viewer,
        action="close_account",
        node=NodeRef(NodeKind.ACCOUNT, account_id),
        details={"before": before and str(before), "month": str(month)},
    )
    return account
