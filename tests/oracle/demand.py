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
    """Where one service's direct emissions end up.

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


def flow_of(package: Package, demand: Demand, services: Iterable[str]) -> Flow:
    """Solve step 6 for one cluster; `services` are those that may have direct emissions."""
    method = package.methodology.choice("dependencies")
    nodes = {*services, *(leaf.service for leaf in demand.usage)}
    use = demand.use if method != "direct" else {}
    nodes |= {node for s, consumers in use.items() for node in (s, *consumers)}
    order = sorted(nodes)
    if method == "step_down":
        first = package.methodology.step_down_order
        order = [s for s in first if s in nodes] + [s for s in order if s not in first]
        rank = {service: position for position, service in enumerate(order)}
        use = {s: {j: q for j, q in consumers.items() if rank[j] > rank[s]} for s, consumers in use.items()}
    quantity = {s: sum(demand.usage_of(s).values(), ZERO) + sum(use.get(s, {}).values(), ZERO) for s in order}
    if method == "rounds":
        shares = {s: {j: q / quantity[s] for j, q in use.get(s, {}).items() if q} for s in order}
        gross, rest = _rounds(order, shares, package.methodology.rounds)
        return Flow(gross, quantity, frozenset(s for s in order if quantity[s] == 0), frozenset(), rest)
    closed = _closed(demand, use, quantity)
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


def _closed(demand: Demand, use: dict[str, dict[str, Fraction]], quantity: dict[str, Fraction]) -> frozenset[str]:
    """Services from which no path leads to a service with usage or without any output."""
    open_ = {s for s, total in quantity.items() if total == 0 or any(demand.usage_of(s).values())}
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
