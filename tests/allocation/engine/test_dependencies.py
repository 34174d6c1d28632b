"""Services built on services: textbook systems, cycles, closed classes, order."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.engine.dependencies import Network, Throughput, closed_classes, resolve
from allocation.engine.graph import components, connected, reaching
from allocation.engine.linear import solve
from allocation.engine.options import PRESETS

if TYPE_CHECKING:
    from allocation.engine.frames import Options

RECIPROCAL = PRESETS["custom"]
DIRECT = dataclasses.replace(RECIPROCAL, dependencies="direct")
NAMES = "abcdef"
EDGES = st.dictionaries(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), st.integers(0, 9).map(Fraction))
NETWORKS = st.builds(
    lambda direct, usage, flows: Network(
        {s: (Fraction(v), Fraction(v, 3)) for s, v in direct.items()},
        {s: 1 << v % 7 for s, v in direct.items()},
        {s: Fraction(v) for s, v in usage.items()},
        flows,
        1,
    ),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100)),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)),
    EDGES,
)


def received(throughput: Throughput, network: Network) -> dict[str, Fraction]:
    """Return what the leaves of each service get, or what the service keeps."""
    per_leaf = {
        service: columns[0] * network.usage.get(service, Fraction(0))
        for service, columns in throughput.per_unit.items()
    }
    return {**per_leaf, **{service: columns[0] for service, columns in throughput.kept.items()}}


def test_a_textbook_system_of_two_services_that_serve_each_other() -> None:
    # Maintenance (a) costs 200 000, information systems (b) 600 000; b uses 20 % of a, a uses 10 % of b; production
    # departments take the rest: T_a = 200 000 + 0.1 T_b, T_b = 600 000 + 0.2 T_a.
    direct = {"a": (Fraction(200_000),) * 2, "b": (Fraction(600_000),) * 2}
    flows = {("a", "b"): Fraction(20), ("b", "a"): Fraction(10)}
    network = Network(direct, {}, {"a": Fraction(80), "b": Fraction(90)}, flows, 1)

    throughput = resolve(network, RECIPROCAL)

    assert throughput.per_unit["a"][0] * 100 == Fraction(260_000, 1) / Fraction(98, 100)
    assert throughput.per_unit["b"][0] * 100 == Fraction(640_000, 1) / Fraction(98, 100)


@given(NETWORKS, st.sampled_from(["reciprocal", "step_down", "direct", "rounds"]))
@settings(deadline=None, max_examples=150)
def test_nothing_is_lost_whatever_the_method(network: Network, method: str) -> None:
    options = dataclasses.replace(RECIPROCAL, dependencies=method, step_down_order=("c", "a", "unknown"), rounds=3)

    throughput = resolve(network, options)

    amounts = received(throughput, network)
    assert sum(amounts.values()) == sum(columns[0] for columns in network.direct.values())
    assert all(amount >= 0 for amount in amounts.values())


@given(NETWORKS)
@settings(deadline=None, max_examples=100)
def test_the_reciprocal_solution_satisfies_its_equations(network: Network) -> None:
    throughput = resolve(network, RECIPROCAL)
    closed = {service for members in throughput.closed for service in members}
    flows = {edge: q for edge, q in network.flows.items() if edge[0] not in closed}
    output = {
        service: network.usage.get(service, Fraction(0)) + sum(q for (s, _), q in flows.items() if s == service)
        for service in network.services()
    }

    for service in network.services():
        inflow = sum(q * throughput.per_unit[s][0] for (s, consumer), q in flows.items() if consumer == service and q)
        total = network.direct.get(service, (Fraction(0),))[0] + inflow
        if service in throughput.kept:
            assert throughput.kept[service][0] == total
        else:
            assert throughput.per_unit[service][0] * output[service] == total


@given(NETWORKS)
@settings(deadline=None, max_examples=100)
def test_the_reciprocal_method_is_step_down_where_there_are_no_cycles(network: Network) -> None:
    forward = {(s, j): q for (s, j), q in network.flows.items() if s < j}
    acyclic = dataclasses.replace(network, flows=forward)
    options = dataclasses.replace(RECIPROCAL, dependencies="step_down", step_down_order=())

    assert received(resolve(acyclic, options), acyclic) == received(resolve(acyclic, RECIPROCAL), acyclic)


@given(NETWORKS)
@settings(deadline=None)
def test_the_direct_method_is_the_reciprocal_one_without_dependencies(network: Network) -> None:
    alone = dataclasses.replace(network, flows={})

    assert resolve(network, DIRECT).per_unit == resolve(alone, RECIPROCAL).per_unit
    assert resolve(network, DIRECT).kept.keys() >= resolve(alone, RECIPROCAL).kept.keys()


@given(NETWORKS, st.sampled_from(NAMES), st.integers(1, 9))
@settings(deadline=None, max_examples=100)
def test_use_of_oneself_changes_nothing(network: Network, service: str, quantity: int) -> None:
    if not network.usage.get(service):
        return
    flows = {**network.flows, (service, service): Fraction(quantity)}

    assert received(resolve(dataclasses.replace(network, flows=flows), RECIPROCAL), network) == received(
        resolve(network, RECIPROCAL), network
    )


@given(NETWORKS)
@settings(deadline=None)
def test_enough_rounds_are_the_reciprocal_method_where_there_are_no_cycles(network: Network) -> None:
    forward = {(s, j): q for (s, j), q in network.flows.items() if s < j}
    acyclic = dataclasses.replace(network, flows=forward)
    options = dataclasses.replace(RECIPROCAL, dependencies="rounds", rounds=len(NAMES))

    def positive(options: Options) -> dict[str, Fraction]:
        return {service: amount for service, amount in received(resolve(acyclic, options), acyclic).items() if amount}

    assert positive(options) == positive(RECIPROCAL)


def test_two_rounds_leave_what_is_on_its_way_where_it_has_arrived() -> None:
    # a and b feed each other half of their output. Of the 64 of a, 32 go to leaves and 32 to b in the first round; of
    # those 16 go to leaves and 16 back to a in the second, and stay there.
    direct = {"a": (Fraction(64), Fraction(32)), "b": (Fraction(0), Fraction(0))}
    flows = {("a", "b"): Fraction(5), ("b", "a"): Fraction(7)}
    network = Network(direct, {"a": 1, "b": 2}, {"a": Fraction(5), "b": Fraction(7)}, flows, 1)
    options = dataclasses.replace(RECIPROCAL, dependencies="rounds", rounds=2)

    throughput = resolve(network, options)

    assert received(throughput, network) == {"a": 48, "b": 16}
    assert throughput.per_unit["a"][1] * 5 == 24
    assert throughput.classes == {"a": 3, "b": 3}


def test_closed_classes_are_those_without_a_way_out() -> None:
    flows = {
        ("a", "b"): Fraction(1),
        ("b", "a"): Fraction(1),
        ("feeder", "a"): Fraction(1),
        ("self", "self"): Fraction(1),
        ("c", "sink"): Fraction(1),
        ("d", "a"): Fraction(1),
        ("d", "used"): Fraction(1),
        ("e", "e"): Fraction(0),
    }

    assert closed_classes({"used"}, flows) == [["a", "b", "feeder"], ["self"]]
    assert closed_classes({"used", "b"}, flows) == [["self"]]


def test_members_of_a_closed_class_keep_what_they_and_others_bring() -> None:
    direct = {name: (Fraction(amount),) * 2 for name, amount in {"a": 10, "b": 20, "d": 40}.items()}
    flows = {("a", "b"): Fraction(1), ("b", "a"): Fraction(1), ("d", "a"): Fraction(1), ("d", "x"): Fraction(3)}
    network = Network(direct, {"d": 4, "b": 1}, {"x": Fraction(5)}, flows, 1)

    throughput = resolve(network, RECIPROCAL)

    assert throughput.closed == [["a", "b"]]
    assert {name: columns[0] for name, columns in throughput.kept.items()} == {"a": 20, "b": 20}
    assert throughput.classes["a"] == 4
    assert throughput.classes["b"] == 1


def test_classes_of_energy_follow_the_flows() -> None:
    flows = {("a", "b"): Fraction(1), ("b", "c"): Fraction(1), ("c", "b"): Fraction(1), ("c", "d"): Fraction(0)}
    usage = {name: Fraction(1) for name in "abcd"}
    network = Network({}, {"a": 1, "c": 4}, usage, flows, 0)

    assert resolve(network, RECIPROCAL).classes == {"a": 1, "b": 5, "c": 5, "d": 0}


@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=4, max_size=4), st.integers(1, 5))
@settings(deadline=None)
def test_systems_are_solved_exactly(entries: list[list[int]], spare: int) -> None:
    # Columns are strictly dominated by the diagonal, as they are where every service has some output to leaves.
    size = range(len(entries))
    matrix = [[Fraction(-entries[i][j], 7) for j in size] for i in size]
    for j in size:
        matrix[j][j] = Fraction(spare) + sum(-matrix[i][j] for i in size if i != j)
    right = [[Fraction(i + 1, 3), Fraction(entries[i][0])] for i in size]

    solution = solve(matrix, right)

    for i, column in itertools.product(size, range(2)):
        assert sum(matrix[i][j] * solution[j][column] for j in size) == right[i][column]


@given(EDGES)
@settings(deadline=None)
def test_components_are_mutually_reachable_and_come_after_what_feeds_them(
    flows: dict[tuple[str, str], Fraction],
) -> None:
    successors = {name: sorted({j for s, j in flows if s == name}) for name in NAMES}

    found = components(successors)

    place = {name: index for index, members in enumerate(found) for name in members}
    assert sorted(place) == list(NAMES)
    assert all(place[s] <= place[j] for s, j in flows)
    for s, j in itertools.product(NAMES, repeat=2):
        mutual = s in reaching([j], flows) and j in reaching([s], flows)
        assert mutual == (place[s] == place[j])


def test_connected_groups_ignore_direction_and_other_nodes() -> None:
    edges = [("a", "b"), ("c", "b"), ("d", "x"), ("x", "e")]

    assert connected({"e", "d", "c", "b", "a"}, edges) == [["a", "b", "c"], ["d"], ["e"]]


@pytest.mark.parametrize("method", ["reciprocal", "step_down"])
def test_a_large_cycle_is_solved(method: str) -> None:
    names = [f"s{n:03d}" for n in range(60)]
    flows = {(s, j): Fraction(n + 1) for n, (s, j) in enumerate(zip(names, names[1:] + names[:1], strict=True))}
    usage = dict.fromkeys(names, Fraction(3))
    direct = {name: (Fraction(10**15 + n), Fraction(n)) for n, name in enumerate(names)}
    network = Network(direct, {}, usage, flows, 1)
    options = dataclasses.replace(RECIPROCAL, dependencies=method)

    assert sum(received(resolve(network, options), network).values()) == sum(c[0] for c in direct.values())
