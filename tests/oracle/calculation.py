"""Steps 2 to 8 of section 5 for one cluster, exactly.

An amount is a tuple of parts that all move with the weights of its first part: (all, estimated)
micrograms of a line, or (all, one per quality) kWh for the quality of the leaves.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.demand import Demand, Flow, Leaf, fed_from, flow_of, leaf_of, node_of, split_node, use_of
from tests.oracle.energy import ZERO, Energy, Place, is_estimated
from tests.oracle.postings import Source
from tests.oracle.reader import Package
from tests.oracle.table import QUALITIES

UNUSED = "(unused)"
PROVIDER = "(provider)"
UNALLOCATED = "(unallocated)"


@dataclass(frozen=True)
class Amount:
    """A tuple of parts; the first is the whole and gives the weights."""

    parts: tuple[Fraction, ...]

    @property
    def whole(self) -> Fraction:
        """The part that decides."""
        return self.parts[0]

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __mul__(self, share: Fraction) -> "Amount":
        return Amount(tuple(a * share for a in self.parts))


# A recipient of a rack's emissions: ("service", code) or ("machine", code).
Recipient = tuple[str, str]
Amounts = dict[Recipient, Amount]


class Bag(dict[Recipient, Amount]):
    """Amounts by recipient that can be added to."""

    def add(self, recipient: Recipient, amount: Amount) -> None:
        """Add to what the recipient has."""
        self[recipient] = self[recipient] + amount if recipient in self else amount


@dataclass
class Settled:
    """A line after step 5: amounts by recipient, and unused capacity nobody bears."""

    direct: Bag
    unused: Amount


@dataclass
class Cluster:
    """The weights of one cluster, the same for all its lines."""

    package: Package
    code: str
    demand: Demand
    racks: list[Place]
    first: list[Place]
    weight_kwh: Fraction
    theta: dict[str, dict[Recipient, Fraction]]
    everywhere: dict[str, Demand]
    flow: Flow = field(init=False)
    leaf_of_machine: dict[str, Leaf] = field(init=False)

    def __post_init__(self) -> None:
        machines = [*self.first, *(place for place in self.racks if place.is_machine)]
        self.leaf_of_machine = {
            place.code: leaf_of(self.package, self.code, place.row, "Classic Infrastructure") for place in machines
        }
        p = self.cleared({place.key: Amount((place.p,)) for place in self.racks})
        self.used_kwh: dict[Recipient, Fraction] = {}
        for rack, amount in p.items():
            for user, share in self.theta[rack].items():
                self.used_kwh[user] = self.used_kwh.get(user, ZERO) + amount.whole * share
        self.fed = fed_from(self.code, use_of(self.package, self.everywhere))

    @property
    def direct_nodes(self) -> set[str]:
        """The nodes that racks serve."""
        users = {user for shares in self.theta.values() for user in shares}
        return {node_of(self.code, service) for kind, service in users if kind == "service"}

    def sold(self, node: str) -> dict[Leaf, Fraction]:
        """Net usage of a node by leaf of this cluster's ledger."""
        cluster, service = split_node(node)
        return {leaf._replace(cluster=self.code): q for leaf, q in self.everywhere[cluster].usage_of(service).items()}

    @property
    def takers(self) -> list[Place]:
        """All racks but the overhead."""
        return [place for place in self.racks if place.role in ("service", "spare")]

    def cleared(self, y: Mapping[str, Amount]) -> dict[str, Amount]:
        """Step 4: overhead racks pass theirs on in proportion to p (lost here if nobody can)."""
        takers = self.takers
        total = sum(place.p for place in takers)
        result = {place.key: y[place.key] for place in takers}
        for place in self.racks:
            if place not in takers and total:
                for taker in takers:
                    part = y[place.key] * (taker.p / total)
                    result[taker.key] = result[taker.key] + part
        return result

    def settle(self, y: Mapping[str, Amount], pool: Amount) -> Settled:
        """Steps 4 and 5 for the amounts `y` of the racks and a pool that has no rack."""
        takers = self.takers
        if not any(place.p for place in takers):
            for place in self.racks:
                pool = pool if place in takers else pool + y[place.key]
        direct = Bag()
        local = self.package.methodology.choice("unused") == "rack_local"
        for rack, amount in self.cleared(y).items():
            shares = self.theta[rack]
            booked = sum(shares.values(), ZERO)
            for user, share in shares.items():
                direct.add(user, amount * (share / booked if local and booked else share))
            if not (local and booked):
                pool = pool + amount * (1 - booked)
        return self._share_pool(direct, pool)

    def _share_pool(self, direct: Bag, pool: Amount) -> Settled:
        policy = self.package.methodology.choice("unused")
        if policy in ("provider", "account_pool") or not any(self.used_kwh.values()):
            return Settled(direct, pool)
        weights = dict(self.used_kwh)
        if policy == "service_pool" and any(amount.whole for amount in direct.values()):
            weights = {user: amount.whole for user, amount in direct.items()}
        total = sum(weights.values())
        for user, weight in weights.items():
            direct.add(user, pool * (weight / total))
        return Settled(direct, Amount(tuple(ZERO for _ in pool.parts)))

    def totals(self, direct: Bag) -> dict[str, Amount]:
        """Step 6: the totals T of the nodes."""
        totals: dict[str, Amount] = {}
        for (kind, service), amount in direct.items():
            for j, share in self.flow.gross[node_of(self.code, service)].items() if kind == "service" else ():
                part = amount * share
                totals[j] = totals[j] + part if j in totals else part
        return totals

    def remainders(self, direct: Bag) -> dict[str, Amount]:
        """What is still on its way after the last of `rounds`, where it has arrived."""
        rest: dict[str, Amount] = {}
        for (kind, service), amount in direct.items():
            node = node_of(self.code, service)
            for j, share in self.flow.rest.get(node, {}).items() if kind == "service" else ():
                rest[j] = rest[j] + amount * share if j in rest else amount * share
        return rest

    def bears_pool(self, leaf: Leaf) -> bool:
        """Whether a leaf shares the unused capacity under `account_pool`."""
        methodology = self.package.methodology
        if methodology.choice("unused") != "account_pool":
            return False
        return methodology.pool_base == "all" or leaf.account not in self.package.internal_accounts

    def usage_shares(self, node: str) -> dict[Leaf, Fraction]:
        """Step 7: F of a node that is not stuck."""
        quantity = self.flow.quantity[node]
        return {leaf: q / quantity for leaf, q in self.sold(node).items()}

    def enter(self, source: Source, total_ug: int) -> tuple[dict[str, Amount], Bag, Amount]:
        """Steps 2 and 3: what racks, machines that go first, and the pool get of a line."""

        def arrival(ug: Fraction, place: Place | None) -> Amount:
            estimated = place is not None and is_estimated(place.quality)
            return Amount((ug, ug if estimated else ug * source.estimated_share))

        rest = Fraction(total_ug)
        firsts = Bag()
        for place in self.first:
            ug = total_ug * place.p / self.weight_kwh if self.weight_kwh else ZERO
            firsts.add(("machine", place.code), arrival(ug, place))
            rest -= ug
        total = sum(place.p for place in self.racks)
        y = {}
        for place in self.racks:
            y[place.key] = arrival(rest * place.p / total if total else ZERO, place)
            own_assets = [] if place.is_machine else source.racks_ug.get(place.code, [])
            for ug_own, quality in own_assets:
                own = Fraction(ug_own)
                estimated = own if is_estimated(quality) else ZERO
                y[place.key] = y[place.key] + Amount((own, estimated))
        return y, firsts, arrival(ZERO if total else rest, None)

    def _energy(self) -> Settled:
        """The kWh of racks and sharing machines after step 5, one part per quality."""
        nothing = Amount(tuple(ZERO for _ in range(1 + len(QUALITIES))))
        return self.settle({place.key: by_quality(place) for place in self.racks}, nothing)

    def pool_classes(self) -> set[str]:
        """The qualities of the energy of unused capacity."""
        return qualities_in(self._energy().unused)

    def energy_classes(self) -> dict[Recipient, set[str]]:
        """The qualities of the energy that reaches each service and machine."""
        settled = self._energy()
        reached: dict[Recipient, Amount] = {
            ("service", service): total for service, total in self.totals(settled.direct).items()
        }
        for service, amount in self.remainders(settled.direct).items():
            node = ("service", service)
            reached[node] = reached[node] + amount if node in reached else amount
        reached |= {user: amount for user, amount in settled.direct.items() if user[0] == "machine"}
        reached |= {("machine", place.code): by_quality(place) for place in self.first}
        return {user: qualities_in(amount) for user, amount in reached.items()}

    def all_classes(self) -> set[str]:
        """The qualities of all energy of racks and machines."""
        return {place.quality for place in [*self.racks, *self.first] if place.p}


