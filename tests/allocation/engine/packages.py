"""Package folders as the engine's input, and ledgers as the text of an export: just enough for tests of the engine."""

from __future__ import annotations

import calendar
import csv
import datetime as dt
import io
import tomllib
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from allocation.engine.frames import (
    ENERGY_LINE,
    QUALITIES,
    TABLES,
    Activity,
    Column,
    Header,
    Kind,
    Usage,
)
from allocation.engine.options import effective_options
from allocation.engine.plan import Plan, prepare
from allocation.engine.settle import settle
from allocation.engine.usage import combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from allocation.engine.frames import Finding, Ledger

type_of_cell = {
    Kind.CODE: str,
    Kind.TEXT: str,
    Kind.CHOICE: str,
    Kind.DECIMAL: Decimal,
    Kind.WHOLE: lambda text: int(Decimal(text)),
    Kind.BOOLEAN: lambda text: text == "true",
    Kind.MONTH: lambda text: dt.date(int(text[:4]), int(text[5:]), 1),
}

LEDGER_HEADER = (
    "provider,month,methodology_version,cluster,service,account,resource_group,line,ug,quality,estimated_share"
)


def cell(column: Column, text: str | None) -> object:
    """Return the value of a cell; the default, or `None`, where it is empty."""
    return type_of_cell[column.kind](text) if text else column.default


def frame(name: str, rows: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """Return a small table in the form that the engine expects."""
    rows = list(rows)
    data = {
        column.name: pd.Series([cell(column, row.get(column.name)) for row in rows], dtype=object)
        for column in TABLES[name].columns
    }
    return pd.DataFrame(data | {"row": pd.Series(range(2, len(rows) + 2), dtype="int64")})


def month_hours(month: dt.date, timezone: str) -> int:
    """Return the exact length of a month in a zone."""
    zone = ZoneInfo(timezone)
    days = calendar.monthrange(month.year, month.month)[1]
    start = dt.datetime(month.year, month.month, 1, tzinfo=zone)
    end = dt.datetime.combine(month + dt.timedelta(days=days), dt.time(), tzinfo=zone)
    return int((end.astimezone(dt.UTC) - start.astimezone(dt.UTC)).total_seconds() // 3600)


def header(manifest: Mapping[str, object]) -> Header:
    """Return the header of a package from the content of its package.toml."""
    methodology = manifest["methodology"]
    month = dt.date.fromisoformat(f"{manifest['month']}-01")
    return Header(
        provider=str(manifest["provider"]),
        month=month,
        timezone=str(manifest["timezone"]),
        hours=month_hours(month, str(manifest["timezone"])),
        methodology=methodology["name"],
        methodology_version=methodology["version"],
        preset=methodology["preset"],
        gwp_set=methodology["gwp_set"],
        options=effective_options(methodology["preset"], methodology.get("options", {})),
    )


def read_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


class Package:
    """A package in memory: the content of package.toml and rows of text by table."""

    def __init__(self, manifest: Mapping[str, object], tables: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
        self.manifest = manifest
        self.tables = tables

    @classmethod
    def read(cls, folder: Path) -> Package:
        """Read a folder."""
        manifest = tomllib.loads((folder / "package.toml").read_text("utf-8"))
        files = {name: folder / table.file for name, table in TABLES.items()}
        tables = {name: read_rows(path.read_bytes().decode()) for name, path in files.items() if path.exists()}
        return cls(manifest, tables)

    @cached_property
    def activity(self) -> Activity:
        """The package without its usage."""
        return Activity(
            header(self.manifest), {name: frame(name, self.tables.get(name, ())) for name in TABLES if name != "usage"}
        )

    def usage(self, cluster: str, plan: Plan) -> Usage:
        """Return the usage of a cluster, its part of the region's included."""
        rows = self.tables["usage"]
        own = code_usage([row for row in rows if row["cluster"] == cluster])
        for region, clusters in plan.regions.items():
            # A code is looked up among the clusters first.
            if cluster in clusters and region not in plan.clusters:
                regional = code_usage([row for row in rows if row["cluster"] == region])
                return combine(own, regional, len(clusters))
        return own


def code_usage(rows: Sequence[Mapping[str, str]]) -> Usage:
    """Return rows of usage.csv as integer-coded arrays."""
    quantities = [Decimal(row["quantity"]) for row in rows]
    decimals = max((-int(quantity.as_tuple().exponent) for quantity in quantities), default=0)
    whole = [int(quantity.scaleb(decimals)) for quantity in quantities]
    keys = [(row["service"], row["account"], row.get("resource_group") or "default") for row in rows]
    codes = [tuple(dict.fromkeys(key[part] for key in keys)) for part in range(3)]
    index = [np.array([codes[part].index(key[part]) for key in keys], dtype=np.int32) for part in range(3)]
    fits = all(abs(value) < 2**63 for value in whole)
    quantity = np.array(whole, dtype=np.int64 if fits else object)
    return Usage(*codes, *index, quantity, max(decimals, 0))


def settle_all(package: Package, earlier: Sequence[Package] = ()) -> tuple[list[Ledger], list[Finding]]:
    """Return the ledgers of all clusters and all findings; `earlier` packages latest month first."""
    plan = prepare(package.activity)
    plans = [prepare(past.activity) for past in earlier]
    ledgers = []
    for cluster in plan.clusters:
        history = [
            past.usage(cluster, its) for past, its in zip(earlier, plans, strict=True) if cluster in its.clusters
        ]
        ledgers.append(settle(plan, cluster, package.usage(cluster, plan), history))
    return ledgers, [*plan.findings, *(finding for ledger in ledgers for finding in ledger.findings)]


def export(package: Package, ledgers: Iterable[Ledger]) -> str:
    """Return the ledger export (section 6)."""
    its = package.activity.header
    out = io.StringIO()
    out.write(LEDGER_HEADER + "\n")
    writer = csv.writer(out, lineterminator="\n")
    version = f"{its.methodology}@{its.methodology_version}"
    for ledger in ledgers:
        for i in range(len(ledger.ug)):
            line = ledger.lines[ledger.line[i]]
            if line == ENERGY_LINE:
                continue
            writer.writerow(
                [
                    its.provider,
                    f"{its.month:%Y-%m}",
                    version,
                    ledger.cluster,
                    ledger.services[ledger.service[i]],
                    ledger.accounts[ledger.account[i]],
                    ledger.groups[ledger.group[i]],
                    line,
                    ledger.ug[i],
                    QUALITIES[ledger.quality[i]],
                    f"{ledger.estimated_ppm[i] // 10**6}.{ledger.estimated_ppm[i] % 10**6:06d}",
                ]
            )
    return out.getvalue()
