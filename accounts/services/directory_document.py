"""The document that `import_directory` reads: its form, checked whole before anything is written.

docs/hierarchy.md describes it for its authors. Every fault is reported, with the place in the document, the field and a
stable code; nothing here touches the database.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from accounts.models.account import AccountKind
from accounts.months import END, parse_month
from accounts.services.quotas import PRESETS, Quotas

FORMAT_VERSION = 1
_MAX_ID = 128
_MAX_NAME = 200
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")


class Fault(NamedTuple):
    """One thing wrong: where (`directories[0].groups[3]`), in which field, with a stable code and a sentence."""

    where: str
    field: str
    code: str
    message: str


class Stay(NamedTuple):
    """From `start` to `end` (exclusive, None = open) at a place: a group's external id, or None for the directory."""

    start: date
    end: date | None
    directory: str
    group: str | None

    @property
    def bound(self) -> date:
        """The end as a date that compares."""
        return END if self.end is None else self.end


@dataclass(slots=True)
class Group:
    """A group with its parents over time."""

    external_id: str
    name: str
    closed_from: date | None
    stays: list[Stay]


@dataclass(slots=True)
class Delegation:
    """A delegated administrator, for the directory or for a group of it."""

    account: str
    group: str | None
    ends_at: datetime | None


@dataclass(slots=True)
class Directory:
    """A directory with its groups. None for the switch or the quotas: leave them as they are."""

    provider: str
    external_id: str
    name: str
    enterprise: str
    management_account: str | None
    multi_account_management: bool | None
    quotas: Quotas | None
    groups: list[Group]
    delegations: list[Delegation]


@dataclass(slots=True)
class Account:
    """An account with its places over time. None for the stays: leave them as they are."""

    provider: str
    external_id: str
    name: str
    kind: str
    closed_from: date | None
    stays: list[Stay] | None
    resource_groups: list[tuple[str, str]]


@dataclass(slots=True)
class Document:
    """Everything that a file says."""

    providers: list[tuple[str, str, str]] = field(default_factory=list)
    enterprises: list[tuple[str, str]] = field(default_factory=list)
    directories: list[Directory] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)


