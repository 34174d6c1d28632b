"""Methods, runs, restatements and coverage: customers see what concerns them, operators see everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.test.utils import CaptureQueriesContext

from allocation.models import AllocationRun, MethodologyVersion, RunState
from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, signed_in
from tests.graphql_api.test_reading import PERIOD, node_id
from tests.read_model.world import LONG_AGO, World, publish_month

if TYPE_CHECKING:
    from typing import Any

RUNS = """query($provider: String, $period: PeriodInput, $first: Int, $after: String) {
  allocationRuns(provider: $provider, period: $period, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    edges { node { id provider month state methodology publishedAt details { percent ledgerRows requestedBy } } } } }"""


def test_customers_see_published_runs_of_their_providers(world: World) -> None:
    package = AllocationRun.objects.filter(provider=world.made["p"]).latest("id").package
    AllocationRun.objects.create(
        provider=world.made["p"],
        month=month("2025-06"),
        package=package,
        methodology_version=package.methodology_version,
        state=RunState.QUEUED,
        requested_at=LONG_AGO,
        generation=7,
    )
    seen = {}
    for who in ("operator", "owner", "viewer-a", "viewer-team", "nobody"):
        rows = [edge["node"] for edge in ask(signed_in(world, who), RUNS)["allocationRuns"]["edges"]]
        seen[who] = {(row["provider"], row["month"]) for row in rows}
        assert all((row["details"] is not None) is (who == "operator") for row in rows)
    published = {("p", f"2025-0{n}") for n in range(1, 5)}
    assert seen["operator"] == published | {("q", f"2025-0{n}") for n in range(1, 4)} | {("p", "2025-06")}
    assert seen["owner"] == seen["operator"] - {("p", "2025-06")}
    assert seen["viewer-a"] == seen["viewer-team"] == published
    assert seen["nobody"] == set()


def test_runs_page_by_page(world: World) -> None:
    client = signed_in(world, "owner")
    whole = [e["node"]["id"] for e in ask(client, RUNS, provider="p")["allocationRuns"]["edges"]]
    pages: list[str] = []
    after = None
    while True:
        page = ask(client, RUNS, provider="p", first=3, after=after)["allocationRuns"]
        pages += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert pages == whole
    assert len(whole) == 4
    some = ask(client, RUNS, period={"from": "2025-02", "until": "2025-03"})["allocationRuns"]["edges"]
    assert {edge["node"]["month"] for edge in some} == {"2025-02"}


RESTATEMENTS = """query($node: ID!) { restatements { edges { node {
  month cause methodology publishedAt change(nodeId: $node) {
    before { microgramsCO2e status } after { microgramsCO2e status } } } } } }"""


def test_restatements_tell_the_change_of_a_node(world: World) -> None:
    before = world.total_ug(month=[month("2025-02")], account=["deep", "mover"])
    publish_month(world, "p", month("2025-02"), number=2, factor=3)
    publish_month(world, "p", month("2025-02"), number=3, factor=5)
    publish_month(world, "p", month("2025-03"), number=2, factor=2)
    client = signed_in(world, "viewer-a")
    with CaptureQueriesContext(connection) as captured:
        rows = ask(client, RESTATEMENTS, node=node_id(world, "account_group", "a"))["restatements"]["edges"]
    changes = [
        (row["node"]["month"], int(row["node"]["change"]["before"]["microgramsCO2e"] or 0), row["node"]["change"])
        for row in rows
    ]
    assert [(on, was) for on, was, _ in changes] == [
        ("2025-03", changes[0][1]),
        ("2025-02", 3 * before),
        ("2025-02", before),
    ]
    assert int(changes[1][2]["after"]["microgramsCO2e"]) == 5 * before
    assert len([q for q in captured if "SAVEPOINT" not in q["sql"]]) < 40
    hidden = ask(client, RESTATEMENTS, node=node_id(world, "account_group", "b"))["restatements"]["edges"]
    assert {row["node"]["change"]["after"]["status"] for row in hidden} == {"NOT_PERMITTED"}
    assert ask(signed_in(world, "nobody"), RESTATEMENTS, node=node_id(world, "account_group", "a")) == {
        "restatements": {"edges": []}
    }


def test_methodologies(world: World) -> None:
    asked = """{ methodologies { edges { node { provider name version gwpSet months options { name value } } } } }"""
    assert ask(signed_in(world, "owner"), asked)["methodologies"]["edges"] == []
    MethodologyVersion.objects.update(bound_at=LONG_AGO, options={"lines": ["scope1"], "fallback_months": 3})
    rows = [edge["node"] for edge in ask(signed_in(world, "viewer-a"), asked)["methodologies"]["edges"]]
    assert rows == [
        {
            "provider": "p",
            "name": "demo",
            "version": "1",
            "gwpSet": "AR6",
            "months": ["2025-01", "2025-02", "2025-03", "2025-04"],
            "options": [{"name": "fallback_months", "value": "3"}, {"name": "lines", "value": "scope1"}],
        }
    ]
    behind = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { emissions(period: $period) {
      methodologyVersions { provider name } } } }"""
    given = {"id": node_id(world, "enterprise_parent", "acme"), "period": PERIOD}
    found = ask(signed_in(world, "owner"), behind, **given)["hierarchyNode"]["emissions"]["methodologyVersions"]
    assert [row["provider"] for row in found] == ["p", "q"]
    given["id"] = node_id(world, "account_group", "a")
    found = ask(signed_in(world, "viewer-a"), behind, **given)["hierarchyNode"]["emissions"]["methodologyVersions"]
    assert [row["provider"] for row in found] == ["p"]


