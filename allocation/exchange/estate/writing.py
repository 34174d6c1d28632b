"""Writes an estate: the hierarchy as one file for `import_directory`, and a package for each provider and month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocation.exchange.estate.folder import whole_folder, write_tables, write_toml, write_truth, write_usage
from allocation.exchange.estate.months import hours_of, month_after, month_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from allocation.exchange.estate.estates import Estate, ProviderEstate

METHODOLOGY_VERSION = "1.0.0"


def package_folder(out: Path, provider: str, month: str) -> Path:
    """Where the package of a provider and month (`YYYY-MM`) stands in an estate's folder."""
    return out / "packages" / provider / month


def write_package(estate: Estate, part: ProviderEstate, month: int, out: Path, progress: Callable[[int], None]) -> Path:
    """Write one package, replacing one of the same name.

    Args:
        estate: what it belongs to.
        part: the provider.
        month: index of the month.
        out: folder of the estate.
        progress: gets the number of usage rows after each chunk.

    Returns:
        The package's folder.
    """
    provider = part.provider
    first_day = month_after(estate.first_month, month)
    hours = hours_of(first_day, provider.timezone)
    folder = package_folder(out, provider.code, month_text(first_day))
    with whole_folder(folder) as draft:
        write_toml(
            draft,
            {
                "format_version": 1,
                "provider": provider.code,
                "month": month_text(first_day),
                "timezone": provider.timezone,
                "hours": hours,
            },
            {
                "name": part.plant.preset,
                "version": METHODOLOGY_VERSION,
                "preset": part.plant.preset,
                "gwp_set": "AR6",
            },
        )
        tables = part.plant.tables(month, month_text(first_day), hours)
        tables["accounts"] = [
            {
                "account": account.external_id,
                "name": account.name,
                "internal": "true" if account.internal else "false",
            }
            for account in estate.organisation.accounts_of(provider.code)
        ]
        write_tables(draft, tables)
        truth = write_usage(draft, part.demand, month, progress)
        write_truth(draft, tables, truth, part.demand)
    return folder
