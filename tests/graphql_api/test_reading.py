"""What people read through the API: themselves, nodes, children, emissions, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.web_role import as_owner
from allocation.policies import Kind, NodeKey
from allocation.selectors import cube
from graphql_api.types.nodes import id_of
from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, codes, signed_in
from tests.read_model.oracle import Oracle
from tests.read_model.test_by_month import NODES, PEOPLE
from tests.read_model.world import World, publish_month

if TYPE_CHECKING:
    from django.test import Client

PERIOD = {"from": "2025-01", "until": "2025-05"}
CHILDREN = """
query($id: ID!, $period: PeriodInput!, $first: Int, $after: String, $order: ChildOrder!, $method: Scope2Method!) {
  hierarchyNode(id: $id) {
    children(period: $period, first: $first, after: $after, orderBy: $order, method: $method) {
      totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
      edges { cursor node { id kind name access } emissions { microgramsCO2e(method: $method) status } }
    }
  }
}
"""


def node_id(world: World, kind: str, code: str) -> str:
    return id_of(NodeKey(Kind(kind), world.made[code].pk))


def pages(
    client: Client, node: str, size: int, *, order: str = "EMISSIONS_DESC", method: str = "LOCATION_BASED"
) -> list[Any]:
    """Every child, page by page."""
    found: list[Any] = []
    after = None
    while True:
        given = {"id": node, "period": PERIOD, "first": size, "after": after, "order": order, "method": method}
        page = ask(client, CHILDREN, **given)["hierarchyNode"]["children"]
        assert len(page["edges"]) <= size
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        found += page["edges"]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        after = page["pageInfo"]["endCursor"]


def test_the_viewer_learns_their_roles(world: World) -> None:
    asked = "{ viewer { username isOperator scopes roles { role why node { name kind } } } }"
    assert ask(signed_in(world, "viewer-a"), asked)["viewer"] == {
        "username": "viewer-a",
        "isOperator": False,
        "scopes": None,
        "roles": [{"role": "viewer", "why": "granted", "node": {"name": "Group a", "kind": "ACCOUNT_GROUP"}}],
    }
    assert [r["node"]["name"] for r in ask(signed_in(world, "operator"), asked)["viewer"]["roles"]] == [
        "Enterprise acme"
    ]


@pytest.mark.parametrize("who", PEOPLE)
def test_children_add_up_to_their_parent(world: World, who: str) -> None:
    client = signed_in(world, who)
    oracle = Oracle(world)
    for kind, code in NODES:
        if kind == "resource_group" or not oracle.visible(who, kind, code):
            continue
        children = pages(client, node_id(world, kind, code), 100)
        total = sum(int(edge["emissions"]["microgramsCO2e"] or 0) for edge in children)
        want = sum(leaf.ug for leaf in oracle.visible(who, kind, code) if leaf.line in (0, 1, 9))
        assert total == want, (who, kind, code)


@pytest.mark.parametrize("order", ["EMISSIONS_DESC", "EMISSIONS_ASC", "NAME_ASC"])
@pytest.mark.parametrize(
    ("kind", "code"), [("resource_directory", "north"), ("account_group", "b"), ("miscellaneous", "north")]
)
def test_pages_are_the_cut_up_whole(world: World, kind: str, code: str, order: str) -> None:
    client = signed_in(world, "owner")
    node = node_id(world, kind, code)
    whole = pages(client, node, 100, order=order, method="MARKET_BASED")
    assert len(whole) > 1
    assert pages(client, node, 1, order=order, method="MARKET_BASED") == whole
    names = [edge["node"]["name"] for edge in whole]
    amounts = [int(edge["emissions"]["microgramsCO2e"]) for edge in whole if edge["emissions"]["status"] != "ZERO"]
    want = {"EMISSIONS_DESC": amounts == sorted(amounts, reverse=True), "EMISSIONS_ASC": amounts == sorted(amounts)}
    assert want.get(order, names == sorted(names))


def test_a_cursor_counts_only_in_its_list(world: World) -> None:
    client = signed_in(world, "owner")
    node = node_id(world, "resource_directory", "north")
    cursor = pages(client, node, 100)[0]["cursor"]
    given = {"id": node, "period": PERIOD, "first": 1, "after": cursor, "method": "LOCATION_BASED"}
    assert codes(client, CHILDREN, **given, order="NAME_ASC") == ["BAD_USER_INPUT"]
    assert codes(
        client, CHILDREN, **(given | {"id": node_id(world, "account_group", "a")}), order="EMISSIONS_DESC"
    ) == ["BAD_USER_INPUT"]
    assert codes(client, CHILDREN, **given, order="EMISSIONS_DESC") == []


def test_ancestors_show_names_and_neither_numbers_nor_siblings(world: World) -> None:
    client = signed_in(world, "viewer-a")
    found = pages(client, node_id(world, "resource_directory", "north"), 100)
    assert [(edge["node"]["name"], edge["node"]["access"]) for edge in found] == [("Group a", "VISIBLE")]
    top = pages(client, node_id(world, "enterprise_parent", "acme"), 100)
    assert [(edge["node"]["name"], edge["node"]["access"]) for edge in top] == [("Directory north", "NAME_ONLY")]
    assert [edge["emissions"] for edge in top] == [{"microgramsCO2e": None, "status": "NOT_PERMITTED"}]


NUMBERS_OF_A_NODE = """
query($id: ID!, $ids: [ID!]!, $period: PeriodInput!) {
  hierarchyNode(id: $id) {
    access
    emissions(period: $period) { ...Told }
    asIs: emissions(period: $period, view: AS_IS) { ...Told }
    asOf: emissions(period: $period, asOf: "2025-06-20T12:00:00Z") { ...Told }
  }
  emissions(input: {nodes: $ids, period: $period, groupBy: [SERVICE, ACCOUNT, ACCOUNT_GROUP], first: 100}) {
    nodes { decision total { microgramsCO2e status } omissions { reason accounts } }
    rows { edges { node { emissions { microgramsCO2e } } } }
  }
  dimensionValues(input: {nodes: $ids, period: $period, dimension: SERVICE}) { edges { node { code } } }
}
fragment Told on EmissionsSummary {
  complete omissions { reason accounts } total { microgramsCO2e kgCO2e electricityWattHours estimatedShare status }
  byMonth { emissions { microgramsCO2e } }
  byService { edges { node { emissions { microgramsCO2e } } } }
  byAccount { edges { emissions { microgramsCO2e } } }
  byAccountGroup { edges { emissions { microgramsCO2e } } }
  byScope { mass { microgramsCO2e } }
}
"""


@pytest.mark.parametrize(
    ("who", "kind", "code"),
    [
        ("viewer-a", "resource_directory", "north"),
        ("viewer-a", "enterprise_parent", "acme"),
        ("northerner", "enterprise_parent", "acme"),
        ("viewer-mover", "account_group", "a"),
        ("viewer-mover", "resource_directory", "north"),
        ("viewer-team", "account", "deep"),
        ("mixed", "miscellaneous", "north"),
    ],
)
def test_an_ancestor_shows_no_number_by_any_question(world: World, who: str, kind: str, code: str) -> None:
    """What is visible below it is told at the place where it stands, never as a part of what stands above."""
    node = node_id(world, kind, code)
    told = ask(signed_in(world, who), NUMBERS_OF_A_NODE, id=node, ids=[node], period=PERIOD)
    assert told["hierarchyNode"]["access"] == "NAME_ONLY"
    blank = {
        "microgramsCO2e": None,
        "kgCO2e": None,
        "electricityWattHours": None,
        "estimatedShare": None,
        "status": "NOT_PERMITTED",
    }
    for view in ("emissions", "asIs", "asOf"):
        summary = told["hierarchyNode"][view]
        assert summary["total"] == blank
        assert (summary["complete"], summary["omissions"]) == (
            False,
            [{"reason": "NOT_PERMITTED", "accounts": None}],
        )
        assert {point["emissions"]["microgramsCO2e"] for point in summary["byMonth"]} == {None}
        for field in ("byService", "byAccount", "byAccountGroup"):
            assert summary[field]["edges"] == [], field
        assert {part["mass"] and part["mass"]["microgramsCO2e"] for part in summary["byScope"]} <= {None}
    assert told["emissions"] == {
        "nodes": [
            {
                "decision": "DENIED",
                "total": {"microgramsCO2e": None, "status": "NOT_PERMITTED"},
                "omissions": [{"reason": "NOT_PERMITTED", "accounts": None}],
            }
        ],
        "rows": {"edges": []},
    }
    assert told["dimensionValues"] == {"edges": []}


def test_a_path_ends_where_the_viewer_last_saw_the_node(world: World) -> None:
    asked = "query($id: ID!) { hierarchyNode(id: $id) { path { name kind hasRole } } }"
    mover = node_id(world, "account", "mover")
    for who, group in (("viewer-a", "Group a"), ("viewer-b", "Group b"), ("owner", "Group b"), ("operator", "Group b")):
        path = ask(signed_in(world, who), asked, id=mover)["hierarchyNode"]["path"]
        assert [step["name"] for step in path] == ["Enterprise acme", "Directory north", group, "Account mover"]
    assert [step["hasRole"] for step in path] == [True, True, True, True]
    direct = ask(signed_in(world, "owner"), asked, id=node_id(world, "account", "direct"))["hierarchyNode"]["path"]
    assert [step["kind"] for step in direct] == ["ENTERPRISE_PARENT", "RESOURCE_DIRECTORY", "MISCELLANEOUS", "ACCOUNT"]
    assert ask(signed_in(world, "owner"), asked, id=node_id(world, "account", "alone"))["hierarchyNode"] is None


@pytest.mark.parametrize("who", ["viewer-a", "viewer-team", "nobody"])
def test_hidden_and_absent_look_the_same(world: World, who: str) -> None:
    client = signed_in(world, who)
    asked = "query($id: ID!) { node(id: $id) { id } hierarchyNode(id: $id) { name } }"
    hidden = ask(client, asked, id=node_id(world, "account", "alone"))
    absent = ask(client, asked, id=id_of(NodeKey(Kind.ACCOUNT, 987_654_321)))
    assert hidden == absent == {"node": None, "hierarchyNode": None}


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ({"kind": "ENTERPRISE_PARENT", "externalId": "acme"}, "Enterprise acme"),
        ({"kind": "RESOURCE_DIRECTORY", "provider": "p", "externalId": "north"}, "Directory north"),
        ({"kind": "RESOURCE_DIRECTORY", "provider": "q", "externalId": "north"}, None),
        ({"kind": "MISCELLANEOUS", "provider": "p", "externalId": "north"}, "Miscellaneous"),
        ({"kind": "ACCOUNT_GROUP", "provider": "p", "within": "north", "externalId": "a1"}, "Group a1"),
        ({"kind": "ACCOUNT_GROUP", "provider": "p", "externalId": "a1"}, None),
        ({"kind": "ACCOUNT", "provider": "p", "externalId": "mover"}, "Account mover"),
        ({"kind": "ACCOUNT", "externalId": "mover"}, None),
        ({"kind": "ACCOUNT", "provider": "p", "externalId": "alone"}, None),
        ({"kind": "RESOURCE_GROUP", "provider": "p", "within": "deep", "externalId": "team"}, "team"),
    ],
)
def test_nodes_by_the_provider_s_ids(world: World, by: dict[str, str], name: str | None) -> None:
    asked = "query($by: ExternalIdInput!) { hierarchyNode(by: $by) { name } }"
    found = ask(signed_in(world, "owner"), asked, by=by)["hierarchyNode"]
    assert (found and found["name"]) == name


SUMMARY = """
query($id: ID!, $period: PeriodInput!, $filter: EmissionsFilter, $first: Int, $after: String,
      $level: LocationLevel! = CLUSTER) {
  hierarchyNode(id: $id) { emissions(period: $period, filter: $filter) {
    complete total { microgramsCO2e status electricityWattHours scope1 { microgramsCO2e } }
    byQuarter { label complete emissions { microgramsCO2e } }
    fiscal: byYear(fiscalYearStart: 4) { label complete emissions { microgramsCO2e } }
    byScope { scope mass { microgramsCO2e } }
    byService(first: $first, after: $after) {
      edges { node { service { code } emissions { microgramsCO2e status } } } pageInfo { hasNextPage endCursor } }
    byLocation(level: $level) { edges { node { location { code name } emissions { microgramsCO2e } } } }
  } }
}
"""


def summary(world: World, who: str, kind: str, code: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 variables are JSON
    given = {"id": node_id(world, kind, code), "period": PERIOD} | given
    return ask(signed_in(world, who), SUMMARY, **given)["hierarchyNode"]["emissions"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("who", PEOPLE)
def test_breakdowns_add_up_to_the_total(world: World, who: str) -> None:
    oracle = Oracle(world)
    for kind, code in NODES:
        visible = oracle.visible(who, kind, code)
        if not visible:
            continue
        found = summary(world, who, kind, code)
        total = int(found["total"]["microgramsCO2e"])
        for rows in (
            [edge["node"]["emissions"] for edge in found["byService"]["edges"]],
            [edge["node"]["emissions"] for edge in found["byLocation"]["edges"]],
            [row["mass"] for row in found["byScope"]],
            [point["emissions"] for point in found["byQuarter"]],
            [point["emissions"] for point in found["fiscal"]],
        ):
            assert sum(int(row["microgramsCO2e"] or 0) for row in rows) == total
        for edge in found["byService"]["edges"]:
            service = edge["node"]["service"]["code"]
            want = sum(leaf.ug for leaf in visible if leaf.service == service and leaf.line in (0, 1, 9))
            assert int(edge["node"]["emissions"]["microgramsCO2e"]) == want


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"services": ["p-compute"]}, {"service": ["p-compute"]}),
        ({"serviceCategories": ["Storage"]}, {"service": ["p-storage", "q-storage"]}),
        ({"providers": ["q"]}, {"provider": ["q"]}),
        ({"clusters": ["p-east", "q-edge"]}, {"cluster": ["p-east", "q-edge"]}),
        ({"countries": ["IE"]}, {"cluster": ["p-west", "q-west"]}),
        ({"regions": ["r-east"], "services": ["q-compute"]}, {"cluster": ["q-east"], "service": ["q-compute"]}),
        ({"services": ["unheard of"]}, {"service": []}),
        ({"services": []}, {"service": []}),
    ],
)
def test_filters(world: World, given: dict[str, list[str]], wanted: dict[str, list[str]]) -> None:
    found = summary(world, "owner", "enterprise_parent", "acme", filter=given)
    accounts = ["mover", "deep", "still", "direct", "southern"]
    assert int(found["total"]["microgramsCO2e"]) == world.total_ug(account=accounts, **wanted)


def test_locations_by_level(world: World) -> None:
    for level, codes_of in (
        ("COUNTRY", {"DE": ["p-east", "q-east"], "IE": ["p-west", "q-west"], None: ["p-edge", "q-edge"]}),
        ("CLUSTER", {code: [code] for code in ("p-east", "p-west", "p-edge", "q-east", "q-west", "q-edge")}),
    ):
        found = summary(world, "owner", "enterprise_parent", "acme", level=level)["byLocation"]["edges"]
        accounts = ["mover", "deep", "still", "direct", "southern"]
        want = {code: world.total_ug(account=accounts, cluster=clusters) for code, clusters in codes_of.items()}
        assert {e["node"]["location"]["code"]: int(e["node"]["emissions"]["microgramsCO2e"]) for e in found} == want
    names = {
        e["node"]["location"]["name"]
        for e in summary(world, "owner", "account_group", "a", level="REGION")["byLocation"]["edges"]
    }
    assert names == {"r-east", "r-west", "Global services"}


def test_breakdowns_lead_to_nodes(world: World) -> None:
    asked = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { emissions(period: $period) {
      byAccountGroup { edges { node { name } emissions { microgramsCO2e } } }
      byAccount(orderBy: KEY_ASC) { edges { node { name internal } } }
      byResourceGroup(first: 2) { edges { node { name } } pageInfo { hasNextPage } } } } }"""
    given = {"id": node_id(world, "resource_directory", "north"), "period": PERIOD}
    found = ask(signed_in(world, "northerner"), asked, **given)["hierarchyNode"]["emissions"]
    groups = {(e["node"] or {}).get("name"): e["emissions"]["microgramsCO2e"] for e in found["byAccountGroup"]["edges"]}
    assert set(groups) == {"Group a", "Group a1", "Group b", None}
    names = [edge["node"]["name"] for edge in found["byAccount"]["edges"]]
    assert names == ["Account deep", "Account direct", "Account mover", "Account still"]
    assert found["byResourceGroup"]["pageInfo"]["hasNextPage"]


