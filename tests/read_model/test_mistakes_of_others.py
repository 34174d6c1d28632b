"""Mistakes that other carbon tools made with organisations that change, one test each (see docs/hierarchy.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, AccountGroup, AccountMembership, NodeKind
from accounts.months import Period
from accounts.policies import VisibleSets, months_of, viewer_of
from accounts.selectors.search import search
from accounts.services import groups, memberships
from allocation.selectors import children
from allocation.selectors.amounts import Method
from allocation.selectors.child_page import ChildPage
from allocation.selectors.cube import CubePage, Grouping, cube
from allocation.selectors.dimensions import Dimension
from allocation.selectors.spans import Granularity
from allocation.selectors.statuses import DataStatus
from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, signed_in
from tests.graphql_api.test_reading import node_id
from tests.read_model.test_by_month import NOW, key, question, series

if TYPE_CHECKING:
    from accounts.policies import Viewer
    from allocation.selectors.children import Child
    from tests.read_model.world import World

LBM = Method.LOCATION_BASED


def viewer(world: World, who: str) -> Viewer:
    return viewer_of(world.made[who], now=NOW)


def total_ug(world: World, who: str, kind: str, code: str) -> int | None:
    return series(world, who, kind, code).total.ug(LBM)


def by_group(world: World, who: str, kind: str, code: str) -> dict[str, int]:
    """The cube's rows by group: what stands directly in each."""
    node, page = key(world, kind, code), CubePage(1_000, LBM)
    rows = cube(question=question(world, who), nodes=[node], grouping=Grouping((Dimension.ACCOUNT_GROUP,)), page=page)
    found = {row.values[0].name: row.figure.ug(LBM) or 0 for row in rows.rows}
    assert len(found) == len(rows.rows)
    return found


def below(world: World, who: str, kind: str, code: str, limit: int = 1_000) -> list[Child]:
    node = key(world, kind, code)
    return children.children(question=question(world, who), parents=[node], page=ChildPage(limit))[node]


def test_a_moved_account_is_not_counted_in_both_units(world: World) -> None:
    whole = series(world, "owner", "resource_directory", "north").points
    parts = [
        series(world, "owner", kind, code).points
        for kind, code in (("account_group", "a"), ("account_group", "b"), ("miscellaneous", "north"))
    ]
    for number, point in enumerate(whole):
        assert sum(part[number].figure.ug(LBM) or 0 for part in parts) == point.figure.ug(LBM), point.month


def test_the_total_of_a_group_by_is_that_of_the_filter_after_a_move(world: World) -> None:
    grouped = by_group(world, "owner", "resource_directory", "north")
    assert grouped["Group b"] == total_ug(world, "owner", "account_group", "b")
    assert grouped["Group a"] + grouped["Group a1"] == total_ug(world, "owner", "account_group", "a")
    assert sum(grouped.values()) == total_ug(world, "owner", "resource_directory", "north")


def test_a_renamed_unit_is_counted_once_under_its_new_name(world: World) -> None:
    before = by_group(world, "owner", "resource_directory", "north")
    groups.rename_group(viewer=viewer(world, "operator"), group_id=world.made["b"].pk, name="Retail")
    after = by_group(world, "owner", "resource_directory", "north")
    assert after == {("Retail" if name == "Group b" else name): ug for name, ug in before.items()}


def test_a_question_about_a_unit_includes_its_descendants(world: World) -> None:
    deep = total_ug(world, "owner", "account", "deep") or 0
    assert total_ug(world, "owner", "account_group", "a1") == deep > 0
    assert (total_ug(world, "owner", "account_group", "a") or 0) > deep


def test_rights_follow_the_tree(world: World) -> None:
    groups.move_group(
        viewer=viewer(world, "operator"),
        group_id=world.made["a1"].pk,
        parent_id=world.made["b"].pk,
        month=month("2025-05"),
        frozen_months=(),
    )
    moved = world.made["a1"].pk
    for who, months in (
        ("viewer-a", Period(month("2020-01"), month("2025-05"))),
        ("viewer-b", Period(month("2025-05"))),
    ):
        held = months_of(viewer(world, who), kind=NodeKind.ACCOUNT_GROUP, ids=[moved])
        assert held == {moved: [months]}, who


def test_an_id_that_begins_like_another_is_another(world: World) -> None:
    for code in ("ou-1", "ou-12"):
        world.group(code, directory="north")
    world.close_tree()
    world.user("of-ou-1")
    world.grant("of-ou-1", "ou-1")
    someone = viewer(world, "of-ou-1")
    assert list(VisibleSets(someone).groups()) == [world.made["ou-1"]]
    hits = search(viewer=someone, text="ou-1", kinds=list(NodeKind), first=10)
    assert [hit.node.external_id for hit in hits] == ["ou-1"]


