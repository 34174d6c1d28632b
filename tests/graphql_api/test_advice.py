"""Compare and advise through the API: what-if by hand, recommendations, what is told of others."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from allocation.models import AllocationRun, RunProof, ServiceIntensity
from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, codes, signed_in
from tests.graphql_api.test_mutations import ERRORS, done
from tests.graphql_api.test_reading import node_id
from tests.read_model.oracle import Oracle
from tests.read_model.world import METHOD_LINES, World

if TYPE_CHECKING:
    from django.test import Client

PERIOD = {"from": "2025-01", "until": "2025-05"}
WHAT_IF = """query($input: WhatIfInput!) { whatIf(input: $input) {
  before { location: microgramsCO2e market: microgramsCO2e(method: MARKET_BASED) status }
  location: difference { microgramsCO2e } market: difference(method: MARKET_BASED) { microgramsCO2e }
  after { microgramsCO2e } ratio assumptions omissions { reason }
  changes { service fromLocation toLocation share status months monthsLeftOut
    before { microgramsCO2e } after { microgramsCO2e } } } }"""
RECOMMENDED = """query($input: RecommendationsInput!) { recommendations(input: $input) {
  key kind service region toRegion dismissed fromGramsPerUnit toGramsPerUnit
  emitted { microgramsCO2e } affected { microgramsCO2e } } }"""
DISMISS = f"""mutation($input: DismissRecommendationInput!) {{ dismissRecommendation(input: $input) {{ __typename
  ... on DismissRecommendationPayload {{ key dismissed }} {ERRORS} }} }}"""
INTENSITIES = """query($input: ServiceIntensitiesInput!, $first: Int, $after: String) {
  serviceIntensities(input: $input, first: $first, after: $after) { pageInfo { hasNextPage endCursor }
    edges { node { provider service region month unit gramsPerUnit market: gramsPerUnit(method: MARKET_BASED) } } } }"""
LOCATIONS = """query($input: LocationsInput!) { locations(input: $input) { edges { node {
  provider code clusterKind region country months { month locationGramsPerKwh pue cleanShare zeroEmission } } } } }"""
# Grams for a unit of compute: location-based, market-based.
EAST, WEST = (400, 300), (100, 50)


@pytest.fixture
def rated(world: World) -> World:
    """Compute of provider p has intensities in both regions from January to March, storage in one, of two tenants."""
    for text in ("2025-01", "2025-02", "2025-03", "2025-04"):
        rate(world, text, ("p-storage", "r-east"), (10, 10), tenants=9)
        rate(world, text, ("p-storage", "r-west"), (1, 1), tenants=2)
        if text != "2025-04":
            rate(world, text, ("p-compute", "r-east"), EAST)
            rate(world, text, ("p-compute", "r-west"), WEST)
    return world


def rate(world: World, on: str, where: tuple[str, str], grams: tuple[int, int], tenants: int = 9) -> None:
    (service, place), (location, market) = where, grams
    ServiceIntensity.objects.create(
        run=AllocationRun.objects.get(provider=world.made["p"], month=month(on)),
        service=world.made[service],
        place=place,
        unit="hour",
        tenants=tenants,
        location_ug_per_unit=Decimal(location) * 10**6,
        market_ug_per_unit=Decimal(market) * 10**6,
        wh_per_unit=1,
    )


def change(service: str = "p-compute", **given: Any) -> dict[str, Any]:  # noqa: ANN401 variables are JSON
    return {"provider": "p", "service": service, "fromLocation": "r-east", "toLocation": "r-west"} | given


def asked(world: World, who: str, node: str, *changes: dict[str, Any]) -> Any:  # noqa: ANN401 JSON
    given = {"node": node, "period": PERIOD, "changes": list(changes)}
    return ask(signed_in(world, who), WHAT_IF, input=given)["whatIf"]


def emitted(world: World, who: str, months: set[str], method: str = "location_based") -> list[int]:
    """What somebody sees of compute in the east below group b, month by month."""
    oracle = Oracle(world, world.grants)
    leaves = [
        leaf
        for leaf in oracle.visible(who, "account_group", "b")
        if leaf.service == "p-compute" and leaf.cluster == "p-east" and leaf.line in METHOD_LINES[method]
    ]
    return [sum(leaf.ug for leaf in leaves if leaf.month == month(text)) for text in sorted(months)]


def test_a_part_of_a_service_moves_to_another_region(rated: World) -> None:
    node = node_id(rated, "account_group", "b")
    answer = asked(rated, "viewer-b", node, change(share=0.25))
    (moved,) = answer["changes"]
    assert (moved["status"], moved["months"], moved["monthsLeftOut"]) == (
        "PARTLY",
        ["2025-01", "2025-02", "2025-03"],
        ["2025-04"],
    )
    compared = {"2025-01", "2025-02", "2025-03"}
    expected = {}
    for method, (here, there) in (("location_based", (400, 100)), ("market_based", (300, 50))):
        parts = [Fraction(ug, 4) for ug in emitted(rated, "viewer-b", compared, method)]
        expected[method] = sum(round(part * Fraction(there, here)) - round(part) for part in parts)
    assert int(answer["location"]["microgramsCO2e"]) == expected["location_based"] < 0
    assert int(answer["market"]["microgramsCO2e"]) == expected["market_based"]
    total = int(answer["before"]["location"])
    assert int(answer["after"]["microgramsCO2e"]) == total + expected["location_based"]
    assert answer["ratio"] == pytest.approx(expected["location_based"] / total)
    assert len(answer["assumptions"]) == 5


def test_moving_there_and_back_by_halves_adds_up(rated: World) -> None:
    node = node_id(rated, "account_group", "b")
    whole = asked(rated, "viewer-b", node, change(share=1.0))
    halves = asked(rated, "viewer-b", node, change(share=0.5), change(share=0.5))
    assert int(whole["location"]["microgramsCO2e"]) == pytest.approx(int(halves["location"]["microgramsCO2e"]), abs=6)
    nowhere = asked(rated, "viewer-b", node, change(toLocation="r-east"))
    assert nowhere["location"]["microgramsCO2e"] == nowhere["market"]["microgramsCO2e"] == "0"


def test_what_cannot_be_compared_says_so(rated: World) -> None:
    node = node_id(rated, "account_group", "b")
    answer = asked(
        rated,
        "viewer-b",
        node,
        change(toLocation="r-nowhere"),
        change("p-storage"),  # two tenants only in the west
        change("nothing"),
        change("p-storage", fromLocation="r-west", toLocation="r-east"),
    )
    assert [one["status"] for one in answer["changes"]] == [
        "NOT_COMPARABLE",
        "NOT_COMPARABLE",
        "NO_EMISSIONS",
        "COMPUTED",  # what one uses oneself is known to oneself
    ]


def test_what_if_knows_what_the_viewer_sees(rated: World) -> None:
    node = node_id(rated, "account", "mover")
    assert asked(rated, "nobody", node, change()) is None
    # A role on group a alone: the mover until February.
    part = asked(rated, "viewer-a", node, change())
    oracle = Oracle(rated, rated.grants)
    leaves = oracle.visible("viewer-a", "account", "mover")
    assert int(part["before"]["location"]) == sum(x.ug for x in leaves if x.line in METHOD_LINES["location_based"])
    assert part["before"]["status"] == "PARTIAL"
    assert [one["reason"] for one in part["omissions"]] == ["NOT_PERMITTED"]
    moving = sum(
        x.ug
        for x in leaves
        if x.line in METHOD_LINES["location_based"]
        and (x.service, x.cluster) == ("p-compute", "p-east")
        and x.month < month("2025-04")
    )
    assert int(part["changes"][0]["before"]["microgramsCO2e"]) == moving


@pytest.mark.parametrize(
    "changes",
    [[], [change(share=0.0)], [change(share=1.5)], [change(share=0.6), change(share=0.6)], [change(toLocation="")]],
)
def test_senseless_changes_are_bad_input(rated: World, changes: list[dict[str, Any]]) -> None:
    given = {"node": node_id(rated, "account_group", "b"), "period": PERIOD, "changes": changes}
    assert codes(signed_in(rated, "viewer-b"), WHAT_IF, input=given) == ["BAD_USER_INPUT"]


def recommended(client: Client, node: str, **given: object) -> list[dict[str, Any]]:
    return ask(client, RECOMMENDED, input={"node": node, "period": PERIOD} | given)["recommendations"]  # type: ignore[no-any-return] # JSON


def test_recommendations_are_ranked_with_their_figures(rated: World) -> None:
    node, client = node_id(rated, "account_group", "b"), signed_in(rated, "viewer-b")
    found = recommended(client, node)
    affected = [int(one["affected"]["microgramsCO2e"]) for one in found]
    assert affected == sorted(affected, reverse=True)
    (cleaner,) = [one for one in found if one["kind"] == "CLEANER_LOCATION"]
    assert (cleaner["service"], cleaner["region"], cleaner["toRegion"]) == ("p-compute", "r-east", "r-west")
    assert (cleaner["fromGramsPerUnit"], cleaner["toGramsPerUnit"]) == (400.0, 100.0)
    assert int(cleaner["affected"]["microgramsCO2e"]) == round(
        Fraction(int(cleaner["emitted"]["microgramsCO2e"])) * Fraction(3, 4)
    )
    estimated = {(one["service"], one["region"]) for one in found if one["kind"] == "METER_ESTIMATED"}
    assert estimated == {("p-storage", "r-east"), ("p-storage", "r-west"), ("p-storage", None)}
    assert not [one for one in found if one["kind"] == "GROWING_INTENSITY"]


def test_growing_intensities_are_found(rated: World) -> None:
    late = ServiceIntensity.objects.filter(service=rated.made["p-storage"], run__month__gte="2025-03-01")
    late.filter(place="r-east").update(location_ug_per_unit=Decimal(20) * 10**6)
    found = recommended(signed_in(rated, "viewer-b"), node_id(rated, "account_group", "b"))
    (growing,) = [one for one in found if one["kind"] == "GROWING_INTENSITY"]
    assert (growing["service"], growing["fromGramsPerUnit"], growing["toGramsPerUnit"]) == ("p-storage", 10.0, 20.0)
    assert int(growing["affected"]["microgramsCO2e"]) == round(Fraction(int(growing["emitted"]["microgramsCO2e"]), 2))


def test_a_dismissal_counts_for_who_dismissed(rated: World) -> None:
    node, client = node_id(rated, "account_group", "b"), signed_in(rated, "viewer-b")
    before = recommended(client, node)
    key = before[0]["key"]
    for _ in range(2):
        assert done(client, DISMISS, nodeId=node, key=key, reason="known")["dismissed"] is True
    assert [one["key"] for one in recommended(client, node)] == [one["key"] for one in before[1:]]
    with_it = recommended(client, node, withDismissed=True)
    assert [one["dismissed"] for one in with_it] == [True] + [False] * (len(before) - 1)
    assert len(recommended(signed_in(rated, "owner"), node)) == len(before)
    assert done(client, DISMISS, nodeId=node, key=key, restore=True)["dismissed"] is False
    assert recommended(client, node) == before
    assert done(signed_in(rated, "nobody"), DISMISS, nodeId=node, key=key)["__typename"] == "NotFound"
    assert done(client, DISMISS, nodeId=node, key="")["__typename"] == "ValidationFailed"
    assert (
        ask(signed_in(rated, "nobody"), RECOMMENDED, input={"node": node, "period": PERIOD})["recommendations"] is None
    )


def test_intensities_are_paged_and_hide_what_few_use(rated: World) -> None:
    client, after, found = signed_in(rated, "viewer-team"), None, []
    while True:
        page = ask(client, INTENSITIES, input={"period": PERIOD}, first=3, after=after)["serviceIntensities"]
        found += [edge["node"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(found) == 3 + 3 + 4
    assert {(one["service"], one["region"]) for one in found} == {
        ("p-compute", "r-east"),
        ("p-compute", "r-west"),
        ("p-storage", "r-east"),
    }
    assert (found[0]["gramsPerUnit"], found[0]["market"], found[0]["unit"]) == (400.0, 300.0, "hour")
    assert ask(signed_in(rated, "nobody"), INTENSITIES, input={"period": PERIOD})["serviceIntensities"]["edges"] == []


def test_places_are_told_to_customers_of_the_provider(rated: World) -> None:
    run = AllocationRun.objects.get(provider=rated.made["p"], month=month("2025-01"))
    sources = {"energy_wh": 1_000, "scope2_lbm": 123_000_000, "scope2_mbm": 0}
    with connection.cursor() as cursor:
        # The database refuses to change a published run, as it should.
        cursor.execute("SET LOCAL session_replication_role = replica")
        RunProof.objects.bulk_create(
            RunProof(
                run=run,
                cluster=rated.made["p-east"],
                line=line,
                source_ug=ug,
                external_ug=ug,
                internal_ug=0,
                unallocated_ug=0,
            )
            for line, ug in sources.items()
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    given = {"period": {"from": "2025-01", "until": "2025-02"}}
    found = ask(signed_in(rated, "viewer-a"), LOCATIONS, input=given)["locations"]["edges"]
    assert [(edge["node"]["provider"], edge["node"]["code"]) for edge in found] == [
        ("p", "p-east"),
        ("p", "p-edge"),
        ("p", "p-west"),
    ]
    assert found[0]["node"]["months"] == [
        {"month": "2025-01", "locationGramsPerKwh": 123.0, "pue": 1.0, "cleanShare": None, "zeroEmission": False}
    ]
    assert found[2]["node"]["months"][0]["locationGramsPerKwh"] is None
    owner = ask(signed_in(rated, "owner"), LOCATIONS, input=given | {"countries": ["IE"]})["locations"]["edges"]
    assert [edge["node"]["code"] for edge in owner] == ["p-west", "q-west"]
    assert ask(signed_in(rated, "nobody"), LOCATIONS, input=given)["locations"]["edges"] == []


def test_statements_do_not_grow_with_the_changes(rated: World) -> None:
    node, client = node_id(rated, "resource_directory", "north"), signed_in(rated, "northerner")

    def count(*changes: dict[str, Any]) -> int:
        with CaptureQueriesContext(connection) as captured:
            ask(client, WHAT_IF, input={"node": node, "period": PERIOD, "changes": list(changes)})
        return len(captured)

    assert count(change()) == count(change(share=0.1), change("p-storage"), change(fromLocation="r-west"))