CUBE = """
query($input: EmissionsInput!) { emissions(input: $input) {
  rows { pageLimit pageInfo { hasNextPage endCursor }
    edges { node {
      nodeId span { label complete } values { dimension code name nodeId } emissions { microgramsCO2e } } } }
  nodes { nodeId decision total { microgramsCO2e status } omissions { reason } } } }
"""


def test_the_cube(world: World) -> None:
    nodes = [node_id(world, "account_group", code) for code in ("a", "b")] + [node_id(world, "account", "alone")]
    given: dict[str, Any] = {
        "nodes": nodes,
        "period": PERIOD,
        "granularity": "QUARTER",
        "groupBy": ["SERVICE", "SCOPE"],
        "first": 5,
    }
    client = signed_in(world, "viewer-a")
    first = ask(client, CUBE, input=given)["emissions"]
    assert [node["decision"] for node in first["nodes"]] == ["ALLOWED", "DENIED", "DENIED"]
    assert first["rows"]["pageLimit"] == 100
    second = ask(client, CUBE, input=given | {"after": first["rows"]["pageInfo"]["endCursor"], "first": 100})[
        "emissions"
    ]
    rows = [edge["node"] for edge in first["rows"]["edges"] + second["rows"]["edges"]]
    assert {row["nodeId"] for row in rows} == {nodes[0]}
    assert len(rows) == 2 * 2 * 3
    total = sum(int(row["emissions"]["microgramsCO2e"]) for row in rows)
    assert total == int(first["nodes"][0]["total"]["microgramsCO2e"])
    assert {(row["span"]["label"], row["span"]["complete"]) for row in rows} == {("2025-Q1", True), ("2025-Q2", False)}


