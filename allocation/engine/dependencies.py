"""Services built on services: T = D + P'T and its alternatives (section 5, step 6).

Per unit of output the system reads Q(s) t(s) = D(s) + sum over providers j of M(j, s) t(j), with t = T / Q: the same
matrix for every line, and the leaves of a service get usage x t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocation.engine import quality as classes
from allocation.engine.columns import added, scaled, zeros
from allocation.engine.graph import components, connected, reaching
from allocation.engine.linear import solve
from allocation.engine.units import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from fractions import Fraction

    from allocation.engine.columns import Columns
    from allocation.engine.frames import Options


@dataclass(frozen=True, slots=True)
class Throughput:
    """Columns per unit of output of services with output to leaves, and the whole amount of those that keep theirs.

    `kept` are services without output and members of closed classes: step 8 moves what they have. `classes` are the
    classes of energy that reach each service; `closed` the sets of services that feed only each other.
    """

    per_unit: Mapping[str, Columns]
    kept: Mapping[str, Columns]
    classes: Mapping[str, int]
    closed: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Network:
    """The services of a cluster: direct columns and classes, output to leaves, quantities delivered to each other.

    Services of other clusters that they feed are part of it (see `reach`); `home` is the cluster itself.
    """

    direct: Mapping[str, Columns]
    classes: Mapping[str, int]
    usage: Mapping[str, Fraction]
    flows: Mapping[tuple[str, str], Fraction]
    lines: int
    home: str = ""

    def services(self) -> list[str]:
        """Return every service that occurs, by code point."""
        found = set(self.direct) | set(self.usage)
        for provider, consumer in self.flows:
            found |= {provider, consumer}
        return sorted(found)


def closed_classes(used: Collection[str], flows: Mapping[tuple[str, str], Fraction]) -> list[list[str]]:
    """Return the sets of services that feed only each other: no path to a service with usage or without any output.

    `used` holds the services with positive net usage.
    """
    edges = [edge for edge, quantity in flows.items() if quantity]
    providers = {provider for provider, _ in edges}
    nodes = providers | {consumer for _, consumer in edges}
    terminals = {node for node in nodes if node in used or node not in providers}
    return connected(nodes - reaching(terminals, edges), edges)


def resolve(network: Network, options: Options) -> Throughput:
    """Return what leaves every service towards its leaves, by the method of `options.dependencies`."""
    if options.dependencies == "direct":
        return _pass_on(network, {}, [[service] for service in network.services()], [])
    if options.dependencies == "rounds":
        return _in_rounds(network, options.rounds)
    flows = effective_flows(network, options)
    if options.dependencies == "step_down":
        return _pass_on(network, flows, _step_down_order(network, options), [])
    successors: dict[str, list[str]] = {service: [] for service in network.services()}
    for provider, consumer in sorted(flows):
        successors[provider].append(consumer)
    return _pass_on(network, flows, components(successors), _closed(network))


def effective_flows(network: Network, options: Options) -> dict[tuple[str, str], Fraction]:
    """Return what services deliver to each other as far as the method of `options.dependencies` counts it.

    Output is usage plus these flows. `step_down` drops use by the service itself and by earlier ones; `reciprocal`
    what closed classes deliver, which keep their amounts.
    """
    flows = {edge: quantity for edge, quantity in network.flows.items() if quantity}
    if options.dependencies == "direct":
        return {}
    if options.dependencies == "step_down":
        place = {service: index for index, (service,) in enumerate(_step_down_order(network, options))}
        return {edge: quantity for edge, quantity in flows.items() if place[edge[1]] > place[edge[0]]}
    if options.dependencies == "rounds":
        return flows
    within = {service for members in _closed(network) for service in members}
    return {edge: quantity for edge, quantity in flows.items() if edge[0] not in within}


def _closed(network: Network) -> list[list[str]]:
    return closed_classes({service for service, quantity in network.usage.items() if quantity}, network.flows)


@dataclass(frozen=True, slots=True)
class Rounds:
    """After some rounds: what each service has passed on and what is still on its way and stays, by service."""

    passed: Mapping[str, Columns]
    arrived: Mapping[str, Columns]
    reached: Mapping[str, int]
    output: Mapping[str, Fraction]


def pass_in_rounds(network: Network, rounds: int) -> Rounds:
    """Pass on what services have in `rounds` rounds: T = sum of (P')^h D for h below `rounds`, with P from all output.

    `arrived` is (P')^rounds D.
    """
    nothing = zeros(network.lines)
    output = dict(network.usage)
    for (provider, _), quantity in network.flows.items():
        output[provider] = output.get(provider, ZERO) + quantity
    arrived = {service: network.direct.get(service, nothing) for service in network.services()}
    passed = dict.fromkeys(arrived, nothing)
    reached = {service: network.classes.get(service, classes.NO_CLASS) for service in arrived}
    for _ in range(rounds):
        passed = {service: added(passed[service], arrived[service]) for service in arrived}
        following, classes_before = dict.fromkeys(arrived, nothing), dict(reached)
        for (provider, consumer), quantity in network.flows.items():
            if quantity:
                delivered = scaled(arrived[provider], quantity / output[provider])
                following[consumer] = added(following[consumer], delivered)
                reached[consumer] |= classes_before[provider]
        arrived = following
    return Rounds(passed, arrived, reached, output)


def _in_rounds(network: Network, rounds: int) -> Throughput:
    """Pass on in rounds; what is still on its way then stays where it has arrived.

    The service's leaves get it by usage, and step 8 that of services without usage.
    """
    found = pass_in_rounds(network, rounds)
    passed, arrived, output = found.passed, found.arrived, found.output
    per_unit: dict[str, Columns] = {}
    kept: dict[str, Columns] = {}
    for service, used in ((service, network.usage.get(service, ZERO)) for service in arrived):
        if used:
            per_unit[service] = added(
                scaled(passed[service], ONE / output[service]), scaled(arrived[service], ONE / used)
            )
        else:
            kept[service] = arrived[service] if output.get(service) else added(passed[service], arrived[service])
    return Throughput(per_unit, kept, found.reached, [])


def _step_down_order(network: Network, options: Options) -> list[list[str]]:
    """Return the nodes in the order of their services: those named, then by code; those of one service by cluster."""
    named = {service: place for place, service in enumerate(options.step_down_order)}

    def place(node: str) -> tuple[int, str, str]:
        cluster, _, service = node.rpartition("|")
        return named.get(service, len(named)), service, cluster or network.home

    return [[node] for node in sorted(network.services(), key=place)]


def _pass_on(
    network: Network,
    flows: Mapping[tuple[str, str], Fraction],
    order: Sequence[Sequence[str]],
    closed: Sequence[Sequence[str]],
) -> Throughput:
    """Solve component by component, providers first."""
    received: dict[str, Columns] = {}
    reached: dict[str, int] = {}
    output = dict(network.usage)
    consumers: dict[str, list[tuple[str, Fraction]]] = {}
    for (provider, consumer), quantity in flows.items():
        output[provider] = output.get(provider, ZERO) + quantity
        consumers.setdefault(provider, []).append((consumer, quantity))
    per_unit: dict[str, Columns] = {}
    kept: dict[str, Columns] = {}
    for members in order:
        for service in members:
            received[service] = added(
                received.get(service, zeros(network.lines)), network.direct.get(service, zeros(network.lines))
            )
            reached[service] = reached.get(service, classes.NO_CLASS) | network.classes.get(service, classes.NO_CLASS)
        if len(members) == 1 and not output.get(members[0]):
            kept[members[0]] = received[members[0]]
            continue
        per_unit |= zip(members, _solve(members, received, output, flows), strict=True)
        union = classes.NO_CLASS
        for service in members:
            union |= reached[service]
        for service in members:
            reached[service] = union
            for consumer, quantity in consumers.get(service, ()):
                reached[consumer] = reached.get(consumer, classes.NO_CLASS) | union
                if consumer not in members:
                    inflow = scaled(per_unit[service], quantity)
                    received[consumer] = added(received.get(consumer, zeros(network.lines)), inflow)
    return Throughput(per_unit, kept, reached, closed)


def _solve(
    members: Sequence[str],
    received: Mapping[str, Columns],
    output: Mapping[str, Fraction],
    flows: Mapping[tuple[str, str], Fraction],
) -> list[Columns]:
    """Return t = T / Q of a component: Q(s) t(s) - sum of M(j, s) t(j) = what it received from outside."""
    if len(members) == 1:
        (service,) = members
        return [scaled(received[service], ONE / (output[service] - flows.get((service, service), ZERO)))]
    matrix = [[(output[s] if s == j else ZERO) - flows.get((j, s), ZERO) for j in members] for s in members]
    return [tuple(row) for row in solve(matrix, [received[service] for service in members])]
