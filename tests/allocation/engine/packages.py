"""Packages as the engine's input, and ledgers as the text of an export: just enough for tests of the engine."""

from __future__ import annotations

import calendar
import csv
import datetime as dt
import io
import tomllib
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from allocation.engine.frames import ENERGY_LINE, QUALITIES, TABLES, Activity, Header, Kind, Usage
from allocation.engine.options import effective_options
from allocation.engine.plan import prepare
from allocation.engine.reach import reach_of
from allocation.engine.settle import exact_amounts, settle
from allocation.engine.units import months_between
from allocation.engine.usage import combine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from allocation.engine.frames import Column, Finding, Ledger
    from allocation.engine.plan import Plan
    from allocation.engine.settle import Exact, Leaf
    from tests.oracle.draft import Draft

Rows = list[dict[str, str]]

_READ: Mapping[Kind, Callable[[str], object]] = {
    Kind.CODE: str,
    Kind.TEXT: str,
    Kind.CHOICE: str,
    Kind.DECIMAL: Decimal,
    Kind.WHOLE: lambda text: int(Decimal(text)),
    Kind.BOOLEAN: lambda text: text == "true",
    Kind.MONTH: lambda text: dt.date(int(text[:4]), int(text[5:]), 1),
}
_HEADER = "provider,month,methodology_version,cluster,service,account,resource_group,line,ug,quality,estimated_share\n"


class Package:
    """A package in memory: the content of package.toml, and rows of text by table."""

    def __init__(self, manifest: dict[str, Any], tables: dict[str, Rows]) -> None:
        self.manifest = manifest
        self.tables = tables

    @classmethod
    def read(cls, folder: Path) -> Package:
        """Read a folder."""
        manifest = tomllib.loads((folder / "package.toml").read_text("utf-8"))
        files = {name: folder / table.file for name, table in TABLES.items()}
        texts = {name: path.read_bytes().decode("utf-8-sig") for name, path in files.items() if path.exists()}
        return cls(
            manifest, {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in texts.items()}
        )

    @classmethod
    def of(cls, draft: Draft) -> Package:
        """Return a package of the oracle's generator."""
        methodology = {**draft.methodology, "options": draft.options}
        return cls({**draft.identity, "methodology": methodology}, draft.copy().tables)

    @cached_property
    def _frames(self) -> dict[str, pd.DataFrame]:
        return {name: _frame(name, self.tables.get(name, [])) for name in TABLES if name != "usage"}

    @property
    def activity(self) -> Activity:
        """The package without its usage; the engine reads the options anew each time."""
        return Activity(_header(self.manifest), {name: frame.copy() for name, frame in self._frames.items()})

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

    def elsewhere(self, cluster: str, plan: Plan) -> dict[str, Usage]:
        """Return the usage of the clusters that the services of `cluster` serve."""
        return {code: self.usage(code, plan) for code in reach_of(plan.clusters, cluster).clusters}

    def history(self, earlier: Sequence[Package]) -> list[Package]:
        """Return the newest package of each month that `previous_shares` may use, latest month first.

        `earlier` packages come in the order in which they were loaded.
        """
        header = self.activity.header
        by_distance: dict[int, Package] = {}
        for past in earlier:
            distance = months_between(past.activity.header.month, header.month)
            if 1 <= distance <= header.options.fallback_months:
                by_distance[distance] = past
        return [by_distance[distance] for distance in sorted(by_distance)]


def _frame(name: str, rows: Rows) -> pd.DataFrame:
    """Return a small table in the form that the engine expects."""
    cells = {column.name: [_cell(column, row.get(column.name)) for row in rows] for column in TABLES[name].columns}
    data = {name: pd.Series(values, dtype=object) for name, values in cells.items()}
    return pd.DataFrame({**data, "row": pd.Series(range(2, len(rows) + 2), dtype="int64")})


def _cell(column: Column, text: str | None) -> object:
    return _READ[column.kind](text) if text else column.default


def _header(manifest: Mapping[str, Any]) -> Header:
    methodology = manifest["methodology"]
    month = dt.date.fromisoformat(f"{manifest['month']}-01")
    return Header(
        provider=manifest["provider"],
        month=month,
        timezone=manifest["timezone"],
        hours=_hours(month, manifest["timezone"]),
        methodology=methodology["name"],
        methodology_version=methodology["version"],
        preset=methodology["preset"],
        gwp_set=methodology["gwp_set"],
        options=effective_options(methodology["preset"], methodology.get("options", {})),
    )


