"""From the cluster over its racks to services: the steps behind `plan_cluster` (section 5, steps 2 to 5)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from allocation.engine.clusters import cluster_weight_of, machines_of, units_of
from allocation.engine.frames import QUALITIES
from allocation.engine.hardware import OVERHEAD_ROLES
from allocation.engine.lineage.steps import WHOLE, Division, Driver, Graph, InputRow, Place, PlaceKind, Stage
from allocation.engine.machines import as_units, p_by_quality
from allocation.engine.rows import rows
from allocation.engine.units import ONE, ZERO, exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from allocation.engine.clusters import ClusterActivity, RackContents
    from allocation.engine.frames import Activity, Options
    from allocation.engine.lineage.origins import Posting
    from allocation.engine.racks import Node, Unit

_APART = frozenset({"provider", "account_pool"})


@dataclass(frozen=True, slots=True)
class RackRows:
    """Line numbers of the tables that describe racks, by rack, and by rack and service."""

    racks: Mapping[str, InputRow]
    uses: Mapping[tuple[str, str], Sequence[InputRow]]

    @classmethod
    def read(cls, activity: Activity) -> RackRows:
        """Read racks.csv and rack_use.csv."""
        uses: dict[tuple[str, str], list[InputRow]] = {}
        for row in rows(activity.tables["rack_use"]):
            uses.setdefault((str(row.rack), str(row.service)), []).append(InputRow("rack_use.csv", int(row.row)))
        racks = {str(row.rack): InputRow("racks.csv", int(row.row)) for row in rows(activity.tables["racks"])}
        return cls(racks, uses)


def pool_of(cluster: str) -> Place:
    """Return the place of a cluster's unused capacity."""
    return Place(PlaceKind.POOL, cluster)


def place_of(node: Node) -> Place:
    """Return the place of what hardware serves: a service, or the dedicated machines of one quality."""
    if isinstance(node, str):
        return Place(PlaceKind.SERVICE, node)
    return Place(PlaceKind.MACHINES, QUALITIES[node])


def add_hardware(  # noqa: PLR0913 all that plan_cluster knows, and where it was read
    graph: Graph,
    activity: ClusterActivity,
    contents: RackContents,
    *,
    options: Options,
    origins: Iterable[Posting],
    read: RackRows,
    line: str,
) -> None:
    """Add the steps of a line from the cluster to its services, machines and pool."""
    here, pool = Place(PlaceKind.CLUSTER, activity.cluster), pool_of(activity.cluster)
    by_weight = Driver.FACILITY_KWH if options.rack_weight == "facility_kwh" else Driver.IT_KWH
    racks = [
        (Place(PlaceKind.RACK, rack.code), unit)
        for rack, unit in zip(activity.racks, units_of(activity, contents, options), strict=True)
    ]
    machines = p_by_quality(machines_of(activity, options))
    graph.begin(here, Fraction(activity.sources[line].x_ug))
    source = here
    if options.machines == "share":
        racks += [(place_of(rank), unit) for rank, unit in zip(machines, as_units(machines), strict=True)]
    elif machines:
        source = _subtract(graph, here, machines, cluster_weight_of(activity, options), by_weight)
    total_p = exact_sum(unit.p for _, unit in racks)
    if total_p:
        for place, unit in racks:
            known = read.racks.get(place.code) if place.kind is PlaceKind.RACK else None
            graph.add(
                Stage.CLUSTER_TO_RACK,
                source,
                place,
                Division(by_weight, unit.p, total_p),
                rows=(known,) if known else (),
            )
    else:
        graph.add(Stage.RACK_TO_POOL, source, pool, WHOLE)
    for posting in origins:
        if posting.rack is not None:
            asset = Place(PlaceKind.SOURCE, posting.code)
            rack = Place(PlaceKind.RACK, posting.rack)
            graph.add(Stage.ASSET_TO_RACK, asset, rack, WHOLE, amount_in=posting.amount, rows=posting.rows)
    others = _clear_overhead(graph, activity.cluster, racks, by_weight)
    _serve(graph, others, pool, read, options.unused)


def _subtract(
    graph: Graph, here: Place, machines: Mapping[int, Fraction], cluster_weight: Fraction, by_weight: Driver
) -> Place:
    """Let machines take their part first; return the place of the rest."""
    rest = Place(PlaceKind.RACKS, here.code)
    taken = exact_sum(machines.values())
    if not cluster_weight:
        graph.add(Stage.CLUSTER_TO_RACKS, here, rest, WHOLE)
        return rest
    for rank, p in machines.items():
        graph.add(Stage.CLUSTER_TO_MACHINES, here, place_of(rank), Division(by_weight, p, cluster_weight))
    graph.add(Stage.CLUSTER_TO_RACKS, here, rest, Division(by_weight, cluster_weight - taken, cluster_weight))
    return rest


def _clear_overhead(
    graph: Graph, cluster: str, racks: Sequence[tuple[Place, Unit]], by_weight: Driver
) -> list[tuple[Place, Unit]]:
    """Add what overhead racks pass on; return the other racks."""
    overhead = Place(PlaceKind.OVERHEAD, cluster)
    others = [(place, unit) for place, unit in racks if unit.role not in OVERHEAD_ROLES]
    for place, unit in racks:
        if unit.role in OVERHEAD_ROLES:
            graph.add(Stage.RACK_TO_OVERHEAD, place, overhead, WHOLE)
    takers_p = exact_sum(unit.p for _, unit in others)
    if not takers_p:
        graph.add(Stage.RACK_TO_POOL, overhead, pool_of(cluster), WHOLE)
        return others
    for place, unit in others:
        graph.add(Stage.OVERHEAD_TO_RACK, overhead, place, Division(by_weight, unit.p, takers_p))
    return others


def _serve(graph: Graph, racks: Sequence[tuple[Place, Unit]], pool: Place, read: RackRows, unused: str) -> None:
    """Add the steps from racks to what they serve, to the pool, and from the pool on."""
    used: dict[Node, list[Fraction]] = {}
    for place, unit in racks:
        booked = sum(unit.theta.values(), ZERO)
        local = unused == "rack_local" and booked > 0
        for node, theta in unit.theta.items():
            used.setdefault(node, []).append(unit.p * theta)
            if place_of(node) != place:
                division = Division(Driver.UTILISATION, theta, booked if local else ONE)
                behind = read.uses.get((place.code, str(node)), ()) or tuple(
                    row for row in (read.racks.get(place.code),) if row is not None
                )
                graph.add(Stage.RACK_TO_SERVICE, place, place_of(node), division, rows=behind)
        if not local and booked < 1:
            graph.add(Stage.RACK_TO_POOL, place, pool, Division(Driver.UTILISATION, ONE - booked, ONE))
    by_energy = {node: exact_sum(parts) for node, parts in used.items()}
    total_kwh = exact_sum(by_energy.values())
    if unused in _APART or not total_kwh:
        return
    weights, total, driver = by_energy, total_kwh, Driver.USED_KWH
    if unused == "service_pool":
        emitted = {node: graph.at(place_of(node)) for node in by_energy}
        if any(emitted.values()):
            weights, total, driver = emitted, sum(emitted.values(), ZERO), Driver.USED_EMISSIONS_UG
    for node, weight in weights.items():
        graph.add(Stage.POOL_TO_SERVICE, pool, place_of(node), Division(driver, weight, total))
