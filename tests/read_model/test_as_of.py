"""As-of: what was published on a date, by the tree of then; what may be seen is decided today."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from accounts.policies import viewer_of
from accounts.services.memberships import move_accounts
from allocation.policies import Question, role_kinds
from allocation.selectors import emissions, publications
from allocation.selectors.amounts import Method
from allocation.selectors.cube import CubePage, Grouping, cube
from allocation.selectors.dimensions import Dimension
from tests.factories.hierarchy import month
from tests.read_model.test_by_month import NOW, key, question
from tests.read_model.world import LONG_AGO, World, publish_month

if TYPE_CHECKING:
    from allocation.selectors.cube import CubeRow

BEFORE = LONG_AGO + dt.timedelta(days=401, hours=12)
RESTATED = [month("2025-02"), month("2025-03"), month("2025-04")]
TREE = [Dimension.ACCOUNT, Dimension.ACCOUNT_GROUP, Dimension.RESOURCE_GROUP]


@pytest.fixture
def moved(world: World) -> World:
    """After publication `deep`, which stood below a, was found to stand in b since February: published again."""
    move_accounts(
        viewer=viewer_of(world.made["operator"], now=NOW),
        account_ids=[world.made["deep"].pk],
        directory_id=world.made["north"].pk,
        group_id=world.made["b"].pk,
        month=RESTATED[0],
        frozen_months=(),
    )
    for on in RESTATED:
        publish_month(world, "p", on, number=2)
    return world


def as_of(world: World, who: str) -> Question:
    viewer = viewer_of(world.made[who], now=NOW)
    period = question(world, who).period
    return Question(viewer, publications.as_of(moment=BEFORE), period, role_kinds(viewer=viewer))


def rows(asked: Question, world: World, node: tuple[str, str], dimension: Dimension) -> list[CubeRow]:
    page = CubePage(1_000, Method.LOCATION_BASED)
    return list(cube(question=asked, nodes=[key(world, *node)], grouping=Grouping((dimension,)), page=page).rows)


def total_ug(asked: Question, world: World, node: tuple[str, str]) -> int:
    found = key(world, *node)
    return emissions.by_month(question=asked, nodes=[found])[found].total.ug(Method.LOCATION_BASED) or 0


def named(listed: list[CubeRow]) -> set[str]:
    return {row.values[0].code for row in listed}


@pytest.mark.parametrize("dimension", TREE)
@pytest.mark.parametrize("who", ["operator", "owner"])
def test_what_was_published_adds_up_by_the_tree_of_then(moved: World, who: str, dimension: Dimension) -> None:
    now, then = question(moved, who), as_of(moved, who)
    changed = 0
    for node in (("resource_directory", "north"), ("account_group", "a"), ("account_group", "b")):
        for asked in (now, then):
            listed = rows(asked, moved, node, dimension)
            added = sum(row.figure.ug(Method.LOCATION_BASED) or 0 for row in listed)
            assert added == total_ug(asked, moved, node), (node, asked.published.moment)
        changed += total_ug(now, moved, node) != total_ug(then, moved, node)
    assert changed == 2


def test_an_account_is_listed_where_it_stood_when_that_was_published(moved: World) -> None:
    for who in ("operator", "owner"):
        for asked, in_b in ((question(moved, who), True), (as_of(moved, who), False)):
            assert ("deep" in named(rows(asked, moved, ("account_group", "b"), Dimension.ACCOUNT))) is in_b
            below_b = named(rows(asked, moved, ("account_group", "b"), Dimension.RESOURCE_GROUP))
            assert below_b


def test_as_of_lists_nothing_that_may_not_be_seen_today(moved: World) -> None:
    deep_in_a = [
        row
        for row in rows(as_of(moved, "viewer-a"), moved, ("account_group", "a"), Dimension.ACCOUNT)
        if row.values[0].code == "deep"
    ]
    january = question(moved, "operator", "2025-01", "2025-02")
    only = [
        row for row in rows(january, moved, ("account_group", "a"), Dimension.ACCOUNT) if row.values[0].code == "deep"
    ]
    assert [row.figure.ug(Method.LOCATION_BASED) for row in deep_in_a] == [
        row.figure.ug(Method.LOCATION_BASED) for row in only
    ]
    assert "deep" not in named(rows(as_of(moved, "viewer-b"), moved, ("account_group", "b"), Dimension.ACCOUNT))
