"""How large a directory may become."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Max, Q

from accounts.models import AccountMembership, DelegatedAdministrator, GroupClosure, GroupEdge, ResourceDirectory
from accounts.services.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime


class QuotaExceeded(Refusal):
    """The directory would become larger than its quota."""

    code = "QUOTA_EXCEEDED"

    def __init__(self, *, quota: str, limit: int, found: int) -> None:
        super().__init__(f"{found} {quota.replace('_', ' ')} would exceed the quota of {limit}", field=quota)
        self.quota = quota
        self.limit = limit
        self.found = found


class Quotas(NamedTuple):
    """Limits of one directory; None is no limit."""

    depth: int | None = None
    groups: int | None = None
    accounts: int | None = None
    delegated_administrators: int | None = None


# The providers' own published numbers; what they do not limit is not limited here.
PRESETS: Mapping[str, Quotas] = {
    "unlimited": Quotas(),
    "alibaba": Quotas(depth=5, groups=100),
    "aws": Quotas(depth=5, groups=1_000),
    "ibm": Quotas(depth=5, groups=500, accounts=1_000),
}


def _in_month(month: date) -> Q:
    return Q(valid_from__lte=month) & (Q(valid_to__isnull=True) | Q(valid_to__gt=month))


def _require(quota: str, limit: int | None, found: int) -> None:
    if limit is not None and found > limit:
        raise QuotaExceeded(quota=quota, limit=limit, found=found)


def require_room(*, directory: ResourceDirectory, month: date) -> None:
    """QuotaExceeded if the tree, as just written, is too deep anywhere or too large in this month."""
    if directory.max_depth is not None:
        deepest = GroupClosure.objects.filter(directory=directory).aggregate(depth=Max("depth"))["depth"]
        _require("depth", directory.max_depth, 0 if deepest is None else deepest + 1)
    if directory.max_groups is not None:
        edges = GroupEdge.objects.filter(_in_month(month), directory=directory, superseded_by__isnull=True)
        _require("groups", directory.max_groups, edges.count())
    if directory.max_accounts is not None:
        members = AccountMembership.objects.filter(_in_month(month), directory=directory, superseded_by__isnull=True)
        _require("accounts", directory.max_accounts, members.count())


def require_room_for_delegation(*, directory: ResourceDirectory, now: datetime) -> None:
    """QuotaExceeded if one more delegated administrator would be too many."""
    if directory.max_delegated_administrators is not None:
        active = DelegatedAdministrator.objects.filter(
            Q(ends_at__isnull=True) | Q(ends_at__gt=now), directory=directory, revoked_at__isnull=True
        )
        _require("delegated_administrators", directory.max_delegated_administrators, active.count() + 1)
