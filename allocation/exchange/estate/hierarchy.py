"""The hierarchy of an estate as the document that `manage.py import_directory` reads (docs/hierarchy.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from allocation.exchange.estate.months import month_after, month_text

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from allocation.exchange.estate.organisation import Account, Directory, Group, Organisation, Stay

FILE = "hierarchy.json"


def write_hierarchy(organisation: Organisation, out: Path) -> Path:
    """Write the whole hierarchy.

    Args:
        organisation: what to write.
        out: the folder of the estate.

    Returns:
        The file.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE
    path.write_text(json.dumps(hierarchy_document(organisation), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def hierarchy_document(organisation: Organisation) -> dict[str, Any]:
    """The document: providers, enterprises with their directories, and accounts in no directory."""
    return {
        "format_version": 1,
        "providers": [
            {"code": provider.code, "name": provider.name, "time_zone": provider.timezone}
            for provider in organisation.providers
        ],
        "enterprises": [
            {"external_id": enterprise.external_id, "name": enterprise.name} for enterprise in organisation.enterprises
        ],
        "directories": [_directory(directory, organisation) for directory in organisation.directories],
        "accounts": [_account(account, organisation) for account in organisation.accounts],
    }


def _directory(directory: Directory, organisation: Organisation) -> dict[str, Any]:
    return {
        "provider": directory.provider,
        "external_id": directory.external_id,
        "name": directory.name,
        "enterprise": directory.enterprise,
        "management_account": directory.management_account,
        "groups": [_group(group) for group in organisation.groups if group.directory == directory.external_id],
        "delegated_administrators": [
            {"account": each.account, "group": each.group}
            for each in organisation.delegations
            if each.directory == directory.external_id
        ],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "external_id": group.external_id,
        "name": group.name,
        "parents": [{"parent": stay.group, **_months(stay)} for stay in group.stays],
    }


def _account(account: Account, organisation: Organisation) -> dict[str, Any]:
    return {
        "provider": account.provider,
        "external_id": account.external_id,
        "name": account.name,
        "kind": "internal" if account.internal else "customer",
        "closed_from": _month(organisation.first_month, account.closed),
        "memberships": [
            {"directory": account.directory, "group": stay.group, **_months(stay)} for stay in account.stays
        ],
    }


def _months(stay: Stay) -> dict[str, str | None]:
    return {
        "from": month_text(stay.valid_from),
        "to": None if stay.valid_to is None else month_text(stay.valid_to),
    }


def _month(first: dt.date, index: int | None) -> str | None:
    return None if index is None else month_text(month_after(first, index))
