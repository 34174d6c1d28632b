"""Steps 6 to 8 for one cluster: its usage, dependencies and fallbacks as exact blocks of leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from allocation.engine import quality as classes
from allocation.engine.account_pool import spread_over_accounts
from allocation.engine.blocks import Block, Settlement
from allocation.engine.checks import no_source
from allocation.engine.columns import Columns, added, scaled, subtracted, total, zeros
from allocation.engine.dependencies import Network, resolve
from allocation.engine.fallbacks import (
    DEFAULT_GROUP,
    PROVIDER_ACCOUNT,
    UNALLOCATED_ACCOUNT,
    UNUSED_SERVICE,
    fall_back,
    with_overhead,
)
from allocation.engine.findings import Findings
from allocation.engine.peaks import weigh
from allocation.engine.reach import node_name, reach_of, service_of
from allocation.engine.usage import CORE_GROUP, net

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from allocation.engine.clusters import ClusterPlan
    from allocation.engine.dependencies import Throughput
    from allocation.engine.fallbacks import Fallbacks
    from allocation.engine.frames import Usage
    from allocation.engine.plan import Plan
    from allocation.engine.reach import Reach
    from allocation.engine.usage import NetUsage


NOWHERE: Final[Mapping[str, Usage]] = MappingProxyType({})
"""The usage of other clusters where no service serves any."""


def find_recipients(  # noqa: PLR0913, PLR0917 # the arguments of `settle` and where to report
    plan: Plan,
    cluster: str,
    usage: Usage,
    history: Sequence[Usage],
    elsewhere: Mapping[str, Usage],
    findings: Findings,
) -> Settlement:
    """Return the leaves of a cluster with their exact amounts; arguments as for `settle`.

    Reports NEGATIVE_NET_USAGE, NO_SOURCE, CLOSED_CLASS, EMPTY_CLUSTER and NO_USAGE_FALLBACK.
    """
    return resolve_cluster(plan, cluster, usage, history, elsewhere, findings).settlement


@dataclass(frozen=True, slots=True)
class Resolution:
    """Steps 6 to 8 of a cluster with what lies between them, for explaining a leaf.

    `sold` is what accounts used of the services of this cluster, first, and of others that are fed from here. `kept`
    holds what step 8 moves, by service; `spread_pool` what accounts took of the pool (`unused = account_pool`), line by
    line.
    """

    network: Network
    sold: Sequence[Sold]
    throughput: Throughput
    earlier: Earlier
    kept: Mapping[str, Columns]
    spread_pool: Columns
    fallbacks: Fallbacks
    settlement: Settlement


def resolve_cluster(  # noqa: PLR0913, PLR0917 # the arguments of `settle` and where to report
    plan: Plan,
    cluster: str,
    usage: Usage,
    history: Sequence[Usage],
    elsewhere: Mapping[str, Usage],
    findings: Findings,
) -> Resolution:
    """Run steps 6 to 8; arguments and findings as for `find_recipients`."""
    place = plan.clusters[cluster]
    netted = weigh(net(usage, plan.core_services), plan.peaks, cluster, findings)
    _flag_usage(place, netted, findings)
    reach = reach_of(plan.clusters, cluster)
    sold = [Sold(cluster, netted), *(_sold_in(code, reach, plan, elsewhere[code]) for code in reach.clusters)]
    network = _network(place, reach, sold)
    throughput = resolve(network, plan.options)
    _report_closed(place, throughput, plan, findings)
    earlier = Earlier([net(past, plan.core_services) for past in history])
    settlement = Settlement(place)
    for part in sold:
        _add_usage(settlement, part, throughput)
    _add_machines(settlement, plan)
    allocated = _allocated(place, sold, throughput)
    pool = place.pool
    if plan.options.unused == "account_pool":
        pool = spread_over_accounts(settlement, plan.spared_accounts)
        allocated = added(allocated, subtracted(place.pool, pool))
    kept = dict(throughput.kept)
    if plan.options.unused != "provider":
        kept[UNUSED_SERVICE] = pool
    fallbacks = fall_back(kept, allocated, plan.options, place.emission_lines, earlier.has_usage_of)
    _flag_fallbacks(place, fallbacks, findings)
    settlement.blocks = [
        replace(block, columns=with_overhead(block.columns, fallbacks.overhead)) for block in settlement.blocks
    ]
    _add_earlier(settlement, throughput, fallbacks, earlier)
    _add_special(settlement, throughput, fallbacks, plan)
    spread_pool = subtracted(place.pool, pool) if plan.options.unused == "account_pool" else zeros(len(place.lines))
    return Resolution(network, sold, throughput, earlier, kept, spread_pool, fallbacks, settlement)


@dataclass(frozen=True, slots=True)
class Sold:
    """What accounts used of the services of a cluster."""

    cluster: str
    netted: NetUsage

    def node(self, home: str, service: str) -> str:
        """Return the node of a service by its name in the network of `home`."""
        return node_name(home, (self.cluster, service))

    def quantities(self, home: str) -> dict[str, Fraction]:
        """Return the total by node, by its name in the network of `home`."""
        return {self.node(home, service): total for service, total in self.netted.total.items()}


def _sold_in(code: str, reach: Reach, plan: Plan, usage: Usage) -> Sold:
    """Return what accounts used of those services of another cluster that are fed from here."""
    # What is wrong with the usage of that cluster is reported with its own ledger.
    netted = weigh(net(usage, plan.core_services), plan.peaks, code, Findings())
    fed = np.array([(code, service) in reach.elsewhere for service in netted.leaves.services], dtype=bool)
    leaves = netted.leaves.take(fed[netted.leaves.service])
    total = {service: quantity for service, quantity in netted.total.items() if (code, service) in reach.elsewhere}
    return Sold(code, replace(netted, leaves=leaves, total=total))


def _network(place: ClusterPlan, reach: Reach, sold: Sequence[Sold]) -> Network:
    services = {node: columns for node, columns in place.direct.items() if isinstance(node, str)}
    reached = {node: found for node, found in place.classes.items() if isinstance(node, str)}
    usage: dict[str, Fraction] = {}
    for part in sold:
        usage |= part.quantities(place.cluster)
    return Network(services, reached, usage, reach.flows, len(place.lines), place.cluster)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Usage of earlier packages, latest first."""

    months: Sequence[NetUsage]

    def month_of(self, service: str) -> NetUsage | None:
        """Return the latest month in which usage of `service` is positive."""
        return next((month for month in self.months if month.total.get(service)), None)

    def has_usage_of(self, service: str) -> bool:
        """Tell whether an earlier month has positive usage of `service`."""
        return self.month_of(service) is not None


