"""The tables of a package: which columns they have, how a cell is read, which cells are wrong."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
CONTROL = re.compile(r"[\x00-\x1f\x7f|]")

# From strongest to weakest; all but the first two are estimated.
QUALITIES = (
    "metered",
    "invoice",
    "average_power",
    "estimated_profile",
    "regional_equal_split",
    "extrapolated",
    "proxy",
)
LINES = (
    "scope1",
    "scope2_lbm",
    "scope2_mbm",
    "scope2_heat_lbm",
    "scope2_heat_mbm",
    "scope3_fera_lbm",
    "scope3_fera_mbm",
    "scope3_leased_lbm",
    "scope3_leased_mbm",
    "scope3_embodied",
    "scope3_other",
)
# What an empty cell of a key stands for.
DEFAULTS = {"resource_group": "default"}
REQUIRED_TABLES = ("clusters", "sites", "services", "accounts", "racks", "usage")


class Finding(NamedTuple):
    """One finding as the format defines it: `severity` is package, row or flag."""

    code: str
    severity: str
    file: str
    row: int | None


class TableSpec(NamedTuple):
    """Key columns and, per column, `*` if required followed by the kind of its cells.

    Kinds: `own` (a code this table defines for others), `code`, `text`, `month`, `bool`, `country`;
    numbers `signed`, `amount` (>= 0), `positive`, `ratio`, `count`, `life`, `pue`, `factor` (an
    amount whose absence has a code of its own); `=a b c` for a choice.
    """

    key: tuple[str, ...]
    columns: dict[str, str]


QUALITY = "=" + " ".join(QUALITIES)
TABLES = {
    "clusters": TableSpec(
        ("cluster",),
        {
            "cluster": "*own",
            "name": "text",
            "kind": "*=region edge availability_zone data_center",
            "region": "own",
            "country": "country",
        },
    ),
    "sites": TableSpec(
        ("site",),
        {
            "site": "*code",
            "cluster": "*code",
            "boundary": "*=scope2 scope3_leased",
            "facility_kwh": "amount",
            "it_kwh": "amount",
            "pue": "pue",
            "location_g_per_kwh": "*factor",
            "residual_g_per_kwh": "amount",
            "green_ratio": "ratio",
            "green_g_per_kwh": "amount",
            "fera_lbm_g_per_kwh": "amount",
            "fera_mbm_g_per_kwh": "amount",
            "market": "code",
            "quality": QUALITY,
        },
    ),
    "instruments": TableSpec(
        ("instrument",),
        {
            "instrument": "*code",
            "market": "*code",
            "type": "*=EAC contract supplier_specific",
            "kwh": "*amount",
            "g_per_kwh": "*amount",
            "vintage": "month",
            "retired": "bool",
        },
    ),
    "gwp": TableSpec(("gwp_set", "gas"), {"gwp_set": "*code", "gas": "*code", "gwp": "*amount"}),
    "direct_gases": TableSpec(
        ("site", "source", "gas"),
        {
            "site": "*code",
            "source": "*=fuel refrigerant",
            "gas": "*code",
            "mass_kg": "*amount",
            "gwp_set": "code",
            "quality": QUALITY,
        },
    ),
    "assets": TableSpec(
        ("asset",),
        {
            "asset": "*code",
            "owner_kind": "*=site rack pool",
            "owner": "code",
            "category": "*=building it_hardware other",
            "embodied_kg": "*amount",
            "life_months": "*life",
            "in_service": "*month",
            "retired": "month",
            "quality": QUALITY,
        },
    ),
    "shared_pools": TableSpec(
        ("pool", "cluster", "line"),
        {
            "pool": "*code",
            "cluster": "code",
            "line": "*=" + " ".join(LINES),
            "kg_co2e": "*amount",
            "gwp_set": "code",
            "quality": QUALITY,
        },
    ),
    "racks": TableSpec(
        ("rack",),
        {
            "rack": "*own",
            "cluster": "*code",
            "site": "code",
            "role": "*=service network management spare",
            "service": "code",
            "it_kwh": "amount",
            "servers": "count",
            "idle_w": "amount",
            "max_w": "amount",
            "utilisation": "ratio",
            "hours": "amount",
            "quality": QUALITY,
        },
    ),
    "rack_resources": TableSpec(
        ("rack", "resource"),
        {"rack": "*code", "resource": "*code", "weight": "*positive", "capacity": "*positive"},
    ),
    "rack_use": TableSpec(
        ("rack", "resource", "service"),
        {"rack": "*code", "resource": "*code", "service": "*code", "used": "*amount"},
    ),
    "services": TableSpec(
        ("service",),
        {
            "service": "*own",
            "name": "text",
            "kind": "=standard core",
            "unit": "*text",
            "split_key": "=physical revenue node_hours peak_weighted",
        },
    ),
    "accounts": TableSpec(("account",), {"account": "*own", "name": "text", "internal": "bool"}),
    "service_use": TableSpec(
        ("cluster", "service", "consumer"),
        {"cluster": "*code", "service": "*code", "consumer": "*code", "quantity": "*amount"},
    ),
    "usage": TableSpec(
        (),
        {
            "cluster": "*code",
            "service": "*code",
            "account": "*code",
            "resource_group": "code",
            "quantity": "*signed",
            "month": "text",
        },
    ),
    "machines": TableSpec(
        ("machine",),
        {
            "machine": "*own",
            "cluster": "*code",
            "site": "code",
            "service": "*code",
            "account": "*code",
            "resource_group": "code",
            "avg_power_w": "*amount",
            "hours": "*amount",
            "quality": QUALITY,
        },
    ),
    "site_hours": TableSpec(
        ("site", "hour"), {"site": "*code", "hour": "*count", "kwh": "*amount", "residual_g_per_kwh": "amount"}
    ),
    "usage_periods": TableSpec(
        ("cluster", "service", "account", "resource_group", "period"),
        {
            "cluster": "*code",
            "service": "*code",
            "account": "*code",
            "resource_group": "code",
            "period": "*count",
            "quantity": "*amount",
        },
    ),
    "uncertainties": TableSpec(
        ("source", "code", "line"),
        {
            "source": "*=sites direct_gases assets shared_pools",
            "code": "*code",
            "line": "*=" + " ".join(LINES),
            "activity_percent": "amount",
            "factor": "code",
            "factor_percent": "amount",
        },
    ),
    "cross_use": TableSpec(
        ("cluster", "service", "consumer_cluster", "consumer"),
        {
            "cluster": "*code",
            "service": "*code",
            "consumer_cluster": "*code",
            "consumer": "*code",
            "quantity": "*amount",
        },
    ),
    "coverage": TableSpec(("service",), {"service": "code", "covered": "bool", "threshold_kg": "amount"}),
    "instrument_hours": TableSpec(("instrument", "hour"), {"instrument": "*code", "hour": "*count", "kwh": "*amount"}),
}


@dataclass(frozen=True)
class Row:
    """One data row: its line number in the file and its non-empty cells as text."""

    number: int
    cells: dict[str, str]

    def has(self, column: str) -> bool:
        """Whether the cell is filled (empty means unknown)."""
        return column in self.cells

    def text(self, column: str, default: str = "") -> str:
        """The cell, or the format's default where it is empty."""
        return self.cells.get(column, default)

    def exact(self, column: str, default: str = "") -> Fraction:
        """The exact decimal of the cell, or of the format's default where it is empty."""
        return Fraction(self.cells.get(column, default))


