"""The small tables: text of a CSV file to a frame of its contract (sections 1 and 3), headers, cells and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pandas as pd

from allocation.exchange.package.cells import CellError, read_cell
from allocation.exchange.package.findings import shown
from allocation.exchange.package.lines import EMPTY_LINE, split_fields, split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from allocation.engine.frames import Column, Table
    from allocation.exchange.package.cells import Value
    from allocation.exchange.package.findings import Findings

_NEEDED_COLUMNS: Final[Mapping[str, frozenset[str]]] = {"sites": frozenset({"location_g_per_kwh"})}
"""Columns that must stand in the header although a cell may be empty: the energy layer has a code of its own."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Cells of a file by column of the file; `numbers` are the line numbers, `faulty` those with a refused cell."""

    table: Table
    cells: Mapping[str, Sequence[str]]
    numbers: Sequence[int]
    findings: Findings
    faulty: set[int] = field(default_factory=set)

    def refuse(self, code: str, message: str, row: int, column: str) -> None:
        self.findings.reject(code, self.table.file, message, row=row, field=column)


def read_table(table: Table, text: str, findings: Findings) -> pd.DataFrame:
    """Return the frame of a table: the contract's columns (dtype `object`) and `row` (int64).

    What is wrong with the file goes to `findings`; such cells are `None`.
    """
    sheet = _read_sheet(table, text, findings)
    columns = {column.name: _read_column(sheet, column) for column in table.columns}
    _check_keys(sheet, columns)
    if table.name == "assets":
        _check_owner(sheet, columns)
    if table.name == "direct_gases":
        _check_set(sheet, columns)
    if table.name == "racks":
        _check_profile(sheet, columns)
    if table.name == "uncertainties":
        _check_factor(sheet, columns)
    if table.name == "cross_use":
        _check_clusters(sheet, columns)
    if table.name == "coverage":
        _check_coverage(sheet, columns)
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame["row"] = pd.Series(sheet.numbers, dtype="int64")
    return frame


def empty_table(table: Table) -> pd.DataFrame:
    """Return the frame of an optional table whose file is absent."""
    frame = pd.DataFrame({column.name: pd.Series([], dtype=object) for column in table.columns})
    frame["row"] = pd.Series([], dtype="int64")
    return frame


