"""From services, machines, pool and fallbacks to an account and its resource groups (section 5, steps 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from allocation.engine.fallbacks import UNUSED_SERVICE
from allocation.engine.lineage.hardware import place_of, pool_of
from allocation.engine.lineage.services import Holding
from allocation.engine.lineage.steps import WHOLE, Division, Driver, Graph, Place, PlaceKind, Stage
from allocation.engine.units import ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from allocation.engine.lineage.services import Gross
    from allocation.engine.lineage.steps import InputRow
    from allocation.engine.machines import PlannedMachine
    from allocation.engine.plan import Plan
    from allocation.engine.recipients import Resolution
    from allocation.engine.usage import NetUsage


@dataclass(frozen=True, slots=True)
class Target:
    """The account and service of a cluster whose leaves are explained."""

    cluster: str
    service: str
    account: str


def usage_by_group(netted: NetUsage, target: Target) -> dict[str, Fraction]:
    """Return the net usage of the target's service and account by resource group; weighed, where the key is."""
    leaves = netted.leaves
    if target.service not in leaves.services or target.account not in leaves.accounts:
        return {}
    mine = (leaves.service == leaves.services.index(target.service)) & (
        leaves.account == leaves.accounts.index(target.account)
    )
    unit = netted.unit[target.service]
    return {
        leaves.groups[leaves.group[position]]: int(leaves.quantity[position]) * unit
        for position in mine.nonzero()[0].tolist()
    }


class Asked(NamedTuple):
    """A target on a line, by the place of the line in its cluster.

    `periods` are the rows of usage_periods.csv behind its usage, by cluster.
    """

    target: Target
    line: int
    periods: Mapping[str, Sequence[InputRow]]


def add_account(graph: Graph, resolution: Resolution, plan: Plan, gross: Gross, asked: Asked) -> None:
    """Add the steps that bring something to the account: usage, machines, pool, fallbacks."""
    target, index, _ = asked
    account = Place(PlaceKind.ACCOUNT, target.account)
    _add_usage(graph, resolution, plan, gross, asked)
    _add_machines(graph, plan, target, account)
    if resolution.spread_pool[index] and target.account not in plan.spared_accounts:
        base = _bearing_pool(resolution, plan, index)
        division = Division(Driver.EMISSIONS_UG, graph.at(account), base)
        graph.add(Stage.POOL_TO_ACCOUNT, pool_of(target.cluster), account, division)
    _add_fallbacks(graph, resolution, gross, asked)


def _add_usage(graph: Graph, resolution: Resolution, plan: Plan, gross: Gross, asked: Asked) -> None:
    """Add what the account's usage brings: of the service here, and in other clusters that are fed from here."""
    target, home = asked.target, asked.target.cluster
    account, driver = Place(PlaceKind.ACCOUNT, target.account), units_driver(plan, target.service)
    for part in resolution.sold:
        mine = exact_sum(usage_by_group(part.netted, target).values())
        if not mine:
            continue
        node, behind = part.node(home, target.service), asked.periods.get(part.cluster, ())
        shares = [(gross.by_output[node], gross.output[node])]
        if node in gross.left:
            shares.append((gross.left[node], resolution.network.usage[node]))
        for held, total in shares:
            division = Division(driver, mine, total)
            graph.add(Stage.SERVICE_TO_ACCOUNT, held.place, account, division, amount_in=held.amount, rows=behind)


def units_driver(plan: Plan, service: str) -> Driver:
    """Return by what the usage of a service counts: its units, or its units weighed by what they add to the peak."""
    return Driver.PEAK_WEIGHTED_UNITS if service in plan.peaks.services else Driver.SERVICE_UNITS


def machines_of(plan: Plan, target: Target) -> list[PlannedMachine]:
    """Return the dedicated machines of the target."""
    return [
        machine
        for machine in plan.clusters[target.cluster].machines
        if (machine.service, machine.account) == (target.service, target.account)
    ]


