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
    """Return the strongly connected components, each after all components that feed it (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: set[str] = set()
    stack: list[str] = []
    found: list[list[str]] = []
    for root in successors:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        path = [(root, iter(successors[root]))]
        while path:
            node, following = path[-1]
            entered = False
            for successor in following:
                if successor not in index:
                    index[successor] = low[successor] = len(index)
                    stack.append(successor)
                    on_stack.add(successor)
                    path.append((successor, iter(successors[successor])))
                    entered = True
                    break
                if successor in on_stack:
                    low[node] = min(low[node], index[successor])
            if entered:
                continue
            path.pop()
            if path:
                parent = path[-1][0]
                low[parent] = min(low[parent], low[node])
            if low[node] == index[node]:
                component: list[str] = []
                while not component or component[-1] != node:
                    component.append(stack.pop())
                    on_stack.remove(component[-1])
                found.append(sorted(component))
    # Tarjan finds a component after everything that it feeds.
    found.reverse()
    return found