class _Reader:
    """Reads fields of JSON objects and collects what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, where: str, name: str, code: str, message: str) -> None:
        self.faults.append(Fault(where, name, code, message))

    def objects(
        self, of: dict[str, Any], where: str, name: str, allowed: frozenset[str]
    ) -> list[tuple[str, dict[str, Any]]]:
        """The objects of a list, each with its place; unknown fields are faults: a misspelt one would be lost."""
        value = of.get(name)
        if value is None:
            return []
        place = f"{where}.{name}" if where else name
        if not isinstance(value, list):
            self.fault(where, name, "WRONG_TYPE", "must be a list")
            return []
        result = []
        for number, item in enumerate(value):
            here = f"{place}[{number}]"
            if not isinstance(item, dict):
                self.fault(here, "", "WRONG_TYPE", "must be an object")
                continue
            if not item.keys() <= allowed:
                for unknown in sorted(item.keys() - allowed):
                    self.fault(here, unknown, "UNKNOWN_FIELD", "is not a field of this object")
            result.append((here, item))
        return result

    def text(self, of: dict[str, Any], where: str, name: str, *, longest: int = _MAX_ID) -> str:
        """A text that must be there; "" after a fault."""
        value = of.get(name)
        if value is None:
            self.fault(where, name, "MISSING", "is missing")
            return ""
        return self._checked(value, where, name, longest)

    def optional(self, of: dict[str, Any], where: str, name: str, *, longest: int = _MAX_ID) -> str | None:
        """A text, or None if it is missing or null."""
        value = of.get(name)
        return None if value is None else self._checked(value, where, name, longest) or None

    def _checked(self, value: object, where: str, name: str, longest: int) -> str:
        if not isinstance(value, str):
            self.fault(where, name, "WRONG_TYPE", "must be a text")
            return ""
        if not value.strip() or "\x00" in value:
            self.fault(where, name, "EMPTY", "must not be empty")
            return ""
        if len(value) > longest:
            self.fault(where, name, "TOO_LONG", f"has more than {longest} characters")
            return ""
        return value

    def name(self, of: dict[str, Any], where: str) -> str:
        """An optional name; accounts and resource groups may have none."""
        return "" if of.get("name") in {None, ""} else self.text(of, where, "name", longest=_MAX_NAME)

    def month(self, of: dict[str, Any], where: str, name: str, *, needed: bool) -> date | None:
        """A month `YYYY-MM`; None if it is missing or null."""
        value = of.get(name)
        if value is None:
            if needed:
                self.fault(where, name, "MISSING", "is missing")
            return None
        try:
            return parse_month(value if isinstance(value, str) else "")
        except ValueError:
            self.fault(where, name, "NOT_A_MONTH", "must be a month, YYYY-MM")
            return None

    def choice(self, of: dict[str, Any], where: str, name: str, values: frozenset[str], otherwise: str) -> str:
        """One of some words; `otherwise` if it is missing, as the format defines."""
        value = of.get(name, otherwise)
        if value not in values:
            self.fault(where, name, "WRONG_CHOICE", f"must be one of {', '.join(sorted(values))}")
            return otherwise
        return str(value)

    def stays(self, of: dict[str, Any], where: str, name: str, place: str, directory: str | None) -> list[Stay]:
        """Dated places of one node; faults for empty and overlapping ones."""
        result: list[Stay] = []
        for here, item in self.objects(of, where, name, _EDGE if directory is not None else _MEMBERSHIP):
            start = self.month(item, here, "from", needed=True)
            end = self.month(item, here, "to", needed=False)
            inside = self.text(item, here, "directory") if directory is None else directory
            group = self.optional(item, here, place)
            if start is None or (end is None and item.get("to") is not None):
                continue
            if end is not None and end <= start:
                self.fault(here, "to", "EMPTY_PERIOD", "must be later than `from`: periods are half-open")
                continue
            stay = Stay(start, end, inside, group)
            if any(other.start < stay.bound and start < other.bound for other in result):
                self.fault(here, "from", "OVERLAP", "overlaps another period of the same node")
                continue
            result.append(stay)
        return result


_EDGE = frozenset({"parent", "from", "to"})
_MEMBERSHIP = frozenset({"directory", "group", "from", "to"})
_KINDS = frozenset(AccountKind.values)
_CUSTOMER = AccountKind.CUSTOMER.value
_PROVIDER = frozenset({"code", "name", "time_zone"})
_ENTERPRISE = frozenset({"external_id", "name"})
_DIRECTORY = frozenset(
    {
        "provider",
        "external_id",
        "name",
        "enterprise",
        "management_account",
        "multi_account_management",
        "quotas",
        "groups",
        "delegated_administrators",
    }
)
_GROUP = frozenset({"external_id", "name", "closed_from", "parents"})
_DELEGATION = frozenset({"account", "group", "ends_at"})
_ACCOUNT = frozenset({"provider", "external_id", "name", "kind", "closed_from", "memberships", "resource_groups"})
_RESOURCE_GROUP = frozenset({"code", "name"})
_TOP = frozenset({"format_version", "providers", "enterprises", "directories", "accounts"})


def read_document(text: str | bytes) -> tuple[Document, list[Fault]]:
    """Read a document. If there are faults the document is incomplete and must not be used."""
    reader = _Reader()
    document = Document()
    top = _top(reader, text)
    if top is not None:
        _read_lists(reader, top, document)
    if not reader.faults:
        _check_identities(reader, document)
    if not reader.faults:
        _check_tree(reader, document)
    return document, reader.faults


def _top(reader: _Reader, text: str | bytes) -> dict[str, Any] | None:
    """The outermost object, or None after a fault."""
    try:
        top = json.loads(text)
    except (ValueError, RecursionError) as error:
        reader.fault("", "", "NOT_JSON", f"cannot be read as JSON: {error}")
        return None
    if not isinstance(top, dict):
        reader.fault("", "", "WRONG_TYPE", "must be an object")
        return None
    if type(top.get("format_version")) is not int or top["format_version"] != FORMAT_VERSION:
        reader.fault("", "format_version", "FORMAT_VERSION", f"must be {FORMAT_VERSION}")
    for unknown in sorted(top.keys() - _TOP):
        reader.fault("", unknown, "UNKNOWN_FIELD", "is not a field of this object")
    return top


def _read_lists(reader: _Reader, top: dict[str, Any], document: Document) -> None:
    for where, item in reader.objects(top, "", "providers", _PROVIDER):
        document.providers.append(_provider(reader, item, where))
    for where, item in reader.objects(top, "", "enterprises", _ENTERPRISE):
        name = reader.text(item, where, "name", longest=_MAX_NAME)
        document.enterprises.append((reader.text(item, where, "external_id"), name))
    for where, item in reader.objects(top, "", "directories", _DIRECTORY):
        document.directories.append(_directory(reader, item, where))
    for where, item in reader.objects(top, "", "accounts", _ACCOUNT):
        document.accounts.append(_account(reader, item, where))


def _provider(reader: _Reader, item: dict[str, Any], where: str) -> tuple[str, str, str]:
    zone = reader.text(item, where, "time_zone", longest=64)
    if zone:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, KeyError):
            reader.fault(where, "time_zone", "UNKNOWN_TIME_ZONE", "must be an IANA time zone")
    code = reader.text(item, where, "code", longest=64)
    if code and _CODE.match(code) is None:
        reader.fault(where, "code", "WRONG_CHOICE", "must be lower-case letters, digits, - and _")
    return code, reader.name(item, where), zone


def _directory(reader: _Reader, item: dict[str, Any], where: str) -> Directory:
    external_id = reader.text(item, where, "external_id")
    switch = item.get("multi_account_management")
    if switch is not None and not isinstance(switch, bool):
        reader.fault(where, "multi_account_management", "WRONG_TYPE", "must be true or false")
        switch = None
    groups = [
        Group(
            external_id=reader.text(each, here, "external_id"),
            name=reader.text(each, here, "name", longest=_MAX_NAME),
            closed_from=reader.month(each, here, "closed_from", needed=False),
            stays=reader.stays(each, here, "parents", "parent", external_id),
        )
        for here, each in reader.objects(item, where, "groups", _GROUP)
    ]
    delegations = [
        Delegation(
            account=reader.text(each, here, "account"),
            group=reader.optional(each, here, "group"),
            ends_at=_instant(reader, each, here, "ends_at"),
        )
        for here, each in reader.objects(item, where, "delegated_administrators", _DELEGATION)
    ]
    return Directory(
        provider=reader.text(item, where, "provider", longest=64),
        external_id=external_id,
        name=reader.text(item, where, "name", longest=_MAX_NAME),
        enterprise=reader.text(item, where, "enterprise"),
        management_account=reader.optional(item, where, "management_account"),
        multi_account_management=switch,
        quotas=_quotas(reader, item, where),
        groups=groups,
        delegations=delegations,
    )


def _quotas(reader: _Reader, item: dict[str, Any], where: str) -> Quotas | None:
    """A preset's name, or an object of limits."""
    value = item.get("quotas")
    if value is None:
        return None
    if isinstance(value, str) and value in PRESETS:
        return PRESETS[value]
    if isinstance(value, dict) and not value.keys() - set(Quotas._fields) and all(map(_is_limit, value.values())):
        return Quotas(**value)
    reader.fault(where, "quotas", "WRONG_CHOICE", f"must be one of {', '.join(PRESETS)} or limits by {Quotas._fields}")
    return None