def by_quality(place: Place) -> Amount:
    """The weight of a place, and the same again under its quality."""
    classes = (place.p if place.quality == quality else ZERO for quality in QUALITIES)
    return Amount((place.p, *classes))


def qualities_in(amount: Amount) -> set[str]:
    """The qualities of which an amount of energy has some."""
    return {q for q, kwh in zip(QUALITIES, amount.parts[1:], strict=True) if kwh}


PreviousShares = Callable[[str, str], dict[Leaf, Fraction]]


@dataclass
class LineResult:
    """Exact amounts of one (cluster, line): by leaf, and by service what step 8 had to move."""

    leaves: dict[Leaf, Amount]
    moved: dict[str, Amount]
    from_previous: set[Leaf]
    empty_cluster: bool
    unallocated: set[str] = field(default_factory=set)


def allocate_line(cluster: Cluster, source: Source, previous: PreviousShares) -> LineResult:
    """Steps 2 to 8 for one line; `previous(cluster, service)` gives earlier usage shares."""
    y, firsts, pool = cluster.enter(source, source.source_ug)
    settled = cluster.settle(y, pool)
    leaves: dict[Leaf, Amount] = {}

    def give(leaf: Leaf, amount: Amount) -> None:
        leaves[leaf] = leaves[leaf] + amount if leaf in leaves else amount

    nothing = Amount((ZERO, ZERO))
    abroad = [leaf for node in cluster.fed for leaf in cluster.sold(node)]
    for leaf in [*cluster.demand.usage, *cluster.leaf_of_machine.values(), *abroad]:
        give(leaf, nothing)
    for user, amount in [*firsts.items(), *settled.direct.items()]:
        if user[0] == "machine":
            give(cluster.leaf_of_machine[user[1]], amount)
    moved = _sell(cluster, settled.direct, give)
    policy = cluster.package.methodology.choice("unused")
    base = {leaf: amount.whole for leaf, amount in leaves.items() if cluster.bears_pool(leaf)}
    if policy == "provider":
        give(Leaf(cluster.code, UNUSED, PROVIDER, "default"), settled.unused)
    elif any(base.values()):
        for leaf, ug in base.items():
            give(leaf, settled.unused * (ug / sum(base.values())))
    else:
        moved[UNUSED] = settled.unused
    moved = {service: amount for service, amount in moved.items() if amount.whole}
    result = LineResult(leaves, moved, set(), UNUSED in moved)
    _fall_back(cluster, result, previous)
    special = (UNALLOCATED, PROVIDER)
    result.leaves = {leaf: amount for leaf, amount in leaves.items() if leaf.account not in special or amount.whole}
    return result


