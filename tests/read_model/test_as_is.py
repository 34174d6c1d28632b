"""As-is: today's tree over all history; what may be seen stays decided by the tree of the month."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allocation.policies import View
from allocation.selectors import emissions
from allocation.selectors.amounts import Method
from allocation.selectors.cube import CubePage, Grouping, cube
from allocation.selectors.dimensions import Dimension
from allocation.selectors.statuses import Presence
from tests.factories.hierarchy import month
from tests.read_model.oracle import Oracle
from tests.read_model.test_by_month import NODES, NOW, PEOPLE, key, question
from tests.read_model.world import METHOD_LINES, World

TODAY = NOW.date().replace(day=1)


@pytest.mark.parametrize("who", PEOPLE)
def test_amounts_are_those_of_the_visible_leaves_below_today(world: World, who: str) -> None:
    oracle = Oracle(world)
    asked = replace(question(world, who), view=View.AS_IS)
    nodes = {key(world, kind, code): (kind, code) for kind, code in NODES}
    found = emissions.by_month(question=asked, nodes=list(nodes))
    for node, (kind, code) in nodes.items():
        leaves = oracle.visible_as_is(who, kind, code, TODAY)
        for point in found[node].points:
            want = sum(x.ug for x in leaves if x.month == point.month and x.line in METHOD_LINES["location_based"])
            assert (point.figure.ug(Method.LOCATION_BASED) or 0) == want, (who, kind, code, point.month)


def test_what_the_new_parent_may_not_see_of_a_newcomer_is_told(world: World) -> None:
    asked = replace(question(world, "viewer-b"), view=View.AS_IS)
    node = key(world, "account_group", "b")
    points = emissions.by_month(question=asked, nodes=[node])[node].points
    assert [point.figure.presence for point in points] == [*[Presence.PART] * 2, *[Presence.WHOLE] * 2]
    whole = replace(question(world, "owner"), view=View.AS_IS)
    points = emissions.by_month(question=whole, nodes=[node])[node].points
    assert {point.figure.presence for point in points} == {Presence.WHOLE}


@pytest.mark.parametrize("dimension", [Dimension.ACCOUNT_GROUP, Dimension.ACCOUNT, Dimension.SERVICE, Dimension.SCOPE])
def test_the_cube_regroups(world: World, dimension: Dimension) -> None:
    for who in ("owner", "viewer-a", "viewer-b", "mixed"):
        asked = replace(question(world, who), view=View.AS_IS)
        for kind, code in (("resource_directory", "north"), ("account_group", "b"), ("account_group", "a")):
            page = CubePage(1_000, Method.MARKET_BASED)
            node = key(world, kind, code)
            rows = cube(question=asked, nodes=[node], grouping=Grouping((dimension,)), page=page).rows
            leaves = Oracle(world).visible_as_is(who, kind, code, TODAY)
            total = sum(x.ug for x in leaves if x.line in METHOD_LINES["market_based"])
            assert sum(row.figure.ug(Method.MARKET_BASED) or 0 for row in rows) == total, (who, code)
            if dimension is Dimension.ACCOUNT_GROUP:
                mover = sum(x.ug for x in leaves if x.account == "mover" and x.line in METHOD_LINES["market_based"])
                still = sum(x.ug for x in leaves if x.account == "still" and x.line in METHOD_LINES["market_based"])
                in_b = [row.figure.ug(Method.MARKET_BASED) for row in rows if row.values[0].code == "b"]
                assert sum(x or 0 for x in in_b) == mover + still


def test_a_total_does_not_depend_on_the_view_where_nothing_moved(world: World) -> None:
    node = key(world, "account_group", "a1")
    was = emissions.by_month(question=question(world, "owner"), nodes=[node])[node]
    asked = replace(question(world, "owner"), view=View.AS_IS)
    assert emissions.by_month(question=asked, nodes=[node])[node].points == was.points
    assert was.points[0].month == month("2025-01")