def _is_limit(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**31)


def _instant(reader: _Reader, item: dict[str, Any], where: str, name: str) -> datetime | None:
    value = item.get(name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        instant = None
    if instant is None or instant.tzinfo is None:
        reader.fault(where, name, "NOT_AN_INSTANT", "must be an ISO 8601 date and time with its offset")
        return None
    return instant


def _account(reader: _Reader, item: dict[str, Any], where: str) -> Account:
    parts = [
        (reader.text(each, here, "code"), reader.name(each, here))
        for here, each in reader.objects(item, where, "resource_groups", _RESOURCE_GROUP)
    ]
    return Account(
        provider=reader.text(item, where, "provider", longest=64),
        external_id=reader.text(item, where, "external_id"),
        name=reader.name(item, where),
        kind=reader.choice(item, where, "kind", _KINDS, _CUSTOMER),
        closed_from=reader.month(item, where, "closed_from", needed=False),
        stays=None if item.get("memberships") is None else reader.stays(item, where, "memberships", "group", None),
        resource_groups=parts,
    )


def _check_identities(reader: _Reader, document: Document) -> None:
    """Nothing is said twice, and everything named is in the document."""
    _unique(reader, "providers", "code", [code for code, _, _ in document.providers])
    _unique(reader, "enterprises", "external_id", [external_id for external_id, _ in document.enterprises])
    _unique(reader, "directories", "external_id", [(each.provider, each.external_id) for each in document.directories])
    _unique(reader, "accounts", "external_id", [(each.provider, each.external_id) for each in document.accounts])
    accounts = {(each.provider, each.external_id): each for each in document.accounts}
    for number, directory in enumerate(document.directories):
        where = f"directories[{number}]"
        _unique(reader, f"{where}.groups", "external_id", [group.external_id for group in directory.groups])
        known = {group.external_id for group in directory.groups}
        manager = directory.management_account
        if manager is not None:
            _check_member(reader, accounts.get((directory.provider, manager)), directory, where, "management_account")
        _unique(
            reader, f"{where}.delegated_administrators", "account", [each.account for each in directory.delegations]
        )
        for place, delegation in enumerate(directory.delegations):
            here = f"{where}.delegated_administrators[{place}]"
            _check_member(reader, accounts.get((directory.provider, delegation.account)), directory, here, "account")
            if delegation.account == manager:
                reader.fault(here, "account", "UNSUITABLE_ACCOUNT", "is the management account")
            if delegation.group is not None and delegation.group not in known:
                reader.fault(here, "group", "UNKNOWN_GROUP", "is not a group of this directory")
    directories = {(each.provider, each.external_id) for each in document.directories}
    for number, account in enumerate(document.accounts):
        _unique(reader, f"accounts[{number}].resource_groups", "code", [code for code, _ in account.resource_groups])
        for place, stay in enumerate(account.stays or []):
            if (account.provider, stay.directory) not in directories:
                here = f"accounts[{number}].memberships[{place}]"
                reader.fault(here, "directory", "UNKNOWN_DIRECTORY", "is not a directory of this provider in this file")


def _check_member(reader: _Reader, account: Account | None, directory: Directory, where: str, name: str) -> None:
    if account is None:
        reader.fault(where, name, "UNKNOWN_ACCOUNT", "is not an account of this provider in this file")
    elif not any(stay.directory == directory.external_id for stay in account.stays or []):
        reader.fault(where, name, "NOT_A_MEMBER", "is never a member of this directory")


def _unique(reader: _Reader, where: str, name: str, values: list[Any]) -> None:
    seen: set[Any] = set()
    for number, value in enumerate(values):
        if value in seen:
            reader.fault(f"{where}[{number}]", name, "DUPLICATE", "stands in this file twice")
        seen.add(value)


def _check_tree(reader: _Reader, document: Document) -> None:
    """Parents exist, and exist in all of the months; no group stands below itself in any month."""
    lifetimes: dict[tuple[str, str], dict[str, list[tuple[date, date]]]] = {}
    for number, directory in enumerate(document.directories):
        alive = {group.external_id: _merged(group.stays) for group in directory.groups}
        lifetimes[directory.provider, directory.external_id] = alive
        for index, group in enumerate(directory.groups):
            for place, stay in enumerate(group.stays):
                _check_alive(reader, alive, stay, f"directories[{number}].groups[{index}].parents[{place}]", "parent")
        _check_cycles(reader, directory, f"directories[{number}]")
    for number, account in enumerate(document.accounts):
        for place, stay in enumerate(account.stays or []):
            alive = lifetimes[account.provider, stay.directory]
            _check_alive(reader, alive, stay, f"accounts[{number}].memberships[{place}]", "group")


def _merged(stays: list[Stay]) -> list[tuple[date, date]]:
    merged: list[tuple[date, date]] = []
    for stay in sorted(stays):
        if merged and merged[-1][1] >= stay.start:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stay.bound))
        else:
            merged.append((stay.start, stay.bound))
    return merged