def read_header(table: Table, line: str, findings: Findings) -> list[str] | None:
    """Return the column names in the first line of a file; `None`, with BAD_HEADER, if they are not the contract's."""
    names = split_fields(line)
    if names is None:
        findings.reject("BAD_HEADER", table.file, "the header is not readable as CSV", row=1)
        return None
    known = {column.name for column in table.columns}
    needed = {column.name for column in table.columns if column.required} | _NEEDED_COLUMNS.get(table.name, frozenset())
    problems = [(name, "unknown column") for name in dict.fromkeys(names) if name not in known]
    problems += [(name, "column named twice") for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [(name, "column is missing") for name in sorted(needed - set(names))]
    for name, problem in problems:
        findings.reject("BAD_HEADER", table.file, f"{problem}: {shown(name)}", row=1, field=name[:128])
    return None if problems else names


def _read_sheet(table: Table, text: str, findings: Findings) -> _Sheet:
    lines = split_lines(text)
    names = read_header(table, lines[0], findings)
    if names is None:
        return _Sheet(table, {}, (), findings)
    numbers: list[int] = []
    rows: list[list[str]] = []
    for number, line in enumerate(lines[1:], start=2):
        fields = split_fields(line)
        if not line:
            findings.reject("BAD_ROW", table.file, EMPTY_LINE, row=number)
        elif fields is None:
            findings.reject("BAD_ROW", table.file, "the row is not readable as CSV", row=number)
        elif len(fields) != len(names):
            message = f"the row has {len(fields)} fields, the header {len(names)}"
            findings.reject("BAD_ROW", table.file, message, row=number)
        else:
            numbers.append(number)
            rows.append(fields)
    by_column = zip(*rows, strict=True) if rows else ([] for _ in names)
    return _Sheet(table, dict(zip(names, by_column, strict=True)), numbers, findings)


def _read_column(sheet: _Sheet, column: Column) -> list[Value]:
    texts = sheet.cells.get(column.name)
    if texts is None:
        return [column.default] * len(sheet.numbers)
    known: dict[str, Value | CellError] = {}
    values: list[Value] = []
    for text, number in zip(texts, sheet.numbers, strict=True):
        if text not in known:
            try:
                known[text] = read_cell(column, text)
            except CellError as error:
                known[text] = error
        value = known[text]
        if isinstance(value, CellError):
            subject = f"{column.name} {shown(text)}" if text else column.name
            sheet.refuse(value.code, f"{subject}: {value.message}", number, column.name)
            sheet.faulty.add(number)
            value = None
        values.append(value)
    return values


def _check_keys(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    first: dict[tuple[Value, ...], int] = {}
    for number, *parts in zip(sheet.numbers, *(columns[name] for name in sheet.table.key), strict=True):
        if number in sheet.faulty:
            continue
        key = tuple(parts)
        if key in first:
            named = ", ".join("" if part is None else str(part) for part in key)
            message = f"{shown(named)} stands in row {first[key]} already"
            sheet.refuse("DUPLICATE_KEY", message, number, sheet.table.key[0])
        else:
            first[key] = number


def _check_owner(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    """Report assets of a site or rack that do not say which."""
    for number, kind, owner in zip(sheet.numbers, columns["owner_kind"], columns["owner"], strict=True):
        if number not in sheet.faulty and kind != "pool" and owner is None:
            sheet.refuse("MISSING_VALUE", f"owner: an asset of a {kind} names it", number, "owner")


def _check_set(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    """Report masses of CO2e that do not say by which GWP set."""
    for number, gas, gwp_set in zip(sheet.numbers, columns["gas"], columns["gwp_set"], strict=True):
        if number not in sheet.faulty and gas == "CO2e" and gwp_set is None:
            sheet.refuse("MISSING_VALUE", "gwp_set: a mass of CO2e names its set", number, "gwp_set")


def _check_profile(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    """Report racks whose servers draw more when idle than at most."""
    for number, idle_w, max_w in zip(sheet.numbers, columns["idle_w"], columns["max_w"], strict=True):
        if isinstance(idle_w, Decimal) and isinstance(max_w, Decimal) and max_w < idle_w:
            sheet.refuse("BAD_VALUE", "max_w is below idle_w", number, "max_w")


def _check_clusters(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    """Report use across clusters within one: that stands in service_use.csv."""
    for number, cluster, other in zip(sheet.numbers, columns["cluster"], columns["consumer_cluster"], strict=True):
        if number not in sheet.faulty and cluster == other:
            message = f"consumer_cluster {shown(str(other))} is the cluster itself: see service_use.csv"
            sheet.refuse("BAD_VALUE", message, number, "consumer_cluster")


def _check_coverage(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    """Report rows that leave services out without naming one, or have a threshold for what is not covered."""
    rows = zip(sheet.numbers, columns["service"], columns["covered"], columns["threshold_kg"], strict=True)
    for number, service, covered, threshold_kg in rows:
        if number in sheet.faulty or covered is not False:
            continue
        if service is None:
            sheet.refuse("MISSING_VALUE", "service: what is not covered is named", number, "service")
        if threshold_kg:
            sheet.refuse("BAD_VALUE", "threshold_kg: what is not covered has no threshold", number, "threshold_kg")


def _check_factor(sheet: _Sheet, columns: Mapping[str, list[Value]]) -> None:
    """Report factors without an uncertainty, and uncertainties of no factor."""
    for number, factor, percent in zip(sheet.numbers, columns["factor"], columns["factor_percent"], strict=True):
        if number not in sheet.faulty and (factor is None) != (percent is None):
            column = "factor" if factor is None else "factor_percent"
            sheet.refuse("MISSING_VALUE", "factor and factor_percent go together", number, column)
