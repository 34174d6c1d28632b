"""Net usage by leaf, use between services, and how a service's total moves on (step 6)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.energy import ZERO
from tests.oracle.reader import Package
from tests.oracle.table import Row

CORE_GROUP = "(core services)"


class Leaf(NamedTuple):
    """The finest cell of the ledger."""

    cluster: str
    service: str
    account: str
    group: str

    @property
    def key(self) -> str:
        """What leaves are sorted by, by code point."""
        return "|".join(self)


@dataclass
class Demand:
    """One cluster: net usage by leaf (negative nets counted as 0) and use[provider][consumer]."""

    usage: dict[Leaf, Fraction] = field(default_factory=dict)
    use: dict[str, dict[str, Fraction]] = field(default_factory=dict)
    by_service: dict[str, dict[Leaf, Fraction]] = field(default_factory=dict)

    def set_usage(self, leaf: Leaf, net: Fraction) -> None:
        """Note the net usage of a leaf."""
        self.usage[leaf] = net
        self.by_service.setdefault(leaf.service, {})[leaf] = net

    def usage_of(self, service: str) -> dict[Leaf, Fraction]:
        """The leaves of one service with their net usage."""
        return self.by_service.get(service, {})


@dataclass(frozen=True)
class Flow:
    """Where the direct emissions of one node end up; nodes are services in clusters.

    `gross[s][j]`: share of the direct emissions of s in the total T of j. `stuck`: services whose
    total no leaf takes (step 8). `quantity[s]`: Q. `closed`: members of closed classes. `rest[s][j]`:
    share of the direct emissions of s that stays with j after the last of `rounds`.
    """

    gross: dict[str, dict[str, Fraction]]
    quantity: dict[str, Fraction]
    stuck: frozenset[str]
    closed: frozenset[str]
    rest: dict[str, dict[str, Fraction]] = field(default_factory=dict)


def leaf_of(package: Package, cluster: str, row: Row, group: str) -> Leaf:
    """The leaf of a usage row or machine; services of kind `core` have one group."""
    service = row.text("service")
    core = package.core_services
    return Leaf(
        cluster,
        service,
        row.text("account"),
        CORE_GROUP if service in core else row.text("resource_group", group),
    )


def read_demand(package: Package, rows: list[Row]) -> dict[str, Demand]:
    """Sum usage and service use by cluster; flag negative nets."""
    demand = {cluster: Demand() for cluster in package.clusters}
    nets: dict[Leaf, Fraction] = defaultdict(Fraction)
    for row in rows:
        clusters = package.stands_for(row.text("cluster"))
        if not clusters:
            package.find("NO_SOURCE", "flag", "usage", None)
        for cluster in clusters:
            leaf = leaf_of(package, cluster, row, "default")
            nets[leaf] += row.exact("quantity") / len(clusters)
    for leaf, net in nets.items():
        if net < 0:
            package.find("NEGATIVE_NET_USAGE", "flag", "usage", None)
        demand[leaf.cluster].set_usage(leaf, max(net, ZERO))
    for row in package.tables["service_use"]:
        clusters = package.stands_for(row.text("cluster"))
        for cluster in clusters:
            consumers = demand[cluster].use.setdefault(row.text("service"), {})
            consumer = row.text("consumer")
            quantity = row.exact("quantity") / len(clusters)
            consumers[consumer] = consumers.get(consumer, ZERO) + quantity
    return demand


def node_of(cluster: str, service: str) -> str:
    """The name of a service in a cluster."""
    return f"{cluster}|{service}"


def split_node(node: str) -> tuple[str, str]:
    """The cluster and the service of a node."""
    cluster, _, service = node.partition("|")
    return cluster, service


def use_of(package: Package, demand: dict[str, Demand]) -> dict[str, dict[str, Fraction]]:
    """What nodes use of nodes: use[provider][consumer], within clusters and across."""
    use: dict[str, dict[str, Fraction]] = {}
    for cluster, its in demand.items():
        for service, consumers in its.use.items():
            use[node_of(cluster, service)] = {node_of(cluster, j): q for j, q in consumers.items()}
    for row in package.tables["cross_use"]:
        consumer = node_of(row.text("consumer_cluster"), row.text("consumer"))
        use.setdefault(node_of(row.text("cluster"), row.text("service")), {})[consumer] = row.exact("quantity")
    return {} if package.methodology.choice("dependencies") == "direct" else use


def fed_from(cluster: str, use: dict[str, dict[str, Fraction]]) -> set[str]:
    """The nodes of other clusters that something of a cluster can flow to."""
    found = {node for node in use if split_node(node)[0] == cluster}
    grew = True
    while grew:
        more = {j for node in found for j, q in use.get(node, {}).items() if q} - found
        found |= more
        grew = bool(more)
    return {node for node in found if split_node(node)[0] != cluster}


def flow_of(package: Package, demand: dict[str, Demand], direct: Iterable[str]) -> Flow:
    """Solve step 6 for all clusters; `direct` are the nodes that may have direct emissions."""
    method = package.methodology.choice("dependencies")
    sold = {
        node_of(cluster, service): sum(leaves.values(), ZERO)
        for cluster, its in demand.items()
        for service, leaves in its.by_service.items()
    }
    use = use_of(package, demand)
    nodes = {*direct, *sold} | {node for s, consumers in use.items() for node in (s, *consumers)}
    order = sorted(nodes, key=lambda node: split_node(node)[::-1])
    if method == "step_down":
        first = package.methodology.step_down_order
        named = [node for service in first for node in order if split_node(node)[1] == service]
        order = named + [node for node in order if node not in named]
        rank = {node: position for position, node in enumerate(order)}
        use = {s: {j: q for j, q in consumers.items() if rank[j] > rank[s]} for s, consumers in use.items()}
    quantity = {s: sold.get(s, ZERO) + sum(use.get(s, {}).values(), ZERO) for s in order}
    if method == "rounds":
        shares = {s: {j: q / quantity[s] for j, q in use.get(s, {}).items() if q} for s in order}
        gross, rest = _rounds(order, shares, package.methodology.rounds)
        return Flow(gross, quantity, frozenset(s for s in order if quantity[s] == 0), frozenset(), rest)
    closed = _closed(sold, use, quantity)
    shares = {s: {j: q / quantity[s] for j, q in use.get(s, {}).items() if q} for s in order if s not in closed}
    stuck = frozenset(s for s in order if quantity[s] == 0) | closed
    return Flow(_gross(order, shares), quantity, stuck, closed)


def _rounds(
    order: list[str], shares: dict[str, dict[str, Fraction]], rounds: int
) -> tuple[dict[str, dict[str, Fraction]], dict[str, dict[str, Fraction]]]:
    """By service: what of a unit comes by within the rounds, and where it is after the last one."""
    gross: dict[str, dict[str, Fraction]] = {}
    rest: dict[str, dict[str, Fraction]] = {}
    for s in order:
        here, gross[s] = {s: Fraction(1)}, {}
        for _ in range(rounds):
            there: dict[str, Fraction] = {}
            for j, amount in here.items():
                gross[s][j] = gross[s].get(j, ZERO) + amount
                for consumer, share in shares[j].items():
                    there[consumer] = there.get(consumer, ZERO) + amount * share
            here = there
        rest[s] = here
    return gross, rest


def _closed(
    sold: dict[str, Fraction], use: dict[str, dict[str, Fraction]], quantity: dict[str, Fraction]
) -> frozenset[str]:
    """Services from which no path leads to a service with usage or without any output."""
    open_ = {s for s, total in quantity.items() if total == 0 or sold.get(s)}
    grew = True
    while grew:
        more = {
            s for s, consumers in use.items() if s not in open_ and any(q and j in open_ for j, q in consumers.items())
        }
        open_ |= more
        grew = bool(more)
    return frozenset(set(quantity) - open_)


def _gross(order: list[str], shares: dict[str, dict[str, Fraction]]) -> dict[str, dict[str, Fraction]]:
    """Solve T = D + P^T T for a unit of D in each service: row s of the inverse of I - P.

    Plain Gauss-Jordan elimination on sparse rows; `closed classes` have been cut out before, so
    that every pivot is positive.
    """
    left = {s: {s: Fraction(1)} for s in order}
    inverse = {s: {s: Fraction(1)} for s in order}
    for s, consumers in shares.items():
        for j, share in consumers.items():
            left[s][j] = left[s].get(j, ZERO) - share
    for pivot in order:
        scale = left[pivot][pivot]
        left[pivot] = {j: value / scale for j, value in left[pivot].items()}
        inverse[pivot] = {j: value / scale for j, value in inverse[pivot].items()}
        for s in order:
            factor = left[s].get(pivot, ZERO) if s != pivot else ZERO
            if factor:
                _subtract(left[s], factor, left[pivot])
                _subtract(inverse[s], factor, inverse[pivot])
    return inverse


def _subtract(row: dict[str, Fraction], factor: Fraction, other: dict[str, Fraction]) -> None:
    for column, value in other.items():
        row[column] = row.get(column, ZERO) - factor * value