def _hours(month: dt.date, timezone: str) -> int:
    zone = ZoneInfo(timezone)
    days = calendar.monthrange(month.year, month.month)[1]
    start = dt.datetime.combine(month, dt.time(), tzinfo=zone)
    end = dt.datetime.combine(month + dt.timedelta(days=days), dt.time(), tzinfo=zone)
    return int((end.astimezone(dt.UTC) - start.astimezone(dt.UTC)).total_seconds() // 3600)


def code_usage(rows: Rows) -> Usage:
    """Return rows of usage.csv as integer-coded arrays."""
    quantities = [Decimal(row["quantity"]) for row in rows]
    decimals = max([0, *(-int(quantity.as_tuple().exponent) for quantity in quantities)])
    services, service = _coded([row["service"] for row in rows])
    accounts, account = _coded([row["account"] for row in rows])
    groups, group = _coded([row.get("resource_group") or "default" for row in rows])
    whole = [int(Fraction(quantity) * 10**decimals) for quantity in quantities]
    return Usage(services, accounts, groups, service, account, group, integers(whole), decimals)


def _coded(codes: list[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    distinct = tuple(dict.fromkeys(codes))
    return distinct, np.array([distinct.index(code) for code in codes], dtype=np.int32)


def integers(values: Sequence[int]) -> npt.NDArray[np.int64] | npt.NDArray[np.object_]:
    """Return int64, or Python integers where one does not fit."""
    if all(-(2**63) <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    return np.array(values, dtype=object)


def settle_all(package: Package, earlier: Sequence[Package] = ()) -> tuple[list[Ledger], list[Finding]]:
    """Return the ledgers of all clusters and all findings; `earlier` packages in the order of loading."""
    plan = prepare(package.activity)
    past = [(it, prepare(it.activity)) for it in package.history(earlier)]
    ledgers = []
    for cluster in plan.clusters:
        history = [it.usage(cluster, its_plan) for it, its_plan in past if cluster in its_plan.clusters]
        ledgers.append(settle(plan, cluster, package.usage(cluster, plan), history, package.elsewhere(cluster, plan)))
    return ledgers, [*plan.findings, *(finding for ledger in ledgers for finding in ledger.findings)]


def exact(package: Package) -> dict[tuple[str, str, str, str, str], Exact]:
    """Return the exact amounts of all leaves by (cluster, service, account, group, line)."""
    plan = prepare(package.activity)
    return {
        (cluster, *leaf): amount
        for cluster in plan.clusters
        for leaf, amount in settled(plan, cluster, package).items()
    }


def settled(plan: Plan, cluster: str, package: Package) -> dict[Leaf, Exact]:
    """Return the exact amounts of the leaves of a cluster."""
    return exact_amounts(plan, cluster, package.usage(cluster, plan), (), package.elsewhere(cluster, plan))


def rows_of(ledger: Ledger) -> Iterable[tuple[tuple[str, str, str, str], str, int, int]]:
    """Yield ((cluster, service, account, group), line, integer, position) of a ledger."""
    for i in range(len(ledger.ug)):
        leaf = ledger.services[ledger.service[i]], ledger.accounts[ledger.account[i]], ledger.groups[ledger.group[i]]
        yield (ledger.cluster, *leaf), ledger.lines[ledger.line[i]], int(ledger.ug[i]), i


def export(package: Package, ledgers: Iterable[Ledger]) -> str:
    """Return the ledger export (section 6)."""
    header = package.activity.header
    out = io.StringIO()
    out.write(_HEADER)
    writer = csv.writer(out, lineterminator="\n")
    fixed = header.provider, f"{header.month:%Y-%m}", f"{header.methodology}@{header.methodology_version}"
    for ledger in ledgers:
        for leaf, line, ug, i in rows_of(ledger):
            if line != ENERGY_LINE:
                ppm = ledger.estimated_ppm[i]
                share = f"{ppm // 10**6}.{ppm % 10**6:06d}"
                writer.writerow([*fixed, *leaf, line, ug, QUALITIES[ledger.quality[i]], share])
    return out.getvalue()
