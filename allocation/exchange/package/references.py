"""Foreign keys of the small tables, and what a rack's role or dedication forbids (section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from allocation.engine.frames import TABLES, Finding
from allocation.exchange.package.findings import shown
from allocation.exchange.package.manifest import FILE as MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from allocation.engine.frames import Header
    from allocation.exchange.package.findings import Findings

_UNKNOWN: Final[Mapping[str, str]] = {
    "clusters": "UNKNOWN_CLUSTER",
    "sites": "UNKNOWN_SITE",
    "services": "UNKNOWN_SERVICE",
    "accounts": "UNKNOWN_ACCOUNT",
    "racks": "UNKNOWN_RACK",
    "instruments": "UNKNOWN_INSTRUMENT",
    "markets": "UNKNOWN_MARKET",
}
_CLUSTER_OR_REGION: Final = ("clusters", "regions")
_BEARING: Final = (
    ("racks", "service"),
    ("rack_use", "service"),
    ("machines", "service"),
    ("service_use", "consumer"),
    ("cross_use", "consumer"),
)
"""Where a service gets emissions from."""
_OWNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "site": ("sites",),
    "rack": ("racks",),
    "pool": _CLUSTER_OR_REGION,
}


@dataclass(frozen=True, slots=True)
class _Codes:
    """Codes that can be referred to, by table; `regions` and `markets` have no table of their own."""

    by_table: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame]) -> _Codes:
        named = ("clusters", "sites", "racks", "services", "accounts", "instruments")
        by_table = {name: frozenset(tables[name][TABLES[name].key[0]]) for name in named}
        by_table["regions"] = frozenset(tables["clusters"]["region"].dropna())
        sites = tables["sites"]
        by_table["markets"] = frozenset(sites["market"].where(sites["market"].notna(), sites["cluster"]))
        return cls(by_table)

    def hold(self, code: str, references: tuple[str, ...]) -> bool:
        return any(code in self.by_table[name] for name in references)


def check_references(header: Header, tables: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    """Report every code of the small tables that leads nowhere and every rack that holds what it must not."""
    codes = _Codes.of(tables)
    for name, frame in tables.items():
        for column in TABLES[name].columns:
            if column.references:
                for row, (code,) in _rows(frame, column.name):
                    if code is not None and not codes.hold(code, column.references):
                        findings.add(_unknown(TABLES[name].file, column.name, column.references, row, code))
    _check_owners(tables, codes, findings)
    _check_resources(tables, findings)
    _check_sites(tables, findings)
    _check_roles(tables, findings)
    _check_step_down(header, codes, findings)
    _check_uncertainties(tables, findings)
    _check_coverage(tables, findings)


def _rows(frame: pd.DataFrame, *names: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield (row number, values of the named columns)."""
    for number, *values in zip(frame["row"], *(frame[name] for name in names), strict=True):
        yield int(number), tuple(values)


def _unknown(file: str, column: str, references: tuple[str, ...], row: int, code: str) -> Finding:
    message = f"{column} {shown(code)} is not among the {' or '.join(references)}"
    return Finding(_UNKNOWN[references[0]], "package", file, row, message, column)


def _check_owners(tables: Mapping[str, pd.DataFrame], codes: _Codes, findings: Findings) -> None:
    """Check the owners of assets; that of a rack must name a cluster, not a region."""
    racks = tables["racks"]
    place = dict(zip(racks["rack"], racks["cluster"], strict=True))
    for row, (kind, owner) in _rows(tables["assets"], "owner_kind", "owner"):
        if owner is None:
            continue
        if not codes.hold(owner, _OWNERS[kind]):
            findings.add(_unknown("assets.csv", "owner", _OWNERS[kind], row, owner))
        elif kind == "rack" and not codes.hold(place[owner], ("clusters",)):
            message = f"owner {shown(owner)} is a rack of a region; an asset belongs to a rack of a cluster"
            findings.reject("UNKNOWN_RACK", "assets.csv", message, row=row, field="owner")


