"""Reading a package folder: the layers of checks up to references, and the usage rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from tests.oracle.methodology import FILE, Methodology, read_methodology
from tests.oracle.table import REQUIRED_TABLES, TABLES, Finding, Row, read_table, row_faults


class RejectedError(Exception):
    """The package is rejected; `findings` are those of all layers up to the one that failed."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = findings


@dataclass
class Package:
    """A package whose references hold. `findings` grows while later layers look at it.

    `usage_layout` are the findings about usage rows with a wrong number of fields, reported with
    the other findings about usage.
    """

    methodology: Methodology
    tables: dict[str, list[Row]]
    findings: list[Finding] = field(default_factory=list)
    usage_layout: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clusters = [row.text("cluster") for row in self.tables["clusters"]]
        self.sites_of: dict[str, list[Row]] = {cluster: [] for cluster in self.clusters}
        for site in self.tables["sites"]:
            self.sites_of.setdefault(site.text("cluster"), []).append(site)
        self.core_services = {row.text("service") for row in self.tables["services"] if row.text("kind") == "core"}
        self.internal_accounts = {
            row.text("account") for row in self.tables["accounts"] if row.text("internal") == "true"
        }
        self.regions: dict[str, list[str]] = {}
        for row in self.tables["clusters"]:
            if row.has("region"):
                active = self.regions.setdefault(row.text("region"), [])
                if self.sites_of[row.text("cluster")]:
                    active.append(row.text("cluster"))

    @property
    def active(self) -> list[str]:
        """Clusters with at least one site."""
        return [cluster for cluster in self.clusters if self.sites_of[cluster]]

    def stands_for(self, code: str) -> list[str]:
        """The clusters a *cluster or region* code means; a region means its active ones."""
        return [code] if code in self.sites_of else self.regions[code]

    def is_region(self, code: str) -> bool:
        """Whether a *cluster or region* code is a region (clusters are looked up first)."""
        return code not in self.sites_of

    def row_of(self, table: str, code: str) -> int:
        """Line number of the row that defines a code (first column of the key)."""
        key = TABLES[table].key[0]
        return next(row.number for row in self.tables[table] if row.text(key) == code)

    def find(self, code: str, severity: str, table: str, row: int | None) -> None:
        """Note a finding about a table."""
        self.findings.append(Finding(code, severity, f"{table}.csv", row))

    def stop_if_rejected(self) -> None:
        """End a layer: raise RejectedError if a finding of package severity was noted."""
        if any(finding.severity == "package" for finding in self.findings):
            raise RejectedError(self.findings)


def read_package(folder: Path) -> Package:
    """Read and check the layers files, cells and references.

    Raises:
        RejectedError: if one of them rejects the package.
    """
    findings = list(_file_findings(folder))
    methodology = None
    if not any(finding.file == FILE for finding in findings):
        text = (folder / FILE).read_bytes().decode("utf-8")
        methodology, more = read_methodology(text)
        findings += more
    if methodology is None or any(finding.severity == "package" for finding in findings):
        raise RejectedError(findings)
    tables = {}
    usage_rows: list[Finding] = []
    for name in TABLES:
        path = folder / f"{name}.csv"
        tables[name], more = read_table(name, path) if path.exists() else ([], [])
        (usage_rows if name == "usage" else findings).extend(more)
    findings += [finding for finding in usage_rows if finding.severity == "package"]
    if any(finding.severity == "package" for finding in findings):
        raise RejectedError(findings)
    package = Package(methodology, tables, findings, usage_rows)
    _check_references(package)
    package.stop_if_rejected()
    return package


def _file_findings(folder: Path) -> Iterable[Finding]:
    names = {path.name for path in folder.iterdir() if path.is_file()}
    known = {FILE} | {f"{name}.csv" for name in TABLES}
    for name in sorted(({FILE} | {f"{table}.csv" for table in REQUIRED_TABLES}) - names):
        yield Finding("MISSING_FILE", "package", name, None)
    for name in sorted(names & known):
        try:
            (folder / name).read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            yield Finding("BAD_ENCODING", "package", name, None)
    for name in sorted(names - known):
        if not name.startswith("expected_"):
            yield Finding("UNKNOWN_FILE", "flag", name, None)


