"""Small trees for tests. Plain functions; structure is written as services write it, under one tree version."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from accounts import closure
from accounts.models import (
    Account,
    AccountGroup,
    AccountMembership,
    DelegatedAdministrator,
    EnterpriseParent,
    GroupEdge,
    Provider,
    ResourceDirectory,
    ResourceGroup,
    TreeVersion,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
_numbers = count(1)


def month(text: str) -> date:
    """`YYYY-MM` as a date."""
    year, number = text.split("-")
    return date(int(year), int(number), 1)


def provider(code: str = "cloud") -> Provider:
    """The provider with this code."""
    return Provider.objects.get_or_create(code=code, defaults={"time_zone": "UTC"})[0]


def enterprise(name: str = "Acme") -> EnterpriseParent:
    """A company."""
    return EnterpriseParent.objects.get_or_create(external_id=name.lower(), defaults={"name": name})[0]


def directory(
    name: str = "root",
    *,
    of: EnterpriseParent | None = None,
    **fields: Any,  # noqa: ANN401 columns of the model
) -> ResourceDirectory:
    """A directory of the company, at the provider `cloud` unless told otherwise."""
    fields.setdefault("provider", provider())
    fields.setdefault("external_id", f"r-{next(_numbers)}")
    return ResourceDirectory.objects.create(name=name, enterprise=of or enterprise(), **fields)


def version(of: ResourceDirectory | None = None) -> TreeVersion:
    """A recorded change."""
    return TreeVersion.objects.create(directory=of, recorded_at=NOW, reason="test")


def edge(of: AccountGroup, parent: AccountGroup | None, start: str = "2025-01", end: str | None = None) -> GroupEdge:
    """The group stands under the parent in these months. Does not touch the closure."""
    return GroupEdge.objects.create(
        directory_id=of.directory_id,
        group=of,
        parent=parent,
        valid_from=month(start),
        valid_to=None if end is None else month(end),
        recorded_by=version(of.directory),
    )


def bare_group(name: str, inside: ResourceDirectory) -> AccountGroup:
    """A group without any edge."""
    return AccountGroup.objects.create(directory=inside, external_id=f"ou-{next(_numbers)}", name=name)


def group(
    name: str,
    inside: ResourceDirectory,
    stays: Iterable[tuple[AccountGroup | None, str, str | None]] = ((None, "2025-01", None),),
) -> AccountGroup:
    """A group that stood under these parents in these months, the closure brought up to date."""
    made = bare_group(name, inside)
    for parent, start, end in stays:
        edge(made, parent, start, end)
    closure.refresh(directory_id=inside.pk, group_ids=[made.pk])
    return made


def account(
    name: str,
    stays: Iterable[tuple[ResourceDirectory | AccountGroup, str, str | None]] = (),
    **fields: Any,  # noqa: ANN401 columns of the model
) -> Account:
    """An account that stood in these groups or directly under these directories in these months."""
    stays = list(stays)
    where = [place.directory if isinstance(place, AccountGroup) else place for place, _, _ in stays]
    fields.setdefault("provider", where[0].provider if where else provider())
    made = Account.objects.create(
        external_id=fields.pop("external_id", f"{name}-{next(_numbers)}"), name=name, **fields
    )
    AccountMembership.objects.bulk_create(
        AccountMembership(
            account=made,
            directory=root,
            group=place if isinstance(place, AccountGroup) else None,
            valid_from=month(start),
            valid_to=None if end is None else month(end),
            recorded_by=version(root),
        )
        for root, (place, start, end) in zip(where, stays, strict=True)
    )
    return made


def resource_group(of: Account, code: str = "default") -> ResourceGroup:
    """A resource group of the account."""
    return ResourceGroup.objects.create(account=of, code=code, name=code)


def delegation(
    to: Account,
    inside: ResourceDirectory,
    group: AccountGroup | None = None,
    **fields: Any,  # noqa: ANN401 columns of the model
) -> DelegatedAdministrator:
    """The account is a delegated administrator since the beginning of 2026."""
    fields.setdefault("registered_at", datetime(2026, 1, 1, tzinfo=UTC))
    return DelegatedAdministrator.objects.create(account=to, directory=inside, group=group, **fields)
