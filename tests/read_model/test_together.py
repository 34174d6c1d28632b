"""What is asked of several nodes at once is what is asked of each alone, sorted in any way, for everybody."""

from __future__ import annotations

import pytest

from allocation.selectors import children, cube, restatements
from allocation.selectors.amounts import Method
from allocation.selectors.child_page import ChildOrder, ChildPage
from allocation.selectors.cube import CubeOrder, CubePage, Grouping
from allocation.selectors.dimensions import Dimension
from allocation.selectors.restatements import Changed
from tests.factories.hierarchy import month
from tests.read_model.test_by_month import NODES, key, question
from tests.read_model.world import World, publish_month

SOME = ("owner", "viewer-a", "mixed", "operator")
DIMENSIONS = (
    Dimension.SERVICE,
    Dimension.CLUSTER,
    Dimension.COUNTRY,
    Dimension.ACCOUNT_GROUP,
    Dimension.ACCOUNT,
    Dimension.RESOURCE_GROUP,
)
PAGES = (
    ChildPage(1, ChildOrder.EMISSIONS_DESC),
    ChildPage(2, ChildOrder.EMISSIONS_ASC, Method.MARKET_BASED),
    ChildPage(2, ChildOrder.NAME_ASC),
)


@pytest.mark.parametrize("who", SOME)
def test_lists(world: World, who: str) -> None:
    nodes, asked = [key(world, *node) for node in NODES], question(world, who)
    counts = children.count(question=asked, parents=nodes)
    assert counts == {node: children.count(question=asked, parents=[node])[node] for node in nodes}
    assert sum(counts.values()) > len(nodes) / 2
    for selector in (children.children, children.accounts_below):
        for page in PAGES:
            together = selector(question=asked, parents=nodes, page=page)
            assert together == {node: selector(question=asked, parents=[node], page=page)[node] for node in nodes}


@pytest.mark.parametrize("who", SOME)
def test_breakdowns(world: World, who: str) -> None:
    nodes, asked = [key(world, *node) for node in NODES], question(world, who)
    for dimension in DIMENSIONS:
        grouping, found = Grouping((dimension,)), []
        for page in (CubePage(2, each=True), CubePage(1, Method.MARKET_BASED, CubeOrder.KEY_ASC, each=True)):
            together = cube.cube(question=asked, nodes=nodes, grouping=grouping, page=page, series={}).rows
            for node in nodes:
                alone = cube.cube(question=asked, nodes=[node], grouping=grouping, page=page, series={}).rows
                assert [row for row in together if row.node == node] == alone
                found += alone
        assert found, dimension


def test_a_crowd_is_refused_for_itself_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cube, "MAX_LEDGER_ACCOUNTS", 2)
    many, few = key(world, "resource_directory", "north"), key(world, "account_group", "a")
    grouping, page = Grouping((Dimension.RESOURCE_GROUP,)), CubePage(100, each=True)
    found = cube.cube(question=question(world, "owner"), nodes=[many, few], grouping=grouping, page=page)
    assert found.refused == {many}
    assert {row.node for row in found.rows} == {few}


@pytest.mark.parametrize("who", SOME)
def test_restatements(world: World, who: str) -> None:
    for number, on in enumerate(("2025-01", "2025-02", "2025-01", "2025-01"), start=2):
        publish_month(world, "p", month(on), number=number, factor=number)
    viewer = question(world, who).viewer
    made = restatements.restatements(viewer=viewer, limit=10)
    asked = [Changed(key(world, *node), one) for node in NODES for one in made]
    assert restatements.changes(viewer=viewer, asked=asked) == {
        one: restatements.changes(viewer=viewer, asked=[one])[one] for one in asked
    }
    leaves = restatements.leaf_differences(viewer=viewer, asked=asked, limit=3)
    alone = {one: restatements.leaf_differences(viewer=viewer, asked=[one], limit=3)[one] for one in asked}
    assert leaves == alone
    assert any(leaves.values())