def test_coverage(world: World) -> None:
    asked = """query($period: PeriodInput!, $providers: [String!]) { coverage(
      input: {period: $period, providers: $providers}) { providers { provider timeZone releaseLagMonths
        months { month published status dueOn restated incomplete } services { code category } } } }"""
    period = {"from": "2024-12", "until": "2025-06"}
    found: list[dict[str, Any]] = ask(signed_in(world, "owner"), asked, period=period)["coverage"]["providers"]
    assert [row["provider"] for row in found] == ["p", "q"]
    statuses = [month["status"] for month in found[1]["months"]]
    assert statuses == ["NOT_COVERED", None, None, None, "NOT_YET_PUBLISHED", "NOT_YET_PUBLISHED"]
    assert found[0]["months"][1]["dueOn"] == "2025-03-15"
    assert found[0]["services"] == [
        {"code": "p-compute", "category": "Compute"},
        {"code": "p-storage", "category": "Storage"},
    ]
    some = ask(signed_in(world, "viewer-a"), asked, period=period, providers=["q", "p", "x"])["coverage"]["providers"]
    assert [row["provider"] for row in some] == ["p"]


def test_comparisons(world: World) -> None:
    asked = """query($id: ID!, $period: PeriodInput!, $with: Comparison!) { hierarchyNode(id: $id) {
      emissions(period: $period) { comparedWith(period: $with) {
        before { microgramsCO2e status } difference { microgramsCO2e } ratio } } } }"""
    given = {"id": node_id(world, "resource_directory", "north"), "period": {"from": "2025-03", "until": "2025-05"}}
    client = signed_in(world, "owner")
    inside = ["mover", "deep", "still", "direct"]
    now = world.total_ug(month=[month("2025-03"), month("2025-04")], account=inside)
    before = world.total_ug(month=[month("2025-01"), month("2025-02")], account=inside)
    change = ask(client, asked, **given, **{"with": "PREVIOUS_PERIOD"})["hierarchyNode"]["emissions"]["comparedWith"]
    assert int(change["before"]["microgramsCO2e"]) == before
    assert int(change["difference"]["microgramsCO2e"]) == now - before
    assert change["ratio"] == (now - before) / before
    year = ask(client, asked, **given, **{"with": "SAME_PERIOD_LAST_YEAR"})["hierarchyNode"]["emissions"]
    assert year["comparedWith"] == {
        "before": {"microgramsCO2e": None, "status": "NOT_COVERED"},
        "difference": {"microgramsCO2e": None},
        "ratio": None,
    }


def test_search_finds_only_what_may_be_seen(world: World) -> None:
    asked = """query($text: String!, $kinds: [NodeKind!], $first: Int, $after: String) {
      search(text: $text, kinds: $kinds, first: $first, after: $after) {
        pageInfo { hasNextPage endCursor } edges { node { name kind } } } }"""
    for who, names in (
        (
            "owner",
            ["Account boss", "Account deep", "Account direct", "Account mover", "Account southern", "Account still"],
        ),
        ("viewer-a", ["Account deep", "Account mover"]),
        ("nobody", []),
    ):
        found: list[str] = []
        after = None
        while True:
            given = {"text": "aCCount", "kinds": ["ACCOUNT"], "first": 2, "after": after}
            page = ask(signed_in(world, who), asked, **given)["search"]
            found += [edge["node"]["name"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert found == names
    hidden = ask(signed_in(world, "viewer-a"), asked, text="b")["search"]["edges"]
    assert "Group b" not in [edge["node"]["name"] for edge in hidden]


def test_accounts_below_a_node(world: World) -> None:
    asked = """query($id: ID!, $period: PeriodInput!, $first: Int, $after: String, $order: ChildOrder!) {
      hierarchyNode(id: $id) { accounts(period: $period, first: $first, after: $after, orderBy: $order) {
        pageInfo { hasNextPage endCursor } edges { node { name } emissions { microgramsCO2e } } } } }"""
    for who, code, names in (
        ("owner", "north", ["boss", "deep", "direct", "mover", "still"]),
        ("viewer-a", "north", ["deep", "mover"]),
        ("mixed", "north", ["deep", "mover"]),
        ("operator", "north", ["boss", "deep", "direct", "mover", "still"]),
    ):
        for order in ("NAME_ASC", "EMISSIONS_DESC"):
            found: list[dict[str, Any]] = []
            after = None
            while True:
                given = {"id": node_id(world, "resource_directory", code), "period": PERIOD, "first": 2, "order": order}
                page = ask(signed_in(world, who), asked, **given, after=after)["hierarchyNode"]["accounts"]
                found += page["edges"]
                if not page["pageInfo"]["hasNextPage"]:
                    break
                after = page["pageInfo"]["endCursor"]
            seen = [edge["node"]["name"].removeprefix("Account ") for edge in found]
            assert (seen if order == "NAME_ASC" else sorted(seen)) == names, (who, order)
    deep = next(edge for edge in found if edge["node"]["name"] == "Account deep")
    assert int(deep["emissions"]["microgramsCO2e"]) == world.total_ug(account=["deep"])