def read_table(name: str, path: Path) -> tuple[list[Row], list[Finding]]:
    """Read a CSV file whose bytes are UTF-8.

    Returns the rows that have the right cells (of `usage`: every row with the right number of
    fields, its cells unchecked) and the findings.
    """
    file = path.name
    lines = path.read_bytes().decode("utf-8").removeprefix("\ufeff").split("\n")
    while lines and lines[-1] in ("", "\r"):
        lines.pop()
    header = _fields(lines[0]) if lines else None
    spec = TABLES[name]
    if header is None or _bad_header(spec, header):
        return [], [Finding("BAD_HEADER", "package", file, 1)]
    severity = "row" if name == "usage" else "package"
    rows = []
    findings = []
    for number, line in enumerate(lines[1:], start=2):
        fields = _fields(line)
        if fields is None or line in ("", "\r") or len(fields) != len(header):
            findings.append(Finding("BAD_ROW", severity, file, number))
            continue
        cells = {c: v for c, v in zip(header, fields, strict=True) if v != ""}
        row = Row(number, cells)
        faults = [] if name == "usage" else list(row_faults(name, row))
        findings += [Finding(code, severity, file, number) for code in faults]
        if not faults:
            rows.append(row)
    return rows, findings + _duplicates(spec, file, rows)