def _flag_usage(place: ClusterPlan, netted: NetUsage, findings: Findings) -> None:
    if netted.negative:
        named = ", ".join(netted.named)
        message = f"cluster {place.cluster}: {netted.negative} leaves with negative net usage count as 0: {named}"
        findings.flag("NEGATIVE_NET_USAGE", "usage.csv", None, message)
    if len(netted.leaves) and not place.emission_lines:
        findings.flag("NO_SOURCE", "clusters.csv", place.row, no_source(place.cluster))


def _report_closed(place: ClusterPlan, throughput: Throughput, plan: Plan, findings: Findings) -> None:
    report = findings.reject if plan.options.closed_class == "error" else findings.flag
    for members in throughput.closed:
        message = f"in cluster {place.cluster} these services feed only each other: {', '.join(members)}"
        report("CLOSED_CLASS", "service_use.csv", None, message)
    findings.raise_if_rejected()


def _flag_fallbacks(place: ClusterPlan, fallbacks: Fallbacks, findings: Findings) -> None:
    for service, steps in fallbacks.paths.items():
        if service == UNUSED_SERVICE:
            message = f"cluster {place.cluster} has emissions but no used energy"
            findings.flag("EMPTY_CLUSTER", "clusters.csv", place.row, message)
        message = f"service {service} of cluster {place.cluster} has emissions and no usage: {', '.join(steps)}"
        findings.flag("NO_USAGE_FALLBACK", "usage.csv", None, message)


