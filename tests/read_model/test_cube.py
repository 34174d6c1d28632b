"""The cube equals sums over visible leaves, for every dimension and for combinations of them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from allocation.selectors import cube
from allocation.selectors.amounts import LINES, Method
from allocation.selectors.cube import CubeOrder, CubePage, Grouping
from allocation.selectors.dimensions import Dimension
from allocation.selectors.facts import EmissionsFilter
from allocation.selectors.spans import Granularity
from tests.factories.hierarchy import month
from tests.read_model.oracle import Oracle
from tests.read_model.test_by_month import NODES, PEOPLE, key, question
from tests.read_model.world import ACCOUNTS, METHOD_LINES, World, publish_month

if TYPE_CHECKING:
    from tests.read_model.world import Leaf

PLACES = {"east": ("DE", "r-east"), "west": ("IE", "r-west"), "edge": ("", "")}


def value_of(world: World, leaf: Leaf, dimension: Dimension) -> str:
    """The code that a leaf has in a dimension, as the oracle sees it."""
    place = PLACES[leaf.cluster[2:]]
    return {
        Dimension.PROVIDER: leaf.provider,
        Dimension.SERVICE: leaf.service,
        Dimension.SERVICE_CATEGORY: leaf.service[2:].title(),
        Dimension.COUNTRY: place[0],
        Dimension.REGION: place[1],
        Dimension.CLUSTER: leaf.cluster,
        Dimension.ACCOUNT_GROUP: group_of(world, leaf) or "",
        Dimension.ACCOUNT: leaf.account,
        Dimension.RESOURCE_GROUP: leaf.resource_group,
        Dimension.SCOPE: str(int(LINES[leaf.line].scope)) if leaf.line < len(LINES) else "",
        Dimension.LINE: LINES[leaf.line].name if leaf.line < len(LINES) else "",
        Dimension.QUALITY: "metered",
    }[dimension]


def group_of(world: World, leaf: Leaf) -> str | None:
    for account, _, group, start, bound in world.places:
        if account == leaf.account and start <= leaf.month and (bound is None or leaf.month < bound):
            return group
    return None


def bucket_of(leaf: Leaf, granularity: Granularity | None, fiscal_start: int) -> str:
    if granularity is None:
        return ""
    if granularity is Granularity.MONTH:
        return f"{leaf.month:%Y-%m}"
    if granularity is Granularity.QUARTER:
        return f"{leaf.month.year}-Q{(leaf.month.month + 2) // 3}"
    year = leaf.month.year - (leaf.month.month < fiscal_start)
    return str(year) if fiscal_start == 1 else f"FY{year}/{(year + 1) % 100:02d}"


def wanted(
    world: World, who: str, node: tuple[str, str], grouping: Grouping, method: Method
) -> dict[tuple[str, ...], int]:
    sums: dict[tuple[str, ...], int] = defaultdict(int)
    lines = METHOD_LINES[method.value] if Dimension.LINE not in grouping.dimensions else range(len(LINES))
    for leaf in Oracle(world).visible(who, *node):
        if leaf.line in lines:
            values = [value_of(world, leaf, dimension) for dimension in grouping.dimensions]
            # Codes of services and places are unique per provider, those of resource groups per account.
            values += [leaf.account] if Dimension.RESOURCE_GROUP in grouping.dimensions else []
            bucket = bucket_of(leaf, grouping.granularity, grouping.fiscal_start)
            sums[bucket, leaf.provider if Dimension.REGION in grouping.dimensions else "", *values] += leaf.ug
    return dict(sums)


def found(
    world: World,
    who: str,
    node: tuple[str, str],
    grouping: Grouping,
    method: Method,
    **given: Any,  # noqa: ANN401 arguments of the selector
) -> dict[tuple[str, ...], int]:
    page = CubePage(10_000, method)
    result = cube.cube(question=question(world, who), nodes=[key(world, *node)], grouping=grouping, page=page, **given)
    sums: dict[tuple[str, ...], int] = defaultdict(int)
    accounts = {world.made[code].pk: code for code in ("mover", "deep", "still", "direct", "alone", "southern")}
    owners = {
        world.made[f"{account}/{group}"].pk: account
        for account, group in itertools.product(accounts.values(), ("default", "team"))
    }
    for row in result.rows:
        values = [value.code for value in row.values]
        values += [owners[v.node.id] for v in row.values if v.dimension is Dimension.RESOURCE_GROUP and v.node]
        region = [value.provider or "" for value in row.values if value.dimension is Dimension.REGION]
        line = Dimension.LINE in grouping.dimensions
        ug = sum(x for x in row.figure.amounts.lines_ug if x is not None) if line else row.figure.ug(method)
        place = (row.span.label if row.span else "", *(region or [""]), *values)
        assert place not in sums
        sums[place] = ug or 0
    return dict(sums)


@pytest.mark.parametrize("dimension", list(Dimension))
def test_each_dimension(world: World, dimension: Dimension) -> None:
    for who, method in itertools.product(("owner", "viewer-a", "mixed", "viewer-team"), Method):
        grouping = Grouping((dimension,))
        for node in (("enterprise_parent", "acme"), ("account_group", "a"), ("account", "deep")):
            assert found(world, who, node, grouping, method) == wanted(world, who, node, grouping, method), (who, node)


COMBINATIONS = [
    # Rows of containers as they stand, where a node is seen in one part of each provider.
    Grouping((Dimension.SERVICE, Dimension.CLUSTER), Granularity.MONTH),
    Grouping((Dimension.SERVICE,), Granularity.MONTH),
    Grouping((Dimension.PROVIDER, Dimension.CLUSTER), Granularity.MONTH),
    Grouping((Dimension.PROVIDER,), Granularity.MONTH),
    Grouping((Dimension.ACCOUNT, Dimension.SERVICE_CATEGORY), Granularity.QUARTER),
    Grouping((Dimension.ACCOUNT_GROUP, Dimension.COUNTRY), Granularity.YEAR, 4),
    Grouping((Dimension.SCOPE, Dimension.REGION, Dimension.PROVIDER), Granularity.YEAR),
    Grouping((Dimension.RESOURCE_GROUP, Dimension.QUALITY, Dimension.SERVICE, Dimension.CLUSTER)),
    Grouping((Dimension.LINE, Dimension.ACCOUNT), Granularity.MONTH),
    Grouping((), Granularity.YEAR, 2),
    Grouping(),
]


@pytest.mark.parametrize("grouping", COMBINATIONS)
def test_combinations(world: World, grouping: Grouping) -> None:
    for who in PEOPLE:
        for node in NODES[::3]:
            method = Method.MARKET_BASED
            assert found(world, who, node, grouping, method) == wanted(world, who, node, grouping, method), (who, node)


def test_a_moved_account_counts_in_the_group_of_the_month(world: World) -> None:
    grouping = Grouping((Dimension.ACCOUNT_GROUP,), Granularity.MONTH)
    sums = found(world, "owner", ("resource_directory", "north"), grouping, Method.LOCATION_BASED)
    for on in ("2025-02", "2025-03"):
        inside = ["mover"] if on == "2025-02" else []
        assert sums.get((on, "", "a"), 0) == world.total_ug(month=[month(on)], account=inside)


def test_filters_apply_to_every_detail(world: World) -> None:
    services = EmissionsFilter(service_ids=(world.made["p-compute"].pk,), cluster_ids=(world.made["p-east"].pk,))
    for dimension in (Dimension.ACCOUNT_GROUP, Dimension.ACCOUNT, Dimension.RESOURCE_GROUP, Dimension.SCOPE):
        sums = found(
            world,
            "owner",
            ("resource_directory", "north"),
            Grouping((dimension,)),
            Method.LOCATION_BASED,
            restricted=services,
        )
        want = world.total_ug(service=["p-compute"], cluster=["p-east"], account=["mover", "deep", "still", "direct"])
        assert sum(sums.values()) == want


@pytest.mark.parametrize("order", list(CubeOrder))
@pytest.mark.parametrize(
    "grouping",
    [
        Grouping((Dimension.ACCOUNT, Dimension.SERVICE), Granularity.QUARTER),
        # Lines that this method does not add up have no total: many rows that only their labels tell apart.
        Grouping((Dimension.ACCOUNT, Dimension.LINE)),
        Grouping((Dimension.SERVICE, Dimension.CLUSTER), Granularity.MONTH),
    ],
    ids=["no two alike", "many alike", "as they stand"],
)
def test_pages_are_the_cut_up_whole(world: World, grouping: Grouping, order: CubeOrder) -> None:
    asked = question(world, "owner")
    node = key(world, "enterprise_parent", "acme")

    def rows(limit: int, after: tuple[str | int, ...] | None = None) -> list[cube.CubeRow]:
        page = CubePage(limit, Method.MARKET_BASED, order, after)
        return cube.cube(question=asked, nodes=[node], grouping=grouping, page=page).rows

    whole = rows(10_000)
    assert len(whole) > 10
    labels = [row.label for row in whole]
    for limit, begin in itertools.product((1, 3, len(whole)), range(len(whole))):
        page = rows(limit, whole[begin].key(order))
        # A page is never shorter than it need be: a short one tells the reader that nothing follows.
        assert [row.label for row in page] == labels[begin + 1 : begin + 1 + limit]
    if order is CubeOrder.EMISSIONS_DESC:
        totals = [row.total_ug for row in whole]
        assert totals == sorted(totals, reverse=True)
        assert (len(set(totals)) < len(totals)) == (Dimension.LINE in grouping.dimensions)
    else:
        spans = [row.span.label for row in whole if row.span]
        assert spans == sorted(spans)


def test_directories_of_one_provider_are_added_up_before_rows_are_ranked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.directory("harbour", provider="p", enterprise="acme")
    world.account("easterner", provider="p")
    world.member("easterner", directory="harbour")
    world.close_tree()
    monkeypatch.setitem(ACCOUNTS, "p", (*ACCOUNTS["p"], "easterner"))
    publish_month(world, "p", month("2025-05"))
    grouping = Grouping((Dimension.SERVICE, Dimension.CLUSTER), Granularity.MONTH)
    node = ("enterprise_parent", "acme")
    want = sorted(wanted(world, "owner", node, grouping, Method.MARKET_BASED).values(), reverse=True)
    asked = question(world, "owner", until="2025-06")
    for limit in range(1, len(want) + 1):
        page = CubePage(limit, Method.MARKET_BASED)
        rows = cube.cube(question=asked, nodes=[key(world, *node)], grouping=grouping, page=page).rows
        assert [row.figure.ug(Method.MARKET_BASED) for row in rows] == want[:limit]


def test_the_ledger_of_a_large_node_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cube, "MAX_LEDGER_ACCOUNTS", 3)
    grouping = Grouping((Dimension.QUALITY,))
    with pytest.raises(cube.TooManyAccounts):
        found(world, "owner", ("resource_directory", "north"), grouping, Method.LOCATION_BASED)
    assert found(world, "owner", ("account_group", "a"), grouping, Method.LOCATION_BASED)
