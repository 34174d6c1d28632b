"""Every blank and every zero can be told apart without reading text; and the comparisons of a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, codes, signed_in
from tests.graphql_api.test_reading import node_id
from tests.read_model.world import ENERGY_LINE, Leaf, World

if TYPE_CHECKING:
    from collections.abc import Iterable

TOTAL = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { emissions(period: $period) {
  total { status market: status(method: MARKET_BASED) kgCO2e marketKg: kgCO2e(method: MARKET_BASED) }
  omissions { reason } } } }"""
COMPARED = """query($id: ID!, $period: PeriodInput!, $with: Comparison!, $year: Int) {
  hierarchyNode(id: $id) { emissions(period: $period) { comparedWith(period: $with, baseYear: $year) {
    ratio before { status microgramsCO2e } difference { microgramsCO2e } } } } }"""
RESOURCE_GROUPS = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { ... on Account {
  resourceGroups(period: $period, orderBy: NAME_ASC) {
    totalCount edges { node { name } emissions { status } } } } } }"""


def one(text: str) -> dict[str, str]:
    year, number = text.split("-")
    return {"from": text, "until": f"{year}-{int(number) + 1:02d}" if number != "12" else f"{int(year) + 1}-01"}


def total(world: World, who: str, node: tuple[str, str], on: str) -> dict[str, Any]:
    found = ask(signed_in(world, who), TOTAL, id=node_id(world, *node), period=one(on))["hierarchyNode"]
    return found["emissions"]["total"]  # type: ignore[no-any-return] # JSON


def publish_green(world: World, green: Iterable[str]) -> None:
    """Publish May: electricity at both places, nothing emitted by the market."""
    rows = [
        Leaf("p", month("2025-05"), cluster, "p-compute", "still", "default", line, ug, 0)
        for cluster in ("p-east", "p-west")
        for line, ug in ((1, 10**9), (2, 0), (ENERGY_LINE, 500))
    ]
    places = {code: {"kind": "region", "zero_emission": code in set(green)} for code in ("p-east", "p-west")}
    world.publish("p", month("2025-05"), rows, locations=places)


@pytest.mark.parametrize(
    ("who", "node", "on", "status", "has_value"),
    [
        ("owner", ("account_group", "b"), "2025-04", "REPORTED", True),
        ("owner", ("account", "boss"), "2025-04", "ZERO", True),
        ("owner", ("enterprise_parent", "acme"), "2025-04", "PARTIAL", True),
        ("viewer-a", ("resource_directory", "north"), "2025-04", "NOT_PERMITTED", False),
        ("owner", ("account_group", "b"), "2025-06", "NOT_YET_PUBLISHED", False),
        ("owner", ("account_group", "b"), "2024-12", "NOT_COVERED", False),
        ("viewer-a", ("account", "mover"), "2025-04", "NOT_PERMITTED", False),
    ],
)
def test_statuses(  # noqa: PLR0913 a row of the table
    world: World, *, who: str, node: tuple[str, str], on: str, status: str, has_value: bool
) -> None:
    found = total(world, who, node, on)
    assert (found["status"], found["market"], found["kgCO2e"] is not None) == (status, status, has_value)


def test_a_zero_of_green_sites_alone_is_told_apart(world: World) -> None:
    publish_green(world, ["p-east", "p-west"])
    found = total(world, "owner", ("account_group", "b"), "2025-05")
    assert (found["status"], found["market"]) == ("REPORTED", "ZERO_EMISSION_SITE")
    assert (found["kgCO2e"], found["marketKg"]) == (2.0, 0.0)


def test_a_zero_with_another_site_behind_it_is_a_zero(world: World) -> None:
    publish_green(world, ["p-east"])
    assert total(world, "owner", ("account_group", "b"), "2025-05")["market"] == "ZERO"


def test_a_hidden_node_is_no_status_at_all(world: World) -> None:
    given = {"id": node_id(world, "account_group", "b"), "period": one("2025-04")}
    assert ask(signed_in(world, "viewer-a"), TOTAL, **given)["hierarchyNode"] is None


def test_a_period_is_compared_with_the_same_months_of_a_base_year(world: World) -> None:
    client, node = signed_in(world, "owner"), node_id(world, "account_group", "b")

    def compared(**given: object) -> dict[str, Any]:
        return ask(client, COMPARED, id=node, **given)["hierarchyNode"]["emissions"]["comparedWith"]  # type: ignore[no-any-return] # JSON

    period = {"from": "2025-03", "until": "2025-04"}
    back = {"from": "2027-03", "until": "2027-04"}
    base = compared(period=back, **{"with": "BASE_YEAR"}, year=2025)
    same = ask(client, TOTAL, id=node, period=period)["hierarchyNode"]["emissions"]["total"]
    assert base["before"]["status"] == same["status"] == "REPORTED"
    assert int(base["before"]["microgramsCO2e"]) / 10**9 == pytest.approx(same["kgCO2e"])
    assert (base["ratio"], base["difference"]["microgramsCO2e"]) == (None, None)
    now = compared(period=period, **{"with": "BASE_YEAR"}, year=2025)
    assert (now["ratio"], now["difference"]["microgramsCO2e"]) == (0.0, "0")


@pytest.mark.parametrize(("with_", "year"), [("BASE_YEAR", None), ("PREVIOUS_PERIOD", 2025), ("BASE_YEAR", 1)])
def test_a_base_year_goes_with_its_comparison(world: World, with_: str, year: int | None) -> None:
    given = {"id": node_id(world, "account_group", "b"), "period": one("2025-03"), "with": with_, "year": year}
    assert codes(signed_in(world, "owner"), COMPARED, **given) == ["BAD_USER_INPUT"]


def test_an_account_lists_its_resource_groups(world: World) -> None:
    given = {"id": node_id(world, "account", "deep"), "period": one("2025-03")}
    found = ask(signed_in(world, "owner"), RESOURCE_GROUPS, **given)["hierarchyNode"]["resourceGroups"]
    assert [(edge["node"]["name"], edge["emissions"]["status"]) for edge in found["edges"]] == [
        ("default", "REPORTED"),
        ("team", "REPORTED"),
    ]
    part = ask(signed_in(world, "viewer-team"), RESOURCE_GROUPS, **given)["hierarchyNode"]["resourceGroups"]
    assert [edge["node"]["name"] for edge in part["edges"]] == ["team"]
    assert part["totalCount"] == 1
