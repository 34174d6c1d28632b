"""What goes into the engine and what comes out: frame contracts as data.

`TABLES` is package format version 1 (docs/package-format.md, section 3) as data, and the tables beyond it (section 9):
one `Table` per CSV file, one `Column` per column. The loader validates files against it, the activity models store it,
the engine reads it.

A small table reaches the engine as a `pandas.DataFrame` with every column of its contract (dtype `object`: `str`,
`Decimal`, `int`, `bool`, first day of month as `datetime.date`, or `None` for unknown; constant defaults already
filled in) and one more, `row`: the line number in the CSV file (header = 1). `usage.csv` may be very large and reaches
it as a `Usage` of integer-coded arrays, one cluster at a time.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class Kind(enum.Enum):
    """How the text of a cell is read."""

    CODE = "code"
    TEXT = "text"
    DECIMAL = "decimal"
    WHOLE = "whole"
    BOOLEAN = "boolean"
    MONTH = "month"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    `references` names the tables whose key the code must be found in, in order of look-up; `("clusters", "regions")` is
    the *cluster or region* rule. `default` is the constant that stands for an empty cell. `minimum` and `maximum` are
    inclusive, `positive` excludes zero.
    """

    name: str
    kind: Kind
    required: bool = False
    default: str | bool | Decimal | None = None
    choices: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    positive: bool = False
    defines: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file of a package: its columns, key and whether the file must be there."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    required: bool = False
    beyond: bool = False
    """Not a table of version 1 (docs/package-format.md, section 9)."""

    @property
    def file(self) -> str:
        """Name of the file in the package."""
        return f"{self.name}.csv"

    def column(self, name: str) -> Column:
        """Return the column called `name`; `KeyError` if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


QUALITIES: Final = (
    "metered",
    "invoice",
    "average_power",
    "estimated_profile",
    "regional_equal_split",
    "extrapolated",
    "proxy",
)
"""From strongest to weakest; a stored quality is the index in this tuple."""

FIRST_ESTIMATED: Final = 2
"""Qualities from this index on count as estimated."""

LINES: Final = (
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
"""Emission lines of format v1, in micrograms CO2e."""

ENERGY_LINE: Final = "energy_wh"
"""Pseudo-line: facility electricity in watt-hours, allocated like a line, never exported in the v1 CSV."""

NEW_SPLIT_KEYS: Final = ("node_hours", "peak_weighted")
"""Split keys beyond version 1 (docs/package-format.md, section 9)."""

PEAK_WEIGHTED: Final = "peak_weighted"

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_CLUSTER_OR_REGION: Final = ("clusters", "regions")


def _code(name: str, *references: str, required: bool = True, defines: bool = False) -> Column:
    return Column(name, Kind.CODE, required=required, references=references, defines=defines)


def _amount(
    name: str,
    *,
    required: bool = False,
    default: Decimal | None = None,
    maximum: Decimal | None = None,
    positive: bool = False,
) -> Column:
    return Column(
        name,
        Kind.DECIMAL,
        required=required,
        default=default,
        minimum=_ZERO,
        maximum=maximum,
        positive=positive,
    )


def _choice(name: str, *choices: str, required: bool = True, default: str | None = None) -> Column:
    return Column(name, Kind.CHOICE, required=required, default=default, choices=choices)


def _quality(default: str | None = "metered") -> Column:
    return _choice("quality", *QUALITIES, required=False, default=default)


_ALL: Final = (
    Table(
        "clusters",
        (
            _code("cluster", defines=True),
            Column("name", Kind.TEXT),
            _choice("kind", "region", "edge", "availability_zone", "data_center"),
            _code("region", required=False, defines=True),
            Column("country", Kind.TEXT),
        ),
        key=("cluster",),
        required=True,
    ),
    Table(
        "sites",
        (
            _code("site"),
            _code("cluster", "clusters"),
            _choice("boundary", "scope2", "scope3_leased"),
            _amount("facility_kwh"),
            _amount("it_kwh"),
            Column("pue", Kind.DECIMAL),  # below 1, whatever its sign, it has a code of its own
            _amount("location_g_per_kwh"),
            _amount("residual_g_per_kwh"),
            _amount("green_ratio", default=_ZERO, maximum=_ONE),
            _amount("green_g_per_kwh", default=_ZERO),
            _amount("fera_lbm_g_per_kwh"),
            _amount("fera_mbm_g_per_kwh"),
            _code("market", required=False),
            _quality(),
        ),
        key=("site",),
        required=True,
    ),
    Table(
        "instruments",
        (
            _code("instrument"),
            _code("market", "markets"),
            _choice("type", "EAC", "contract", "supplier_specific"),
            _amount("kwh", required=True),
            _amount("g_per_kwh", required=True),
            Column("vintage", Kind.MONTH),
            Column("retired", Kind.BOOLEAN, default=True),
        ),
        key=("instrument",),
    ),
    Table(
        "gwp",
        (_code("gwp_set"), _code("gas"), _amount("gwp", required=True)),
        key=("gwp_set", "gas"),
    ),
    Table(
        "direct_gases",
        (
            _code("site", "sites"),
            _choice("source", "fuel", "refrigerant"),
            _code("gas"),
            _amount("mass_kg", required=True),
            _code("gwp_set", required=False),
            _quality(),
        ),
        key=("site", "source", "gas"),
    ),
    Table(
        "assets",
        (
            _code("asset"),
            _choice("owner_kind", "site", "rack", "pool"),
            _code("owner", required=False),
            _choice("category", "building", "it_hardware", "other"),
            _amount("embodied_kg", required=True),
            Column("life_months", Kind.WHOLE, required=True, positive=True),
            Column("in_service", Kind.MONTH, required=True),
            Column("retired", Kind.MONTH),
            _quality(),
        ),
        key=("asset",),
    ),
    Table(
        "shared_pools",
        (
            _code("pool"),
            _code("cluster", *_CLUSTER_OR_REGION, required=False),
            _choice("line", *LINES),
            _amount("kg_co2e", required=True),
            _code("gwp_set", required=False),
            _quality(),
        ),
        key=("pool", "cluster", "line"),
    ),
    Table(
        "racks",
        (
            _code("rack", defines=True),
            _code("cluster", *_CLUSTER_OR_REGION),
            _code("site", "sites", required=False),
            _choice("role", "service", "network", "management", "spare"),
            _code("service", "services", required=False),
            _amount("it_kwh"),
            Column("servers", Kind.WHOLE, minimum=_ZERO),
            _amount("idle_w"),
            _amount("max_w"),
            _amount("utilisation", maximum=_ONE),
            _amount("hours"),
            _quality(default=None),
        ),
        key=("rack",),
        required=True,
    ),
    Table(
        "rack_resources",
        (
            _code("rack", "racks"),
            _code("resource"),
            _amount("weight", required=True, positive=True),
            _amount("capacity", required=True, positive=True),
        ),
        key=("rack", "resource"),
    ),
    Table(
        "rack_use",
        (
            _code("rack", "racks"),
            _code("resource"),
            _code("service", "services"),
            _amount("used", required=True),
        ),
        key=("rack", "resource", "service"),
    ),
    Table(
        "services",
        (
            _code("service", defines=True),
            Column("name", Kind.TEXT),
            _choice("kind", "standard", "core", required=False, default="standard"),
            Column("unit", Kind.TEXT, required=True),
            _choice("split_key", "physical", "revenue", *NEW_SPLIT_KEYS, required=False, default="physical"),
        ),
        key=("service",),
        required=True,
    ),
    Table(
        "accounts",
        (
            _code("account", defines=True),
            Column("name", Kind.TEXT),
            Column("internal", Kind.BOOLEAN, default=False),
        ),
        key=("account",),
        required=True,
    ),
    Table(
        "service_use",
        (
            _code("cluster", *_CLUSTER_OR_REGION),
            _code("service", "services"),
            _code("consumer", "services"),
            _amount("quantity", required=True),
        ),
        key=("cluster", "service", "consumer"),
    ),
    Table(
        "usage",
        (
            _code("cluster", *_CLUSTER_OR_REGION),
            _code("service", "services"),
            _code("account", "accounts"),
            Column("resource_group", Kind.CODE, default="default"),
            Column("quantity", Kind.DECIMAL, required=True),
            Column("month", Kind.MONTH),
        ),
        required=True,
    ),
    Table(
        "machines",
        (
            _code("machine", defines=True),
            _code("cluster", "clusters"),
            _code("site", "sites", required=False),
            _code("service", "services"),
            _code("account", "accounts"),
            Column("resource_group", Kind.CODE, default="Classic Infrastructure"),
            _amount("avg_power_w", required=True),
            _amount("hours", required=True),
            _quality(default="average_power"),
        ),
        key=("machine",),
    ),
    Table(
        "site_hours",
        (
            _code("site", "sites"),
            Column("hour", Kind.WHOLE, required=True, minimum=_ZERO),
            _amount("kwh", required=True),
            _amount("residual_g_per_kwh"),
        ),
        key=("site", "hour"),
        beyond=True,
    ),
    Table(
        "instrument_hours",
        (
            _code("instrument", "instruments"),
            Column("hour", Kind.WHOLE, required=True, minimum=_ZERO),
            _amount("kwh", required=True),
        ),
        key=("instrument", "hour"),
        beyond=True,
    ),
    Table(
        "usage_periods",
        (
            _code("cluster", "clusters"),
            _code("service", "services"),
            _code("account", "accounts"),
            Column("resource_group", Kind.CODE, default="default"),
            Column("period", Kind.WHOLE, required=True, minimum=_ZERO),
            _amount("quantity", required=True),
        ),
        key=("cluster", "service", "account", "resource_group", "period"),
        beyond=True,
    ),
    Table(
        "cross_use",
        (
            _code("cluster", "clusters"),
            _code("service", "services"),
            _code("consumer_cluster", "clusters"),
            _code("consumer", "services"),
            _amount("quantity", required=True),
        ),
        key=("cluster", "service", "consumer_cluster", "consumer"),
        beyond=True,
    ),
    Table(
        "uncertainties",
        (
            _choice("source", "sites", "direct_gases", "assets", "shared_pools"),
            _code("code"),
            _choice("line", *LINES),
            _amount("activity_percent", default=_ZERO),
            _code("factor", required=False),
            _amount("factor_percent"),
        ),
        key=("source", "code", "line"),
        beyond=True,
    ),
    Table(
        "coverage",
        (
            _code("service", "services", required=False),
            Column("covered", Kind.BOOLEAN, default=True),
            _amount("threshold_kg", default=_ZERO),
        ),
        key=("service",),
        beyond=True,
    ),
)

TABLES: Final[Mapping[str, Table]] = {table.name: table for table in _ALL}

SEVERITIES: Final = ("package", "row", "flag")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with, or worth knowing about, an input (docs/package-format.md, section 7)."""

    code: str
    severity: str
    file: str | None
    row: int | None
    message: str
    field: str | None = None


