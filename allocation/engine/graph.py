"""Services that feed services, as a graph: components in order, and who reaches a terminal (section 5, step 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def reaching(terminals: Iterable[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    """Return the terminals and every node with a path to one of them."""
    feeders: dict[str, list[str]] = {}
    for source, target in edges:
        feeders.setdefault(target, []).append(source)
    found = set(terminals)
    waiting = list(found)
    while waiting:
        for feeder in feeders.get(waiting.pop(), ()):
            if feeder not in found:
                found.add(feeder)
                waiting.append(feeder)
    return found


def connected(nodes: Collection[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return `nodes` in groups that `edges` connect, whatever their direction; all by code point."""
    neighbours: dict[str, set[str]] = {node: set() for node in sorted(nodes)}
    for source, target in edges:
        if source in neighbours and target in neighbours:
            neighbours[source].add(target)
            neighbours[target].add(source)
    groups: list[list[str]] = []
    seen: set[str] = set()
    for node in neighbours:
        if node in seen:
            continue
        group, waiting = {node}, [node]
        while waiting:
            more = neighbours[waiting.pop()] - group
            group |= more
            waiting += more
        seen |= group
        groups.append(sorted(group))
    return groups


def components(successors: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the strongly connected components, each after all components that feed it (Kosaraju, Sharir 1981).

    The node that a depth-first walk leaves last belongs to a component that nothing else feeds; whatever reaches it is
    that component. All by code point, without recursion.
    """
    feeders: dict[str, list[str]] = {node: [] for node in successors}
    for node, targets in successors.items():
        for target in targets:
            feeders[target].append(node)
    found: list[list[str]] = []
    assigned: set[str] = set()
    for root in reversed(_left(successors)):
        if root in assigned:
            continue
        component, waiting = {root}, [root]
        while waiting:
            more = set(feeders[waiting.pop()]) - assigned - component
            component |= more
            waiting += more
        assigned |= component
        found.append(sorted(component))
    return found


def _left(successors: Mapping[str, Collection[str]]) -> list[str]:
    """Return the nodes in the order in which a depth-first walk leaves them."""
    entered: set[str] = set()
    left: list[str] = []
    for root in successors:
        path = [(root, iter(successors[root]))] if root not in entered else []
        entered.add(root)
        while path:
            node, following = path[-1]
            target = next((target for target in following if target not in entered), None)
            if target is None:
                left.append(node)
                path.pop()
            else:
                entered.add(target)
                path.append((target, iter(successors[target])))
    return left