def _add_machines(graph: Graph, plan: Plan, target: Target, account: Place) -> None:
    by_weight = Driver.FACILITY_KWH if plan.options.rack_weight == "facility_kwh" else Driver.IT_KWH
    mine = machines_of(plan, target)
    for rank in sorted({machine.quality for machine in mine}):
        every = exact_sum(m.p for m in plan.clusters[target.cluster].machines if m.quality == rank)
        part = exact_sum(machine.p for machine in mine if machine.quality == rank)
        graph.add(Stage.MACHINES_TO_ACCOUNT, place_of(rank), account, Division(by_weight, part, every))


def _bearing_pool(resolution: Resolution, plan: Plan, index: int) -> Fraction:
    """Return what the accounts that bear the pool had on a line before they took it."""
    settlement, spared = resolution.settlement, plan.spared_accounts
    place = settlement.place
    found: list[Fraction] = []
    for part in resolution.sold:
        leaves = part.netted.leaves
        quantities: dict[str, int] = {}
        for position in range(len(leaves)):
            service, account, _ = leaves.key(position)
            if account not in spared:
                quantities[service] = quantities.get(service, 0) + int(leaves.quantity[position])
        found += [
            resolution.throughput.per_unit[part.node(place.cluster, service)][index]
            * part.netted.unit[service]
            * quantity
            for service, quantity in quantities.items()
            if quantity
        ]
    for rank in {machine.quality for machine in place.machines}:
        alike = [machine for machine in place.machines if machine.quality == rank]
        every = exact_sum(machine.p for machine in alike)
        bearing = exact_sum(machine.p for machine in alike if machine.account not in spared)
        found.append(place.direct[rank][index] * bearing / every if every else ZERO)
    return exact_sum(found)


def _add_fallbacks(graph: Graph, resolution: Resolution, gross: Gross, asked: Asked) -> None:
    """Add what step 8 brings: an earlier month's shares, and the part of the cluster's overhead."""
    target, index, _ = asked
    fallbacks, account = resolution.fallbacks, Place(PlaceKind.ACCOUNT, target.account)
    if target.service in fallbacks.previous:
        month = resolution.earlier.month_of(target.service)
        if month is not None:
            mine = exact_sum(usage_by_group(month, target).values())
            division = Division(Driver.EARLIER_UNITS, mine, month.total[target.service])
            for held in _kept(resolution, gross, target.service, index):
                graph.add(Stage.FALLBACK_TO_ACCOUNT, held.place, account, division, amount_in=held.amount)
    overhead = fallbacks.overhead[index]
    if not overhead:
        return
    shared = Place(PlaceKind.FALLBACK, target.cluster)
    for service, columns in sorted(resolution.kept.items()):
        if columns[index] and service not in fallbacks.previous:
            for held in _kept(resolution, gross, service, index):
                graph.add(Stage.SERVICE_TO_FALLBACK, held.place, shared, WHOLE, amount_in=held.amount)
    division = Division(Driver.EMISSIONS_UG, graph.at(account), graph.at(shared) / overhead)
    graph.add(Stage.FALLBACK_TO_ACCOUNT, shared, account, division)


def _kept(resolution: Resolution, gross: Gross, service: str, index: int) -> list[Holding]:
    """Return where the amount stands that step 8 moves for a service, or for the pool."""
    if service == UNUSED_SERVICE:
        return [Holding(pool_of(resolution.settlement.place.cluster), resolution.kept[service][index])]
    if gross.output.get(service) and service in gross.left:
        return [gross.left[service]]
    return gross.of(service)


def add_resource_groups(
    graph: Graph, account: Place, exact: dict[str, Fraction], usage: dict[str, Fraction], units: Driver
) -> None:
    """Divide the account's amount among its resource groups: by usage where that is all there is, else by amounts."""
    by_usage = set(usage) == set(exact) and any(usage.values())
    weights = usage if by_usage else exact
    driver = units if by_usage else Driver.EMISSIONS_UG
    total = exact_sum(weights.values())
    for group, weight in sorted(weights.items()):
        target = Place(PlaceKind.RESOURCE_GROUP, group)
        graph.add(Stage.ACCOUNT_TO_RESOURCE_GROUP, account, target, Division(driver, weight, total))
