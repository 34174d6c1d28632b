"""What is not covered or below a threshold is in no figure: every sum is one over the leaves that are told.

The oracle decides for each account and service of a month by adding its leaves up, and forgets those that are withheld;
whatever is asked then, sums and differences of sums cannot lead back to them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from allocation.models import RunFinding
from allocation.selectors.amounts import Method
from allocation.selectors.cube import Grouping
from allocation.selectors.dimensions import Dimension
from allocation.selectors.emissions import by_month
from allocation.selectors.facts import EmissionsFilter
from allocation.selectors.standing import Reason
from allocation.selectors.statuses import DataStatus
from tests.factories.hierarchy import month
from tests.read_model.test_by_month import NODES, PEOPLE, key, question
from tests.read_model.test_cube import COMBINATIONS, found, wanted
from tests.read_model.world import METHOD_LINES, Rule, World, publish_month

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from tests.read_model.world import Leaf

UG_PER_KG = 10**9
APRIL = month("2025-04")


def caused(leaves: list[Leaf]) -> Mapping[tuple[str, str], int]:
    """What each account causes with each service, by the method by which it is more."""
    by_method: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(METHOD_LINES, 0))
    for leaf in leaves:
        for method, lines in METHOD_LINES.items():
            by_method[leaf.account, leaf.service][method] += leaf.ug if leaf.line in lines else 0
    return {cell: max(sums.values()) for cell, sums in by_method.items()}


def withhold_month(world: World, on: dt.date) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Publish a month again, storage not covered and about half of the others below the threshold; the oracle forgets.

    Returns what is withheld as (account, service): below the threshold, and not covered.
    """
    rows = [leaf for leaf in world.leaves if (leaf.provider, leaf.month) == ("p", on)]
    amounts = {cell: ug for cell, ug in caused(rows).items() if cell[1] == "p-compute"}
    # The threshold is what one account causes to the microgram: that one is told.
    threshold_ug = sorted(amounts.values())[len(amounts) // 2]
    rules = [Rule("p-storage", covered=False), Rule(None, threshold_kg=Decimal(threshold_ug) / UG_PER_KG)]
    publish_month(world, "p", on, number=2, coverage=rules)
    below = {cell for cell, ug in amounts.items() if ug < threshold_ug}
    not_covered = {(leaf.account, leaf.service) for leaf in rows if leaf.service == "p-storage"}
    world.leaves = [
        leaf for leaf in world.leaves if leaf.month != on or (leaf.account, leaf.service) not in below | not_covered
    ]
    assert 0 < len(below) < len(amounts)
    return below, not_covered


def positive(sums: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {place: ug for place, ug in sums.items() if ug}


def test_every_sum_is_one_over_what_is_told(world: World) -> None:
    withhold_month(world, APRIL)
    nodes = (
        ("enterprise_parent", "acme"),
        ("account_group", "a"),
        ("account", "deep"),
        ("resource_group", "deep/team"),
    )
    for grouping in (*(Grouping((dimension,)) for dimension in Dimension), *COMBINATIONS):
        for who, node in itertools.product(("owner", "mixed", "viewer-team"), nodes):
            sums = found(world, who, node, grouping, Method.MARKET_BASED)
            assert positive(sums) == positive(wanted(world, who, node, grouping, Method.MARKET_BASED)), (who, node)


def test_totals_and_filtered_totals_are_over_what_is_told(world: World) -> None:
    withhold_month(world, APRIL)
    nodes = [key(world, *node) for node in NODES]
    compute = EmissionsFilter(service_ids=(world.made["p-compute"].pk,))
    for who, method in itertools.product(PEOPLE, Method):
        whole = by_month(question=question(world, who), nodes=nodes)
        only = by_month(question=question(world, who), nodes=nodes, restricted=compute)
        for node in NODES:
            told = positive(wanted(world, who, node, Grouping(), method))
            assert (whole[key(world, *node)].total.ug(method) or 0) == sum(told.values()), (who, node)
            by_service = wanted(world, who, node, Grouping((Dimension.SERVICE,)), method)
            assert (only[key(world, *node)].total.ug(method) or 0) == by_service.get(("", "", "p-compute"), 0)


def test_a_figure_says_why_it_is_not_told(world: World) -> None:
    below, _ = withhold_month(world, APRIL)
    members = ("mover", "deep", "still", "direct")
    small = next(code for code in members if (code, "p-compute") in below)
    told = next(code for code in members if (code, "p-compute") not in below)
    asked = question(world, "owner")

    def of(account: str, service: str | None = None) -> tuple[DataStatus, set[Reason]]:
        ids = None if service is None else (world.made[service].pk,)
        node = key(world, "account", account)
        series = by_month(question=asked, nodes=[node], restricted=EmissionsFilter(service_ids=ids))[node]
        reasons = {one.reason for one in series.omissions if APRIL in one.months}
        return series.of_month(APRIL).status(Method.LOCATION_BASED), reasons

    assert of(small, "p-compute") == (DataStatus.BELOW_THRESHOLD, {Reason.BELOW_THRESHOLD})
    assert of(told, "p-compute") == (DataStatus.REPORTED, set())
    assert of(told, "p-storage") == (DataStatus.NOT_COVERED, {Reason.NOT_COVERED})
    assert of(told) == (DataStatus.PARTIAL, {Reason.NOT_COVERED})
    assert of(small) == (DataStatus.BELOW_THRESHOLD, {Reason.BELOW_THRESHOLD, Reason.NOT_COVERED})
    node = key(world, "account", told)
    march = by_month(question=asked, nodes=[node])[node].of_month(month("2025-03"))
    assert march.status(Method.LOCATION_BASED) is DataStatus.REPORTED


def test_how_much_is_withheld_is_recorded_with_the_run(world: World) -> None:
    rows = [leaf for leaf in world.leaves if (leaf.provider, leaf.month) == ("p", APRIL)]
    below, not_covered = withhold_month(world, APRIL)
    messages = (
        RunFinding.objects.filter(code="WITHHELD", severity="flag").order_by("id").values_list("message", flat=True)
    )
    expected = []
    for cells, why in ((below, "below threshold"), (not_covered, "not covered")):
        ug = {
            method: sum(x.ug for x in rows if (x.account, x.service) in cells and x.line in lines)
            for method, lines in METHOD_LINES.items()
        }
        expected.append(
            f"{len(cells)} figures of an account and service are {why} and not told:"
            f" {ug['location_based']} ug location-based, {ug['market_based']} ug market-based"
        )
    assert list(messages) == expected