class PackageRejectedError(Exception):
    """The activity cannot be allocated; `findings` holds every reason found."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(f"{f.code}: {f.message}" for f in findings))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Options:
    """Effective options of a methodology version: preset defaults with overrides applied (section 2).

    Fields with a default here are options beyond version 1.
    """

    lines: tuple[str, ...]
    rack_weight: str
    pool_driver: str
    unused: str
    machines: str
    dependencies: str
    step_down_order: tuple[str, ...]
    closed_class: str
    fallback: tuple[str, ...]
    fallback_months: int
    early_retirement: str
    vintage_window_months: int
    closure_tolerance: Decimal
    matching: str
    rounds: int = 0
    pool_base: str = "external"


@dataclass(frozen=True, slots=True)
class Header:
    """What `package.toml` says. `month` is the first day; `hours` its exact length in `timezone`."""

    provider: str
    month: dt.date
    timezone: str
    hours: int
    methodology: str
    methodology_version: str
    preset: str
    gwp_set: str
    options: Options


@dataclass(frozen=True, slots=True)
class Activity:
    """A month of one provider without its usage: the header and every small table (see the module's text)."""

    header: Header
    tables: Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Usage:
    """Summed usage of one cluster, integer-coded.

    One entry per (service, account, group) with a usage row that names the cluster itself or its region; `service`,
    `account` and `group` index into `services`, `accounts` and `groups` (codes; rows of core services keep the group as
    given, the engine renames it). The exact net quantity is `quantity[i] / (10 ** decimals * divisor)`: `quantity` is
    int64, or `object` with Python integers where int64 is too small. Any order; duplicates are summed.
    """

    services: tuple[str, ...]
    accounts: tuple[str, ...]
    groups: tuple[str, ...]
    service: npt.NDArray[np.int32]
    account: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    quantity: npt.NDArray[np.int64] | npt.NDArray[np.object_]
    decimals: int = 0
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Ledger:
    """Leaves of one cluster: one entry per leaf and existing line, energy included, in the order of the export.

    `service`, `account`, `group` and `line` index into the tuples of codes. `ug` is int64 (Wh for the energy line),
    `estimated_ug` the estimated part of it, `estimated_ppm` the estimated share in 10⁻⁶ rounded half to even, `quality`
    an index into `QUALITIES` (for the energy line too).
    """

    cluster: str
    services: tuple[str, ...]
    accounts: tuple[str, ...]
    groups: tuple[str, ...]
    lines: tuple[str, ...]
    service: npt.NDArray[np.int32]
    account: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]
    line: npt.NDArray[np.int16]
    ug: npt.NDArray[np.int64]
    estimated_ug: npt.NDArray[np.int64]
    estimated_ppm: npt.NDArray[np.int32]
    quality: npt.NDArray[np.int16]
    source_ug: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
