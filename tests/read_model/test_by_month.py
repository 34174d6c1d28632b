"""Totals by month equal a sum over visible leaves, whoever asks about whatever node."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from accounts.months import Period
from accounts.policies import viewer_of
from allocation.policies import Kind, NodeKey, Question, role_kinds
from allocation.selectors import emissions, publications
from allocation.selectors.amounts import Method
from allocation.selectors.standing import Reason
from allocation.selectors.statuses import DataStatus, Presence
from tests.factories.hierarchy import month
from tests.read_model.oracle import Oracle
from tests.read_model.world import METHOD_LINES, World

if TYPE_CHECKING:
    from allocation.selectors.emissions import Series

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
PEOPLE = ("owner", "northerner", "viewer-a", "viewer-b", "viewer-mover", "viewer-team", "mixed", "nobody", "operator")
NODES = (
    ("enterprise_parent", "acme"),
    ("resource_directory", "north"),
    ("resource_directory", "south"),
    ("account_group", "a"),
    ("account_group", "a1"),
    ("account_group", "b"),
    ("account_group", "c"),
    ("miscellaneous", "north"),
    ("account", "mover"),
    ("account", "deep"),
    ("account", "direct"),
    ("account", "alone"),
    ("resource_group", "deep/team"),
    ("resource_group", "still/default"),
)


def question(world: World, who: str, start: str = "2025-01", until: str = "2025-05") -> Question:
    viewer = viewer_of(world.made[who], now=NOW)
    period = Period(month(start), month(until))
    return Question(viewer, publications.current(), period, role_kinds(viewer=viewer))


def key(world: World, kind: str, code: str) -> NodeKey:
    return NodeKey(Kind(kind), world.made[code].pk)


def series(world: World, who: str, kind: str, code: str) -> Series:
    node = key(world, kind, code)
    return emissions.by_month(question=question(world, who), nodes=[node])[node]


@pytest.mark.parametrize("who", PEOPLE)
def test_amounts_are_those_of_the_visible_leaves(world: World, who: str) -> None:
    oracle = Oracle(world)
    nodes = [key(world, kind, code) for kind, code in NODES]
    found = emissions.by_month(question=question(world, who), nodes=nodes)
    for node, (kind, code) in zip(nodes, NODES, strict=True):
        leaves = oracle.visible(who, kind, code)
        for point in found[node].points:
            here = [leaf for leaf in leaves if leaf.month == point.month]
            for method in Method:
                want = sum(leaf.ug for leaf in here if leaf.line in METHOD_LINES[method.value])
                assert (point.figure.ug(method) or 0) == want, (who, kind, code, point.month)
            estimated = sum(x.estimated_ug for x in here if x.line in METHOD_LINES["location_based"])
            assert (point.figure.estimated_ug(Method.LOCATION_BASED) or 0) == estimated
            assert (point.figure.energy_wh() or 0) == sum(leaf.ug for leaf in here if leaf.line == 11)


@pytest.mark.parametrize("who", PEOPLE)
def test_a_total_is_whole_only_if_nothing_is_hidden(world: World, who: str) -> None:
    oracle = Oracle(world)
    for kind, code in NODES:
        found = series(world, who, kind, code)
        for point in found.points:
            below = [leaf for leaf in oracle.below(kind, code) if leaf.month == point.month]
            seen = [leaf for leaf in below if oracle.sees(who, leaf)]
            if point.figure.presence is Presence.WHOLE:
                assert seen == below, (who, kind, code, point.month)
            elif not seen:
                assert point.figure.ug(Method.LOCATION_BASED) is None or point.figure.ug(Method.LOCATION_BASED) == 0


def test_the_old_parent_keeps_its_months_and_the_new_one_gets_no_others(world: World) -> None:
    march = month("2025-03")
    for who, early in (("viewer-a", True), ("viewer-b", False)):
        for point in series(world, who, "account", "mover").points:
            want = DataStatus.REPORTED if (point.month < march) is early else DataStatus.NOT_PERMITTED
            assert point.figure.status(Method.LOCATION_BASED) is want


def test_a_month_that_one_provider_has_not_published_is_partial(world: World) -> None:
    found = series(world, "owner", "enterprise_parent", "acme")
    assert [point.figure.presence for point in found.points] == [*[Presence.WHOLE] * 3, Presence.PART]
    assert [(one.reason, one.months) for one in found.omissions] == [
        (Reason.NOT_YET_PUBLISHED, (month("2025-04"),)),
    ]
    assert found.total.status(Method.LOCATION_BASED) is DataStatus.PARTIAL


def test_nothing_is_told_of_the_publications_of_a_hidden_directory(world: World) -> None:
    reasons = {one.reason for one in series(world, "northerner", "enterprise_parent", "acme").omissions}
    assert reasons == {Reason.NOT_PERMITTED}


def test_months_before_the_first_publication_are_not_covered(world: World) -> None:
    node = key(world, "resource_directory", "north")
    found = emissions.by_month(question=question(world, "owner", "2024-11", "2025-07"), nodes=[node])[node]
    assert [point.figure.status(Method.LOCATION_BASED) for point in found.points] == [
        *[DataStatus.NOT_COVERED] * 2,
        *[DataStatus.REPORTED] * 4,
        *[DataStatus.NOT_YET_PUBLISHED] * 2,
    ]
    assert all(point.figure.ug(Method.LOCATION_BASED) is None for point in (found.points[0], found.points[-1]))


def test_switching_multi_account_management_off_hides_all_but_direct_roles(world: World) -> None:
    world.made["north"].multi_account_management = False
    world.made["north"].save()
    world.switched_off = {"north"}
    oracle = Oracle(world)
    for who in PEOPLE:
        nodes = {key(world, kind, code): (kind, code) for kind, code in NODES}
        found = emissions.by_month(question=question(world, who), nodes=list(nodes))
        for node, (kind, code) in nodes.items():
            leaves = oracle.visible(who, kind, code)
            for point in found[node].points:
                want = sum(x.ug for x in leaves if x.month == point.month and x.line in METHOD_LINES["market_based"])
                assert (point.figure.ug(Method.MARKET_BASED) or 0) == want, (who, kind, code, point.month)
    told = series(world, "northerner", "resource_directory", "north").omissions
    assert [(one.reason, one.accounts) for one in told] == [(Reason.MULTI_ACCOUNT_DISABLED, 5)]


@pytest.mark.parametrize("own", [None, "deep"])
def test_accounts_that_the_switch_hides_are_counted_below_every_node(world: World, own: str | None) -> None:
    if own is not None:
        world.grant("northerner", own)
    world.made["north"].multi_account_management = False
    world.made["north"].save()
    oracle = Oracle(world)
    months = [month(f"2025-0{number}") for number in range(1, 5)]
    counts = {}
    for kind, code in NODES:
        if kind not in {"resource_directory", "account_group", "miscellaneous"} or code in {"south", "c"}:
            continue
        below = {
            account
            for account in {place[0] for place in world.places}
            for on in months
            if account != own and (kind, code) in oracle.above(account, on)
        }
        told = series(world, "northerner", kind, code).omissions
        counts[kind, code] = {one.accounts for one in told if one.reason is Reason.MULTI_ACCOUNT_DISABLED}
        assert counts[kind, code] == {len(below) or None}, (kind, code)
    assert len(set(map(frozenset, counts.values()))) > 2


def test_an_unknown_node_looks_like_a_hidden_one(world: World) -> None:
    absent = NodeKey(Kind.ACCOUNT, 999_999)
    hidden = key(world, "account", "alone")
    found = emissions.by_month(question=question(world, "viewer-a"), nodes=[absent, hidden])
    assert [p.figure for p in found[absent].points] == [p.figure for p in found[hidden].points]
    assert found[absent].omissions == found[hidden].omissions
