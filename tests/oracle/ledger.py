"""The expected ledger of a package, byte for byte, with its findings.

This is the slow way: fractions from the first cell to the last, no database, no floats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tests.oracle.calculation import (
    UNALLOCATED,
    UNUSED,
    Cluster,
    LineResult,
    PreviousShares,
    Recipient,
    allocate_line,
    weigh_clusters,
)
from tests.oracle.demand import CORE_GROUP, Demand, Leaf, node_of, read_demand, split_node
from tests.oracle.energy import Energy, measure_energy, weakest
from tests.oracle.methodology import FILE, month_index
from tests.oracle.peaks import weigh_peaks
from tests.oracle.postings import Pair, Source, check_hours, post_all
from tests.oracle.reader import Package, RejectedError, accept_usage, read_package
from tests.oracle.table import Finding

COLUMNS = "provider,month,methodology_version,cluster,service,account,resource_group,line,ug,quality,estimated_share"


@dataclass(frozen=True)
class Allocation:
    """Everything exact about one package: results by (cluster, line) and the energy line."""

    package: Package
    sources: dict[Pair, Source]
    lines: dict[Pair, LineResult]
    clusters: dict[str, Cluster]
    energy: Energy
    previous: PreviousShares


def expected_ledger(package_dir: Path, history: Sequence[Path] = ()) -> tuple[str, list[Finding]]:
    """The ledger export (package-format section 6) and all findings, sorted, without repeats.

    Args:
        package_dir: folder of the package.
        history: folders of packages of the same provider loaded before, oldest first.

    Returns:
        The CSV text, empty if the package is rejected, and the findings.
    """
    try:
        allocation = allocate(package_dir, history)
    except RejectedError as rejected:
        return "", _tidy(rejected.findings)
    return _export(allocation), _tidy(allocation.package.findings)


def expected_energy_wh(package_dir: Path, history: Sequence[Path] = ()) -> dict[Leaf, int]:
    """Facility energy in Wh by leaf (the pseudo-line `energy_wh`), leaves with 0 left out.

    Raises:
        RejectedError: if the package is rejected.
    """
    allocation = allocate(package_dir, history)
    shares: dict[Leaf, int] = {}
    for code, cluster in allocation.clusters.items():
        sites = allocation.energy.of_cluster(code)
        source = Source(exact_ug=sum((site.energy_kwh for site in sites), Fraction(0)) * 1000)
        result = allocate_line(cluster, source, allocation.previous)
        shares |= apportion(source.source_ug, _wholes(result))
    return {leaf: wh for leaf, wh in shares.items() if wh}


def allocate(package_dir: Path, history: Sequence[Path] = ()) -> Allocation:
    """Steps 1 to 8 of a package.

    Raises:
        RejectedError: if the package is rejected.
    """
    package = read_package(package_dir)
    earlier = [read_package(path) for path in history]
    _check_version(package, earlier)
    energy = measure_energy(package)
    check_hours(package, energy)
    package.stop_if_rejected()
    demand = read_demand(package, accept_usage(package))
    weigh_peaks(package, demand)
    clusters = {cluster.code: cluster for cluster in weigh_clusters(package, energy, demand)}
    _check_dependencies(package, clusters)
    package.stop_if_rejected()
    previous = _previous_shares(package, earlier)
    sources = post_all(package, energy)
    lines = {
        (cluster, line): allocate_line(clusters[cluster], source, previous)
        for (cluster, line), source in sources.items()
    }
    _flag_results(package, clusters, lines)
    return Allocation(package, sources, lines, clusters, energy, previous)


def apportion(total: int, exact: Mapping[Leaf, Fraction]) -> dict[Leaf, int]:
    """Step 9: largest remainders; ties by ascending leaf key."""
    floors = {leaf: z.numerator // z.denominator for leaf, z in exact.items()}
    missing = total - sum(floors.values())
    by_remainder = sorted(exact, key=lambda leaf: (floors[leaf] - exact[leaf], leaf.key))
    for leaf in by_remainder[:missing]:
        floors[leaf] += 1
    return floors


def _tidy(findings: list[Finding]) -> list[Finding]:
    return sorted(set(findings), key=lambda f: (f.file, f.row or 0, f.code))


def _wholes(result: LineResult) -> dict[Leaf, Fraction]:
    return {leaf: amount.whole for leaf, amount in result.leaves.items()}


def _check_version(package: Package, earlier: list[Package]) -> None:
    mine = package.methodology
    for other in (one.methodology for one in earlier):
        same = (other.provider, other.version) == (mine.provider, mine.version)
        if same and other.effective_options() != mine.effective_options():
            package.findings.append(Finding("VERSION_CONFLICT", "package", FILE, None))
    package.stop_if_rejected()


def _check_dependencies(package: Package, clusters: Mapping[str, Cluster]) -> None:
    if package.methodology.choice("dependencies") == "direct":
        if package.tables["service_use"]:
            package.find("DEPENDENCIES_IGNORED", "flag", "service_use", None)
        if package.tables["cross_use"]:
            package.find("DEPENDENCIES_IGNORED", "flag", "cross_use", None)
    elif any(cluster.flow.closed for cluster in clusters.values()):
        strict = package.methodology.choice("closed_class") == "error"
        package.find("CLOSED_CLASS", "package" if strict else "flag", "service_use", None)


def _flag_results(package: Package, clusters: Mapping[str, Cluster], lines: Mapping[Pair, LineResult]) -> None:
    for (code, _line), result in lines.items():
        if result.moved:
            package.find("NO_USAGE_FALLBACK", "flag", "usage", None)
        if result.empty_cluster:
            package.find("EMPTY_CLUSTER", "flag", "clusters", package.row_of("clusters", code))
    with_lines = {code for code, _line in lines}
    for code, cluster in clusters.items():
        if cluster.demand.usage and code not in with_lines:
            package.find("NO_SOURCE", "flag", "clusters", package.row_of("clusters", code))


def _previous_shares(package: Package, earlier: list[Package]) -> PreviousShares:
    """Usage shares of the newest package of each earlier month, latest month first."""
    mine = package.methodology
    newest = {one.methodology.month: one for one in earlier if one.methodology.provider == mine.provider}
    demands: list[dict[str, Demand]] = [
        read_demand(newest[month], accept_usage(newest[month]))
        for month in sorted(newest, reverse=True)
        if 1 <= month_index(mine.month) - month_index(month) <= mine.fallback_months
    ]

    def shares(cluster: str, service: str) -> dict[Leaf, Fraction]:
        for demand in demands:
            usage = demand[cluster].usage_of(service) if cluster in demand else {}
            total = sum(usage.values())
            if total:
                found: dict[Leaf, Fraction] = {}
                for leaf, quantity in usage.items():
                    mapped = leaf._replace(group=CORE_GROUP) if service in package.core_services else leaf
                    if quantity:
                        found[mapped] = found.get(mapped, Fraction(0)) + quantity / total
                return found
        return {}

    return shares


def _export(allocation: Allocation) -> str:
    methodology = allocation.package.methodology
    start = (methodology.provider, methodology.month, methodology.version)
    records = [COLUMNS.split(",")]
    classes = {code: LeafClasses.of(allocation, code) for code in allocation.clusters}
    for pair in sorted(allocation.lines):
        code, line = pair
        source, result = allocation.sources[pair], allocation.lines[pair]
        exact = dict.fromkeys(classes[code].fed_by_previous, Fraction(0)) | _wholes(result)
        ug = apportion(source.total_ug, exact)
        assert sum(ug.values()) == source.total_ug == sum(exact.values())
        for leaf in sorted(ug, key=lambda leaf: leaf.key):
            amount = result.leaves.get(leaf)
            estimated = amount.parts[1] / amount.whole if amount and amount.whole else Fraction(0)
            quality = weakest(source.qualities | classes[code].of_leaf(leaf))
            records.append([*start, *leaf, line, str(ug[leaf]), quality, six_decimals(estimated)])
    return "".join(",".join(map(_quoted, record)) + "\n" for record in records)


def _fed_by_previous(allocation: Allocation, code: str) -> set[Leaf]:
    """Leaves of a cluster that `previous_shares` reached on at least one line."""
    return {
        leaf for (cluster, _), result in allocation.lines.items() if cluster == code for leaf in result.from_previous
    }


@dataclass(frozen=True)
class LeafClasses:
    """The qualities of the energy behind the leaves of a cluster."""

    cluster: Cluster
    reached: dict[Recipient, set[str]]
    fed_by_previous: set[Leaf]
    machines_of: dict[Leaf, list[str]]
    unallocated: set[str]

    @classmethod
    def of(cls, allocation: Allocation, code: str) -> "LeafClasses":
        """Run the energy of one cluster through steps 3 to 6."""
        cluster = allocation.clusters[code]
        machines_of: dict[Leaf, list[str]] = {}
        for machine, leaf in cluster.leaf_of_machine.items():
            machines_of.setdefault(leaf, []).append(machine)
        fed = _fed_by_previous(allocation, code)
        left = {node for (place, _), result in allocation.lines.items() if place == code for node in result.unallocated}
        return cls(cluster, cluster.energy_classes(), fed, machines_of, left)

    def of_leaf(self, leaf: Leaf) -> set[str]:
        """Classes of the leaf's service node, of its machines, or of both."""
        if leaf.service == UNUSED:
            return self.cluster.all_classes()
        machines = self.machines_of.get(leaf, [])
        classes = {q for code in machines for q in self.reached.get(("machine", code), ())}
        own = node_of(self.cluster.code, leaf.service)
        nodes = {node for node in {own, *self.cluster.fed} if leaf in self.cluster.sold(node)}
        if self.cluster.bears_pool(leaf) and (machines or nodes):
            classes |= self.cluster.pool_classes()
        if leaf in self.fed_by_previous:
            nodes.add(own)
        if leaf.account == UNALLOCATED:
            nodes |= {node for node in self.unallocated if split_node(node)[1] == leaf.service}
        for node in nodes:
            classes |= self.reached.get(("service", node), set())
        return classes


def six_decimals(share: Fraction) -> str:
    """A share rounded half to even, always with six decimals."""
    millionths = round(share * 10**6)
    return f"{millionths // 10**6}.{millionths % 10**6:06d}"


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field