def _check_resources(tables: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    resources = tables["rack_resources"]
    racks = tables["racks"]
    # Unknown, dedicated and other racks have findings of their own.
    open_racks = frozenset(racks["rack"][(racks["role"] == "service") & racks["service"].isna()])
    known = frozenset(zip(resources["rack"], resources["resource"], strict=True))
    for row, (rack, resource) in _rows(tables["rack_use"], "rack", "resource"):
        if rack in open_racks and (rack, resource) not in known:
            message = f"resource {shown(resource)} of rack {shown(rack)} is not among the rack_resources"
            findings.reject("UNKNOWN_RESOURCE", "rack_use.csv", message, row=row, field="resource")


def _check_sites(tables: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    sites = tables["sites"]
    place = dict(zip(sites["site"], sites["cluster"], strict=True))
    for name in ("racks", "machines"):
        for row, (site, cluster) in _rows(tables[name], "site", "cluster"):
            if site in place and place[site] != cluster:
                message = f"site {shown(site)} belongs to cluster {shown(place[site])}, not to {shown(cluster)}"
                findings.reject("SITE_CLUSTER_MISMATCH", TABLES[name].file, message, row=row, field="site")


def _check_roles(tables: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    """Only racks of role `service` serve, and a dedicated one has no use of its resources."""
    roles: dict[str, str] = {}
    dedicated: set[str] = set()
    for row, (rack, role, service) in _rows(tables["racks"], "rack", "role", "service"):
        roles[rack] = role
        if service is not None:
            dedicated.add(rack)
            if role != "service":
                message = f"a rack of role {role} serves no service"
                findings.reject("RACK_USE_CONFLICT", "racks.csv", message, row=row, field="service")
    for name in ("rack_resources", "rack_use"):
        for row, (rack,) in _rows(tables[name], "rack"):
            if roles.get(rack, "service") != "service":
                message = f"rack {shown(rack)} is of role {roles[rack]}"
            elif name == "rack_use" and rack in dedicated:
                message = f"the whole of rack {shown(rack)} serves one service"
            else:
                continue
            findings.reject("RACK_USE_CONFLICT", TABLES[name].file, message, row=row, field="rack")


def _check_step_down(header: Header, codes: _Codes, findings: Findings) -> None:
    for service in header.options.step_down_order:
        if not codes.hold(service, ("services",)):
            message = f"step_down_order: there is no service {shown(service)}"
            findings.reject("BAD_OPTION", MANIFEST, message, field="step_down_order")


def _check_uncertainties(tables: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    """Every uncertainty is about a row of the package, and a factor has one uncertainty."""
    percents: dict[str, object] = {}
    columns = "source", "code", "factor", "factor_percent"
    for row, (source, code, factor, percent) in _rows(tables["uncertainties"], *columns):
        if code not in set(tables[source][TABLES[source].key[0]]):
            message = f"{shown(code)} is not among the {source}"
            findings.reject("UNKNOWN_SOURCE", "uncertainties.csv", message, row=row, field="code")
        if factor is not None and percents.setdefault(factor, percent) != percent:
            message = f"factor {shown(factor)} has an uncertainty of {percents[factor]} % already"
            findings.reject("FACTOR_CONFLICT", "uncertainties.csv", message, row=row, field="factor_percent")


def _check_coverage(tables: Mapping[str, pd.DataFrame], findings: Findings) -> None:
    """A service that is not covered bears nothing: what is measured of it would be neither told nor left out."""
    coverage = tables["coverage"]
    left_out = frozenset(coverage["service"][coverage["covered"].eq(other=False)])
    for name, column in _BEARING:
        for row, (service,) in _rows(tables[name], column):
            if service is not None and service in left_out:
                message = f"{column} {shown(service)} is not covered according to coverage.csv"
                findings.reject("COVERAGE_CONFLICT", TABLES[name].file, message, row=row, field=column)