def row_faults(name: str, row: Row) -> Iterator[str]:
    """Yield the codes of what is wrong with the cells of one row, taken by themselves."""
    for column, kind in TABLES[name].columns.items():
        if row.has(column):
            code = _fault(kind.removeprefix("*"), row.text(column))
            if code:
                yield code
        elif kind.startswith("*") and kind != "*factor":
            yield "MISSING_VALUE"
    if _lacks_what_it_calls_for(name, row):
        yield "MISSING_VALUE"
    if _contradicts_itself(name, row):
        yield "BAD_VALUE"


def _lacks_what_it_calls_for(name: str, row: Row) -> bool:
    if name == "assets":
        return row.text("owner_kind") in ("site", "rack") and not row.has("owner")
    if name == "direct_gases":
        return row.text("gas") == "CO2e" and not row.has("gwp_set")
    if name == "uncertainties":
        return row.has("factor") != row.has("factor_percent")
    return name == "coverage" and row.text("covered") == "false" and not row.has("service")


def _contradicts_itself(name: str, row: Row) -> bool:
    if name == "cross_use":
        return row.has("cluster") and row.text("cluster") == row.text("consumer_cluster")
    if name == "coverage":
        return row.text("covered") == "false" and Fraction(row.text("threshold_kg", "0")) != 0
    return name == "racks" and _power_range_is_upside_down(row)


def _power_range_is_upside_down(row: Row) -> bool:
    cells = (row.text("idle_w"), row.text("max_w"))
    return all(map(NUMBER.fullmatch, cells)) and Fraction(cells[1]) < Fraction(cells[0])


def _fields(line: str) -> list[str] | None:
    """Split one physical line; None where the quoting is broken."""
    try:
        rows = list(csv.reader([line.removesuffix("\r")], strict=True))
    except csv.Error:
        return None
    return rows[0] if rows else [""]


def _bad_header(spec: TableSpec, header: list[str]) -> bool:
    required = {column for column, kind in spec.columns.items() if kind.startswith("*")}
    return len(set(header)) != len(header) or not set(header) <= set(spec.columns) or not required <= set(header)


def _duplicates(spec: TableSpec, file: str, rows: list[Row]) -> list[Finding]:
    """Every row after the first with the same key."""
    seen: Counter[tuple[str, ...]] = Counter()
    findings = []
    for row in rows:
        key = tuple(row.text(column, DEFAULTS.get(column, "")) for column in spec.key)
        if key and seen[key]:
            findings.append(Finding("DUPLICATE_KEY", "package", file, row.number))
        seen[key] += 1
    return findings


def _fault(kind: str, text: str) -> str | None:
    """The code of what is wrong with a filled cell, None if nothing is."""
    if kind.startswith("="):
        return None if text in kind[1:].split(" ") else "BAD_VALUE"
    if kind in ("own", "code"):
        bad = len(text) > 128 or CONTROL.search(text) or text != text.strip(" ")
        return "BAD_CODE" if bad or (kind == "own" and text.startswith("(")) else None
    patterns = {"text": "(?s).*", "month": MONTH.pattern, "bool": "true|false", "country": "[A-Z]{2}"}
    if kind in patterns:
        return None if re.fullmatch(patterns[kind], text) else "BAD_VALUE"
    return _number_fault(kind, text)


def _number_fault(kind: str, text: str) -> str | None:
    if not NUMBER.fullmatch(text):
        return "BAD_NUMBER"
    value = Fraction(text)
    if kind == "ratio":
        return None if 0 <= value <= 1 else "RATIO_OUT_OF_RANGE"
    if kind in ("signed", "pue"):
        return None
    if value < 0:
        return "NEGATIVE_VALUE"
    whole = kind in ("count", "life")
    positive = kind in ("positive", "life")
    bad = (whole and value.denominator != 1) or (positive and value == 0)
    return "BAD_VALUE" if bad else None