@pytest.mark.parametrize(
    "given",
    [
        {"nodes": []},
        {"nodes": ["x"]},
        {"groupBy": ["SERVICE", "SERVICE"]},
        {"groupBy": ["SCOPE", "LINE"]},
        {"fiscalYearStart": 0},
        {"first": 101},
        {"after": "x"},
    ],
)
def test_the_cube_refuses_bad_questions(world: World, given: dict[str, Any]) -> None:
    asked = {"nodes": [node_id(world, "account_group", "a")], "period": PERIOD} | given
    assert codes(signed_in(world, "owner"), CUBE, input=asked) == ["BAD_USER_INPUT"]


def test_dimension_values_page_by_page(world: World) -> None:
    asked = """query($input: DimensionValuesInput!) { dimensionValues(input: $input) {
      pageInfo { hasNextPage endCursor } edges { node { code name provider nodeId } } } }"""
    nodes = [node_id(world, "enterprise_parent", "acme"), node_id(world, "account_group", "a")]
    client = signed_in(world, "owner")
    seen: list[str] = []
    after = None
    while True:
        given = {"nodes": nodes, "period": PERIOD, "dimension": "SERVICE", "first": 3, "after": after}
        page = ask(client, asked, input=given)["dimensionValues"]
        seen += [edge["node"]["code"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == ["p-compute", "p-storage", "q-compute", "q-storage"]
    hidden = {"nodes": nodes, "period": PERIOD, "dimension": "SERVICE"}
    found = ask(signed_in(world, "viewer-a"), asked, input=hidden)["dimensionValues"]["edges"]
    assert [edge["node"]["code"] for edge in found] == ["p-compute", "p-storage"]


def test_the_number_of_statements_is_constant(world: World) -> None:
    asked = """query($id: ID!, $period: PeriodInput!, $first: Int!) { hierarchyNode(id: $id) { path { name }
      children(period: $period, first: $first) { totalCount edges { emissions { kgCO2e status }
        node { name path { name } emissions(period: $period) { complete total { kgCO2e } byMonth { label }
          methodologyVersions { name verificationStatements { verifier } } verificationStatements { verifier } } } } }
      emissions(period: $period) { omissions { reason } total { kgCO2e } byMonth { label }
        byService { edges { cursor } } byAccount { edges { node { name } } } } } }"""
    client = signed_in(world, "owner")
    node = node_id(world, "resource_directory", "north")
    counts = set()
    for first in (1, 2, 50):
        with CaptureQueriesContext(connection) as captured:
            ask(client, asked, id=node, period=PERIOD, first=first)
        # In a test every transaction is a savepoint, after which the role has to be put back by a statement of its own.
        ours = [q for q in captured if "SAVEPOINT" not in q["sql"] and "set_config('role', 'none'" not in q["sql"]]
        counts.add(len(ours))
    assert len(counts) == 1
    assert counts.pop() < 60


def test_one_answer_never_mixes_two_publications(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month is restated between two fields of one document: both show the old one; the next request the new one."""
    real = cube.cube

    asked: list[bool] = []

    def restated_just_before(**given: Any) -> Any:  # noqa: ANN401 whatever the selector takes
        with as_owner():
            publish_month(world, "p", month("2025-02"), number=2 + len(asked), factor=10)
        asked.append(True)
        return real(**given)

    before = summary(world, "northerner", "resource_directory", "north")
    monkeypatch.setattr(cube, "cube", restated_just_before)
    during = summary(world, "northerner", "resource_directory", "north")
    assert during == before
    monkeypatch.setattr(cube, "cube", real)
    after = summary(world, "northerner", "resource_directory", "north")
    assert int(after["total"]["microgramsCO2e"]) > int(before["total"]["microgramsCO2e"])


def test_what_was_published_on_a_date_stays_readable(world: World) -> None:
    asked = """query($id: ID!, $period: PeriodInput!, $asOf: DateTime) { hierarchyNode(id: $id) {
      emissions(period: $period, asOf: $asOf) { total { microgramsCO2e } } } }"""
    client = signed_in(world, "northerner")
    given = {"id": node_id(world, "resource_directory", "north"), "period": PERIOD}
    before = ask(client, asked, **given)
    publish_month(world, "p", month("2025-02"), number=20, factor=10)
    after = ask(client, asked, **given)
    assert before != after
    assert ask(client, asked, **given, asOf="2025-02-10T00:00:00Z") == before
    assert ask(client, asked, **given, asOf="2025-03-01T00:00:00Z") == after
    nothing = ask(client, asked, **given, asOf="2020-01-01T00:00:00Z")
    assert nothing["hierarchyNode"]["emissions"]["total"]["microgramsCO2e"] is None