def _sell(cluster: Cluster, direct: Bag, give: Callable[[Leaf, Amount], None]) -> dict[str, Amount]:
    """Step 7 for usage; returns by service what no usage takes."""
    moved: dict[str, Amount] = {}
    for service, total in cluster.totals(direct).items():
        if service in cluster.flow.stuck:
            moved[service] = total
        else:
            for leaf, share in cluster.usage_shares(service).items():
                give(leaf, total * share)
    for service, rest in cluster.remainders(direct).items():
        sold = cluster.sold(service)
        whole = sum(sold.values(), ZERO)
        for leaf, quantity in sold.items() if whole else ():
            give(leaf, rest * (quantity / whole))
        if not whole:
            moved[service] = moved[service] + rest if service in moved else rest
    return moved


def _fall_back(cluster: Cluster, result: LineResult, previous: PreviousShares) -> None:
    """Step 8, in the order of the option."""
    waiting = dict(result.moved)
    for policy in cluster.package.methodology.fallback:
        if policy == "previous_shares":
            for node in list(waiting):
                place, service = split_node(node)
                shares = previous(cluster.code, service) if place == cluster.code else {}
                if shares:
                    result.from_previous |= set(shares)
                    _hand_out(result, shares, waiting.pop(node))
        elif policy == "cluster_overhead":
            base = {
                leaf: amount.whole
                for leaf, amount in result.leaves.items()
                if leaf.account not in (UNALLOCATED, PROVIDER)
            }
            total = sum(base.values())
            if total:
                for amount in waiting.values():
                    _hand_out(result, {leaf: z / total for leaf, z in base.items()}, amount)
                waiting = {}
        else:
            for node, amount in waiting.items():
                result.unallocated.add(node)
                leaf = Leaf(cluster.code, split_node(node)[1] or UNUSED, UNALLOCATED, "default")
                _hand_out(result, {leaf: Fraction(1)}, amount)


