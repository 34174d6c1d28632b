"""Services built on services: the steps behind `resolve` (section 5, step 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from allocation.engine.dependencies import effective_flows, pass_in_rounds
from allocation.engine.lineage.steps import Division, Driver, Graph, InputRow, Place, PlaceKind, Stage
from allocation.engine.reach import node_name
from allocation.engine.rows import rows
from allocation.engine.units import ZERO

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from fractions import Fraction

    from allocation.engine.dependencies import Rounds
    from allocation.engine.frames import Activity, Options
    from allocation.engine.places import Places
    from allocation.engine.recipients import Resolution

Edge = tuple[str, str]


def flow_rows(activity: Activity, places: Places, home: str, clusters: Collection[str]) -> dict[Edge, list[InputRow]]:
    """Return the rows behind what a service (first) delivers to another, by the names of nodes of `home`.

    Those of service_use.csv in any of the `clusters`, and those of cross_use.csv that start there.
    """
    found: dict[Edge, list[InputRow]] = {}
    for row in rows(activity.tables["service_use"]):
        for cluster in places.named_by(str(row.cluster)):
            if cluster in clusters:
                edge = node_name(home, (cluster, str(row.service))), node_name(home, (cluster, str(row.consumer)))
                found.setdefault(edge, []).append(InputRow("service_use.csv", int(row.row)))
    for row in rows(activity.tables["cross_use"]):
        if row.cluster in clusters:
            consumer = node_name(home, (str(row.consumer_cluster), str(row.consumer)))
            edge = node_name(home, (str(row.cluster), str(row.service))), consumer
            found.setdefault(edge, []).append(InputRow("cross_use.csv", int(row.row)))
    return found


def add_services(
    graph: Graph, resolution: Resolution, options: Options, index: int, read: Mapping[Edge, Sequence[InputRow]]
) -> Gross:
    """Add what services deliver to each other on line `index`; return what every service has to give.

    With cycles T is the solution of its own equations, which the steps fulfil: T of a service is what hardware and
    other services bring to it.
    """
    network, throughput = resolution.network, resolution.throughput
    flows = effective_flows(network, options)
    output = dict(network.usage)
    for (provider, _), quantity in flows.items():
        output[provider] = output.get(provider, ZERO) + quantity
    whole = {service: columns[index] for service, columns in throughput.kept.items()}
    whole |= {service: columns[index] * output[service] for service, columns in throughput.per_unit.items()}
    by_output = {service: Holding(Place(PlaceKind.SERVICE, service), amount) for service, amount in whole.items()}
    left: dict[str, Holding] = {}
    if options.dependencies == "rounds":
        by_output, left = _in_two_parts(graph, pass_in_rounds(network, options.rounds), index)
    for (provider, consumer), quantity in flows.items():
        graph.add(
            Stage.SERVICE_TO_SERVICE,
            by_output[provider].place,
            Place(PlaceKind.SERVICE, consumer),
            Division(Driver.SERVICE_UNITS, quantity, output[provider]),
            amount_in=by_output[provider].amount,
            rows=read.get((provider, consumer), ()),
        )
    return Gross(output, by_output, left)


class Holding(NamedTuple):
    """An amount and where it stands."""

    place: Place
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Gross:
    """What services have to give: `by_output` in proportion to all `output`, `left` (by rounds) to usage alone."""

    output: Mapping[str, Fraction]
    by_output: Mapping[str, Holding]
    left: Mapping[str, Holding]

    def of(self, service: str) -> list[Holding]:
        """Return all that a service has."""
        return [held[service] for held in (self.by_output, self.left) if service in held]


def _in_two_parts(graph: Graph, rounds: Rounds, index: int) -> tuple[dict[str, Holding], dict[str, Holding]]:
    """Part what every service passed on in the rounds from what the last round left with it."""
    passed: dict[str, Holding] = {}
    left: dict[str, Holding] = {}
    for service, columns in rounds.passed.items():
        here = Place(PlaceKind.SERVICE, service)
        amount, rest = columns[index], rounds.arrived[service][index]
        passed[service] = Holding(Place(PlaceKind.SERVICE, f"{service} (passed on)"), amount)
        left[service] = Holding(Place(PlaceKind.SERVICE, f"{service} (on its way)"), rest)
        for holding in (passed[service], left[service]):
            division = Division(Driver.ROUND, holding.amount, amount + rest)
            graph.add(Stage.SERVICE_TO_SERVICE, here, holding.place, division, amount_in=amount + rest)
    return passed, left
