"""Who buys: enterprises, their directories, groups and accounts, with months, before anything is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of data-centre services. `style` names the way its packages are made (estate.plant)."""

    code: str
    name: str
    timezone: str
    style: str


@dataclass(frozen=True, slots=True)
class Enterprise:
    """A company."""

    external_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A company's organisation at one provider."""

    external_id: str
    name: str
    provider: str
    enterprise: str
    management_account: str | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """Where something stood from a month to a month (exclusive; None: still does). `group` None: at the top."""

    group: str | None
    valid_from: dt.date
    valid_to: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A folder of accounts and its parents over time."""

    directory: str
    external_id: str
    name: str
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True)
class Delegation:
    """An account whose users may see a directory, or the part of it below a group."""

    directory: str
    account: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A cloud account.

    Attributes:
        provider: code of its provider.
        external_id: unique at the provider; the `account` of packages.
        name: for people.
        enterprise: number of the enterprise whose usage law it follows; accounts of one number are ranked by the order
            in which they stand in the organisation.
        directory: external id, or None for a standalone account.
        stays: memberships of the directory, in order.
        internal: of the provider's own teams.
        opened: index of the first month with usage.
        closed: index of the first month without, or None.
    """

    provider: str
    external_id: str
    name: str
    enterprise: int
    directory: str | None = None
    stays: tuple[Stay, ...] = ()
    internal: bool = False
    opened: int = 0
    closed: int | None = None


@dataclass(slots=True)
class Organisation:
    """Everything that the hierarchy is made of."""

    first_month: dt.date
    providers: list[Provider] = field(default_factory=list)
    enterprises: list[Enterprise] = field(default_factory=list)
    directories: list[Directory] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    delegations: list[Delegation] = field(default_factory=list)

    def accounts_of(self, provider: str) -> list[Account]:
        """The accounts of a provider, in order."""
        return [account for account in self.accounts if account.provider == provider]