def _hand_out(result: LineResult, shares: Mapping[Leaf, Fraction], amount: Amount) -> None:
    for leaf, share in shares.items():
        part = amount * share
        known = result.leaves.get(leaf)
        result.leaves[leaf] = known + part if known else part


def theta_of(package: Package, places: Iterable[Place]) -> dict[str, dict[Recipient, Fraction]]:
    """Step 5, shares of each rack used by services and machines; flags overbooked racks."""
    theta: dict[str, dict[Recipient, Fraction]] = {}
    for place in places:
        row = place.row
        if place.is_machine:
            theta[place.key] = {("machine", place.code): Fraction(1)}
        elif row.has("service"):
            theta[place.key] = {("service", row.text("service")): Fraction(1)}
        else:
            theta[place.key] = _booked(package, place)
    return theta


def _booked(package: Package, place: Place) -> dict[Recipient, Fraction]:
    resources = {
        row.text("resource"): row for row in package.tables["rack_resources"] if row.text("rack") == place.code
    }
    weights = sum(row.exact("weight") for row in resources.values())
    shares: dict[Recipient, Fraction] = {}
    for row in package.tables["rack_use"]:
        if row.text("rack") == place.code:
            resource = resources[row.text("resource")]
            user = ("service", row.text("service"))
            share = resource.exact("weight") * row.exact("used") / resource.exact("capacity")
            shares[user] = shares.get(user, ZERO) + share / weights
    booked = sum(shares.values(), ZERO)
    if booked > 1:
        package.find("OVERBOOKED", "flag", "racks", place.row.number)
        shares = {user: share / booked for user, share in shares.items()}
    return shares


def weigh_clusters(package: Package, energy: Energy, demand: dict[str, Demand]) -> list[Cluster]:
    """Step 2 for every cluster of the package."""
    subtract = package.methodology.choice("machines") == "subtract"
    clusters = []
    for code in package.clusters:
        racks = [place for place in energy.racks if place.cluster == code]
        machines = [place for place in energy.machines if place.cluster == code]
        sharing = racks if subtract else [*racks, *machines]
        clusters.append(
            Cluster(
                package,
                code,
                demand[code],
                sharing,
                machines if subtract else [],
                energy.driver(code, package.methodology.choice("rack_weight")),
                theta_of(package, sharing),
                demand,
            )
        )
    flow = flow_of(package, demand, {node for cluster in clusters for node in cluster.direct_nodes})
    for cluster in clusters:
        cluster.flow = flow
    return clusters
