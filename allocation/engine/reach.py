"""Services that serve other clusters (docs/package-format.md, section 9, cross_use.csv).

A node is a service in a cluster. The emissions of a cluster stay in its ledger wherever the services are that bear them
in the end, so every cluster is settled on its own: with its own direct amounts and all nodes that these can reach.
Nodes of the cluster itself go by their service's code, others by `cluster|service`: codes hold no `|`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from allocation.engine.clusters import ClusterActivity, ClusterPlan

Place: TypeAlias = tuple[str, str]
"""(cluster, service)."""

Clusters: TypeAlias = "Mapping[str, ClusterPlan] | Mapping[str, ClusterActivity]"
"""Clusters by code, for what their services deliver."""


def node_name(home: str, place: Place) -> str:
    """Return what the node at `place` is called in the network of the cluster `home`."""
    cluster, service = place
    return service if cluster == home else f"{cluster}|{service}"


def service_of(node: str) -> str:
    """Return the service of a node."""
    return node.rpartition("|")[2]


@dataclass(frozen=True, slots=True)
class Reach:
    """What services deliver to each other, by the names of nodes, and the nodes of other clusters."""

    flows: Mapping[tuple[str, str], Fraction]
    elsewhere: frozenset[Place]

    @property
    def clusters(self) -> tuple[str, ...]:
        """The other clusters, by code point."""
        return tuple(sorted({cluster for cluster, _ in self.elsewhere}))


def reach_of(clusters: Clusters, home: str) -> Reach:
    """Return the network of the nodes of `home` and of all that they feed, directly or through others."""
    if not clusters[home].exports:
        return Reach(clusters[home].flows, frozenset())
    flows: dict[tuple[str, str], Fraction] = {}
    seen: set[Place] = set()
    waiting = sorted({(home, service) for service, _ in [*clusters[home].flows, *clusters[home].exports]})
    edges = _edges(clusters)
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        for consumer, quantity in edges.get(place, ()):
            flows[node_name(home, place), node_name(home, consumer)] = quantity
            if quantity:
                waiting.append(consumer)
    return Reach(flows, frozenset(place for place in seen if place[0] != home))


def _edges(clusters: Clusters) -> dict[Place, list[tuple[Place, Fraction]]]:
    """Return, by node, what it delivers to which nodes."""
    edges: dict[Place, list[tuple[Place, Fraction]]] = {}
    for code, plan in clusters.items():
        for (service, consumer), quantity in plan.flows.items():
            edges.setdefault((code, service), []).append(((code, consumer), quantity))
        for (service, other), quantity in plan.exports.items():
            edges.setdefault((code, service), []).append((other, quantity))
    return edges