def _allocated(place: ClusterPlan, sold: Sequence[Sold], throughput: Throughput) -> Columns:
    """Return what leaves with usage and machines get in step 7."""
    parts = [
        scaled(throughput.per_unit[node], quantity)
        for part in sold
        for node, quantity in part.quantities(place.cluster).items()
        if quantity
    ]
    parts += [columns for node, columns in place.direct.items() if not isinstance(node, str)]
    return total(parts, len(place.lines))


def _add_usage(settlement: Settlement, sold: Sold, throughput: Throughput) -> None:
    """Add the leaves with usage: one block per service."""
    netted, leaves, home = sold.netted, sold.netted.leaves, settlement.place.cluster
    numbers = np.zeros(len(leaves.services), dtype=np.int32)
    nothing = zeros(len(settlement.place.lines))
    for index, service in enumerate(leaves.services):
        node = sold.node(home, service)
        columns = nothing
        if netted.total.get(service):
            columns = scaled(throughput.per_unit[node], netted.unit[service])
        reached = throughput.classes.get(node, classes.NO_CLASS)
        numbers[index] = settlement.block_of[node] = settlement.add_block(Block(columns, reached))
    settlement.parts.append(replace(leaves, block=numbers[leaves.service]))


def _add_machines(settlement: Settlement, plan: Plan) -> None:
    """Add the leaves of dedicated machines: one block per quality, shared by p."""
    place = settlement.place
    for rank in sorted({machine.quality for machine in place.machines}):
        machines = [machine for machine in place.machines if machine.quality == rank]
        denominator = lcm(*(machine.p.denominator for machine in machines))
        whole = [int(machine.p * denominator) for machine in machines]
        every = sum(whole)
        columns = scaled(place.direct[rank], Fraction(1, every)) if every else zeros(len(place.lines))
        block = settlement.add_block(Block(columns, place.classes[rank]))
        settlement.add_leaves(
            [
                (m.service, m.account, CORE_GROUP if m.service in plan.core_services else m.group, block, p)
                for m, p in zip(machines, whole, strict=True)
            ]
        )


def _add_earlier(settlement: Settlement, throughput: Throughput, fallbacks: Fallbacks, earlier: Earlier) -> None:
    """Add the leaves that take a service's amounts by their shares in an earlier month."""
    place = settlement.place
    for service, columns in fallbacks.previous.items():
        month = earlier.month_of(service)
        if month is None:
            continue
        leaves = month.leaves
        mine = leaves.take((leaves.service == leaves.services.index(service)) & (leaves.quantity > 0))
        every = sum(int(quantity) for quantity in mine.quantity)
        emits = any(columns[line] for line in place.emission_lines)
        lines = None if emits else frozenset(range(len(place.lines))) - set(place.emission_lines)
        per_unit = with_overhead(scaled(columns, Fraction(1, every)), fallbacks.overhead)
        block = Block(per_unit, throughput.classes.get(service, classes.NO_CLASS), lines)
        if emits and service in settlement.block_of:
            # The quantities of this month are all 0 and stay so in the unit of the earlier one.
            number = settlement.block_of[service]
            settlement.blocks[number] = block
        else:
            number = settlement.add_block(block)
        settlement.parts.append(replace(mine, block=np.full(len(mine), number, dtype=np.int32)))


def _add_special(settlement: Settlement, throughput: Throughput, fallbacks: Fallbacks, plan: Plan) -> None:
    """Add `(unallocated)` and `(provider)`: leaves that exist only where their exact amount is positive."""
    place = settlement.place
    special = [(node, UNALLOCATED_ACCOUNT, columns) for node, columns in fallbacks.unallocated.items()]
    if plan.options.unused == "provider":
        special.append((UNUSED_SERVICE, PROVIDER_ACCOUNT, place.pool))
    for node, account, columns in special:
        lines = frozenset(line for line in range(len(place.lines)) if columns[line])
        reached = place.cluster_classes if node == UNUSED_SERVICE else throughput.classes[node]
        if lines:
            block = settlement.add_block(Block(columns, reached, lines))
            settlement.add_leaves([(service_of(node), account, DEFAULT_GROUP, block, 1)])