def test_there_and_back_keeps_three_intervals(world: World) -> None:
    mover = world.made["mover"]
    memberships.move_accounts(
        viewer=viewer(world, "operator"),
        account_ids=[mover.pk],
        directory_id=world.made["north"].pk,
        group_id=world.made["a"].pk,
        month=month("2025-06"),
        frozen_months=(),
    )
    stays = AccountMembership.objects.filter(account=mover, superseded_by=None).order_by("valid_from")
    assert [stay.group for stay in stays] == [world.made["a"], world.made["b"], world.made["a"]]
    held = months_of(viewer(world, "viewer-a"), kind=NodeKind.ACCOUNT, ids=[mover.pk])[mover.pk]
    assert held == [Period(month("2020-01"), month("2025-03")), Period(month("2025-06"))]


def test_a_past_member_is_not_shown_to_its_old_unit_for_all_dates(world: World) -> None:
    node = key(world, "account", "mover")
    grouping = Grouping((Dimension.SERVICE,), granularity=Granularity.MONTH)
    found = cube(question=question(world, "viewer-a"), nodes=[node], grouping=grouping, page=CubePage(1_000, LBM))
    assert {row.span.start for row in found.rows if row.span} == {month("2025-01"), month("2025-02")}
    statuses = [point.figure.status(LBM) for point in series(world, "viewer-a", "account", "mover").points]
    assert statuses == [*[DataStatus.REPORTED] * 2, *[DataStatus.NOT_PERMITTED] * 2]


def test_children_cost_no_query_each(world: World) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            below(world, "owner", "resource_directory", "north")
        return len(captured)

    few, number = statements(), len(below(world, "owner", "resource_directory", "north"))
    for code in ("more-1", "more-2", "more-3", "more-4"):
        world.group(code, directory="north")
    world.close_tree()
    assert len(below(world, "owner", "resource_directory", "north")) == number + 4
    assert statements() == few


def test_groups_and_accounts_are_sorted_and_paged_as_one_list(world: World) -> None:
    a, whole = key(world, "account_group", "a"), below(world, "owner", "account_group", "a")
    assert {child.node.key.kind.value for child in whole} == {"account_group", "account"}
    assert [child.total_ug for child in whole] == sorted((child.total_ug for child in whole), reverse=True)
    paged: list[Child] = []
    while True:
        last = (paged[-1].total_ug, paged[-1].kind_rank, paged[-1].node.key.id) if paged else None
        page = children.children(question=question(world, "owner"), parents=[a], page=ChildPage(1, after=last))[a]
        if not page:
            break
        paged += page
    assert paged == whole


def test_a_closed_account_keeps_its_name_and_its_figures(world: World) -> None:
    before = {child.node.name: child.total_ug for child in below(world, "owner", "account_group", "b")}
    memberships.close_account(
        viewer=viewer(world, "operator"), account_id=world.made["still"].pk, month=month("2025-02")
    )
    after = below(world, "owner", "account_group", "b")
    assert {child.node.name: child.total_ug for child in after} == before
    assert [child.node.status.value for child in after if child.node.name == "Account still"] == ["closed"]


def test_a_list_that_is_longer_than_its_page_says_so(world: World) -> None:
    made = Account.objects.bulk_create(
        Account(provider=world.made["p"], external_id=f"more-{number}", name=f"More {number}") for number in range(120)
    )
    AccountMembership.objects.bulk_create(
        AccountMembership(
            account=account,
            directory=world.made["north"],
            group=world.made["b"],
            valid_from=month("2025-01"),
            recorded_by=world.versions["north"],
        )
        for account in made
    )
    asked = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) {
      children(period: $period, first: 100) { totalCount pageInfo { hasNextPage } edges { cursor } }
      accounts(period: $period, first: 100) { pageInfo { hasNextPage } edges { cursor } } } }"""
    given = {"id": node_id(world, "account_group", "b"), "period": {"from": "2025-01", "until": "2025-05"}}
    found = ask(signed_in(world, "owner"), asked, **given)["hierarchyNode"]
    assert (found["children"]["totalCount"], len(found["children"]["edges"])) == (122, 100)
    assert found["children"]["pageInfo"] == found["accounts"]["pageInfo"] == {"hasNextPage": True}


def test_a_count_counts_nothing_hidden(world: World) -> None:
    assert AccountGroup.objects.filter(directory=world.made["north"]).count() > 1
    for who, number in (("viewer-a", 1), ("nobody", 0), ("owner", 3)):
        asked, north = question(world, who), key(world, "resource_directory", "north")
        assert children.count(question=asked, parents=[north]) == {north: number}, who


def test_a_total_less_the_visible_parts_leaves_nothing_hidden(world: World) -> None:
    # Who sees a part knows the whole by name alone.
    assert total_ug(world, "viewer-a", "resource_directory", "north") is None
    # Who sees the whole, one directory of which is switched off, sees the sum of the others.
    world.made["north"].multi_account_management = False
    world.made["north"].save()
    south = total_ug(world, "owner", "resource_directory", "south")
    assert total_ug(world, "owner", "enterprise_parent", "acme") == south
    assert (south or 0) > 0
