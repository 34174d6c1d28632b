"""Micrograms by emission line, as roll-up rows hold them, and how they add up to totals.

Lines have a provider scope and, where electricity or heat is behind them, a method. A total by location is the lines
without a method plus those by location; by market accordingly; the two are never added to each other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from allocation.models import Withheld

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from decimal import Decimal


class Method(enum.StrEnum):
    """How purchased energy is accounted for."""

    LOCATION_BASED = "location_based"
    MARKET_BASED = "market_based"


class Scope(enum.IntEnum):
    """The provider's scope of a line."""

    SCOPE_1 = 1
    SCOPE_2 = 2
    SCOPE_3 = 3


class Line(NamedTuple):
    """One emission line: its name in the package format, scope, and method if it has one."""

    name: str
    scope: Scope
    method: Method | None


_LOCATION, _MARKET = Method.LOCATION_BASED, Method.MARKET_BASED
LINES: Final = (
    Line("scope1", Scope.SCOPE_1, None),
    Line("scope2_lbm", Scope.SCOPE_2, _LOCATION),
    Line("scope2_mbm", Scope.SCOPE_2, _MARKET),
    Line("scope2_heat_lbm", Scope.SCOPE_2, _LOCATION),
    Line("scope2_heat_mbm", Scope.SCOPE_2, _MARKET),
    Line("scope3_fera_lbm", Scope.SCOPE_3, _LOCATION),
    Line("scope3_fera_mbm", Scope.SCOPE_3, _MARKET),
    Line("scope3_leased_lbm", Scope.SCOPE_3, _LOCATION),
    Line("scope3_leased_mbm", Scope.SCOPE_3, _MARKET),
    Line("scope3_embodied", Scope.SCOPE_3, None),
    Line("scope3_other", Scope.SCOPE_3, None),
)
LINE_COLUMNS: Final = (*(f"{line.name}_ug" for line in LINES), "energy_wh")
COLUMNS: Final = (
    *LINE_COLUMNS,
    *(f"{line.name}_estimated_ug" for line in LINES),
    "energy_estimated_wh",
    "below_threshold",
    "not_covered",
)
KEPT_TOTALS: Final = {_LOCATION: "total_lbm_ug", _MARKET: "total_mbm_ug"}
"""The total of each method as rows of containers keep it, worked out by the database (migration 0025)."""

_WIDTH: Final = len(LINES)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Exact amounts of one row: micrograms CO2e by line, energy in watt-hours; None = the line is not there.

    `below_threshold` and `not_covered` count what is withheld and therefore in none of the amounts.
    """

    lines_ug: tuple[int | None, ...]
    energy_wh: int | None
    estimated_ug: tuple[int | None, ...]
    energy_estimated_wh: int | None
    below_threshold: int = 0
    not_covered: int = 0

    @classmethod
    def of(cls, values: Sequence[Decimal | int | None]) -> Amounts:
        """Read `COLUMNS` of a row."""
        whole = [None if value is None else int(value) for value in values]
        *amounts, energy_estimated_wh, below_threshold, not_covered = whole
        lines, energy_wh, estimated = amounts[:_WIDTH], amounts[_WIDTH], amounts[_WIDTH + 1 :]
        withheld = below_threshold or 0, not_covered or 0
        return cls(tuple(lines), energy_wh, tuple(estimated), energy_estimated_wh, *withheld)

    @property
    def told(self) -> bool:
        """Whether any line is there."""
        return self.energy_wh is not None or any(line is not None for line in self.lines_ug)

    def total_ug(self, method: Method, scopes: Collection[Scope] = tuple(Scope)) -> int | None:
        """Add up the lines of a method and of these scopes; None if none of them is there."""
        return _added(self.lines_ug, method, scopes)

    def estimated_total_ug(self, method: Method, scopes: Collection[Scope] = tuple(Scope)) -> int | None:
        """Add up the estimated part of the same lines."""
        return _added(self.estimated_ug, method, scopes)


EMPTY: Final = Amounts((None,) * _WIDTH, None, (None,) * _WIDTH, None)


def _added(values: Sequence[int | None], method: Method, scopes: Collection[Scope]) -> int | None:
    found = [values[place] for place in _places(method, tuple(scopes))]
    return _sum(found)


@cache
def _places(method: Method, scopes: tuple[Scope, ...]) -> list[int]:
    """Where the lines of a method and of these scopes stand."""
    return [place for place, line in enumerate(LINES) if line.method in {None, method} and line.scope in scopes]


def _sum(values: Iterable[int | None]) -> int | None:
    """Add up what is there; None if nothing is."""
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def sum_of(rows: Iterable[Amounts]) -> Amounts:
    """Add rows line by line; a line is there if it is there in one of them."""
    added = list(rows)
    if not added:
        return EMPTY
    return Amounts(
        tuple(map(_sum, zip(*[row.lines_ug for row in added], strict=True))),
        _sum(row.energy_wh for row in added),
        tuple(map(_sum, zip(*[row.estimated_ug for row in added], strict=True))),
        _sum(row.energy_estimated_wh for row in added),
        sum(row.below_threshold for row in added),
        sum(row.not_covered for row in added),
    )


def sums_sql(alias: str) -> str:
    """Write `sum(alias.column) AS column` for every column."""
    return ", ".join(f"sum({alias}.{column}) AS {column}" for column in COLUMNS)


def _of_total(method: Method) -> list[str]:
    return [f"{line.name}_ug" for line in LINES if line.method in {None, method}]


def total_sql(alias: str, method: Method) -> str:
    """Write the total of a method in micrograms as SQL; NULL where none of its lines is there."""
    columns = [f"{alias}.{column}" for column in _of_total(method)]
    added = " + ".join(f"COALESCE({column}, 0)" for column in columns)
    return f"CASE WHEN COALESCE({', '.join(columns)}) IS NULL THEN NULL ELSE {added} END"


def ledger_sums_sql(alias: str) -> str:
    """Write the same columns over ledger rows, where each line is a row of its own; what is withheld is counted."""
    energy = len(LINES)
    pairs = [(index, f"{line.name}_ug", f"{line.name}_estimated_ug") for index, line in enumerate(LINES)]
    pairs.append((energy, "energy_wh", "energy_estimated_wh"))
    told = f"AND {alias}.withheld IS NULL"
    amounts = [f"sum({alias}.ug) FILTER (WHERE {alias}.line = {index} {told}) AS {name}" for index, name, _ in pairs]
    estimated = [
        f"sum({alias}.estimated_ug) FILTER (WHERE {alias}.line = {index} {told}) AS {name}" for index, _, name in pairs
    ]
    withheld = [
        f"NULLIF(count(*) FILTER (WHERE {alias}.withheld = {int(reason)}), 0) AS {name}"
        for reason, name in ((Withheld.BELOW_THRESHOLD, "below_threshold"), (Withheld.NOT_COVERED, "not_covered"))
    ]
    return ", ".join([*amounts, *estimated, *withheld])