# table, column, what the column refers to
REFERENCES = (
    ("sites", "cluster", "cluster"),
    ("instruments", "market", "market"),
    ("direct_gases", "site", "site"),
    ("shared_pools", "cluster", "place"),
    ("racks", "cluster", "place"),
    ("racks", "site", "site"),
    ("racks", "service", "service"),
    ("rack_resources", "rack", "rack"),
    ("rack_use", "rack", "rack"),
    ("rack_use", "service", "service"),
    ("service_use", "cluster", "place"),
    ("service_use", "service", "service"),
    ("service_use", "consumer", "service"),
    ("machines", "cluster", "cluster"),
    ("machines", "site", "site"),
    ("machines", "service", "service"),
    ("machines", "account", "account"),
    ("site_hours", "site", "site"),
    ("instrument_hours", "instrument", "instrument"),
    ("usage_periods", "cluster", "cluster"),
    ("cross_use", "cluster", "cluster"),
    ("cross_use", "service", "service"),
    ("cross_use", "consumer_cluster", "cluster"),
    ("cross_use", "consumer", "service"),
    ("usage_periods", "service", "service"),
    ("usage_periods", "account", "account"),
    ("coverage", "service", "service"),
)


def _known_codes(package: Package) -> dict[str, set[str]]:
    """Per kind of reference the codes that exist."""
    tables = package.tables
    return {
        "cluster": set(package.clusters),
        "place": set(package.clusters) | set(package.regions),
        "market": {row.text("market", row.text("cluster")) for row in tables["sites"]},
    } | {
        name: {row.text(name) for row in tables[f"{name}s"]}
        for name in ("site", "rack", "service", "account", "instrument")
    }


def _check_references(package: Package) -> None:
    known = _known_codes(package)
    for table, column, target in REFERENCES:
        code = "UNKNOWN_CLUSTER" if target == "place" else f"UNKNOWN_{target.upper()}"
        for row in package.tables[table]:
            if row.has(column) and row.text(column) not in known[target]:
                package.find(code, "package", table, row.number)
    if not set(package.methodology.step_down_order) <= known["service"]:
        package.findings.append(Finding("BAD_OPTION", "package", FILE, None))
    _check_owners(package, known)
    _check_rack_tables(package, known)
    _check_gwp(package)
    _check_uncertainties(package)
    _check_coverage(package)


def _check_owners(package: Package, known: dict[str, set[str]]) -> None:
    in_a_cluster = {row.text("rack") for row in package.tables["racks"] if not package.is_region(row.text("cluster"))}
    allowed = {
        "site": ("UNKNOWN_SITE", known["site"]),
        "rack": ("UNKNOWN_RACK", in_a_cluster),
        "pool": ("UNKNOWN_CLUSTER", known["place"]),
    }
    for row in package.tables["assets"]:
        code, codes = allowed[row.text("owner_kind")]
        if row.has("owner") and row.text("owner") not in codes:
            package.find(code, "package", "assets", row.number)


def _check_rack_tables(package: Package, known: dict[str, set[str]]) -> None:
    site_cluster = {row.text("site"): row.text("cluster") for row in package.tables["sites"]}
    for table in ("racks", "machines"):
        for row in package.tables[table]:
            site = row.text("site")
            if site in known["site"] and site_cluster[site] != row.text("cluster"):
                package.find("SITE_CLUSTER_MISMATCH", "package", table, row.number)
    for row in package.tables["racks"]:
        if row.has("service") and row.text("role") != "service":
            package.find("RACK_USE_CONFLICT", "package", "racks", row.number)
    _check_rack_use(package, {row.text("rack"): row for row in package.tables["racks"]})