def _check_alive(reader: _Reader, alive: dict[str, list[tuple[date, date]]], stay: Stay, where: str, name: str) -> None:
    if stay.group is None:
        return
    if stay.group not in alive:
        reader.fault(where, name, "UNKNOWN_GROUP", "is not a group of this directory")
    elif not any(start <= stay.start and stay.bound <= bound for start, bound in alive[stay.group]):
        reader.fault(where, name, "OUTSIDE_LIFETIME", "does not exist in all of these months")


def _check_cycles(reader: _Reader, directory: Directory, where: str) -> None:
    """Walk the tree of every month in which some edge begins."""
    numbers = {group.external_id: number for number, group in enumerate(directory.groups)}
    reported: set[str] = set()
    by_start: dict[date, None] = dict.fromkeys(
        sorted({stay.start for group in directory.groups for stay in group.stays})
    )
    for month in by_start:
        parents = {
            group.external_id: stay.group
            for group in directory.groups
            for stay in group.stays
            if stay.start <= month < stay.bound
        }
        for node in _on_cycles(parents) - reported:
            reported.add(node)
            message = f"would stand below itself in {month:%Y-%m}"
            reader.fault(f"{where}.groups[{numbers[node]}]", "parents", "CYCLE", message)


def _on_cycles(parents: dict[str, str | None]) -> set[str]:
    """Nodes from which the way up does not end, each visited once."""
    state: dict[str, int] = defaultdict(int)
    endless: set[str] = set()
    for start in parents:
        way: list[str] = []
        node: str | None = start
        while node is not None and state[node] == 0:
            state[node] = 1
            way.append(node)
            node = parents.get(node)
        if node is not None and state[node] == 1:
            endless.update(way[way.index(node) :])
        for passed in way:
            state[passed] = 2
    return endless