def _check_rack_use(package: Package, racks: dict[str, Row]) -> None:
    resources = set()
    for row in package.tables["rack_resources"]:
        resources.add((row.text("rack"), row.text("resource")))
        rack = racks.get(row.text("rack"))
        if rack and rack.text("role") != "service":
            package.find("RACK_USE_CONFLICT", "package", "rack_resources", row.number)
    for row in package.tables["rack_use"]:
        rack = racks.get(row.text("rack"))
        if rack and (rack.text("role") != "service" or rack.has("service")):
            package.find("RACK_USE_CONFLICT", "package", "rack_use", row.number)
        elif rack and (row.text("rack"), row.text("resource")) not in resources:
            package.find("UNKNOWN_RESOURCE", "package", "rack_use", row.number)


def _check_uncertainties(package: Package) -> None:
    percent: dict[str, str] = {}
    for row in package.tables["uncertainties"]:
        table = row.text("source")
        if row.text("code") not in {other.text(TABLES[table].key[0]) for other in package.tables[table]}:
            package.find("UNKNOWN_SOURCE", "package", "uncertainties", row.number)
        if row.has("factor"):
            known = percent.setdefault(row.text("factor"), row.text("factor_percent"))
            if Fraction(known) != row.exact("factor_percent"):
                package.find("FACTOR_CONFLICT", "package", "uncertainties", row.number)


def _check_coverage(package: Package) -> None:
    left_out = {row.text("service") for row in package.tables["coverage"] if row.text("covered") == "false"}
    for table in ("racks", "rack_use", "machines"):
        for row in package.tables[table]:
            if row.text("service") in left_out:
                package.find("COVERAGE_CONFLICT", "package", table, row.number)
    for table in ("service_use", "cross_use"):
        for row in package.tables[table]:
            if row.text("consumer") in left_out:
                package.find("COVERAGE_CONFLICT", "package", table, row.number)


def _check_gwp(package: Package) -> None:
    gwp_set = package.methodology.gwp_set
    gases = {row.text("gas") for row in package.tables["gwp"] if row.text("gwp_set") == gwp_set}
    for row in package.tables["direct_gases"]:
        if row.text("gas") == "CO2e":
            if row.text("gwp_set") != gwp_set:
                package.find("MIXED_GWP", "package", "direct_gases", row.number)
        elif row.text("gas") not in gases:
            package.find("NO_FACTOR", "package", "direct_gases", row.number)
    for row in package.tables["shared_pools"]:
        if row.has("gwp_set") and row.text("gwp_set") != gwp_set:
            package.find("MIXED_GWP", "package", "shared_pools", row.number)
    for row in package.tables["sites"]:
        if not row.has("location_g_per_kwh"):
            package.find("NO_FACTOR", "package", "sites", row.number)


def accept_usage(package: Package) -> list[Row]:
    """Check the rows of `usage.csv`: those left, findings for the others.

    Raises:
        RejectedError: with more rejected rows than `max_rejected_rows`.
    """
    known = _known_codes(package)
    rejected = {finding.row for finding in package.usage_layout}
    package.findings += package.usage_layout
    rows = []
    for row in package.tables["usage"]:
        codes = list(row_faults("usage", row)) or _usage_reference_faults(package, known, row)
        for code in codes:
            package.find(code, "row", "usage", row.number)
        if codes:
            rejected.add(row.number)
        else:
            rows.append(row)
    if len(rejected) > package.methodology.max_rejected_rows:
        package.find("TOO_MANY_REJECTED", "package", "usage", None)
    elif rejected:
        package.find("ROWS_REJECTED", "flag", "usage", None)
    return rows


def _usage_reference_faults(package: Package, known: dict[str, set[str]], row: Row) -> list[str]:
    targets = {"cluster": "place", "service": "service", "account": "account"}
    codes = [f"UNKNOWN_{column.upper()}" for column, target in targets.items() if row.text(column) not in known[target]]
    if row.has("month") and row.text("month") != package.methodology.month:
        codes.append("MONTH_MISMATCH")
    return codes
