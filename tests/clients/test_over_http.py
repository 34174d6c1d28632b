"""What the clients of others find when they talk to a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.factories.hierarchy import month

if TYPE_CHECKING:
    from tests.clients.conftest import Node
    from tests.read_model.world import World

AUDIT_COUNT = 61


def test_every_audit_of_graphql_over_http_passes(client_node: Node) -> None:
    results = [json.loads(line) for line in client_node.run("node", "audit.mjs").splitlines()]
    assert [result for result in results if result["status"] != "ok"] == []
    assert len({result["id"] for result in results}) == AUDIT_COUNT


def test_urql_walks_from_the_viewer_to_the_emissions_of_every_child(client_node: Node, published_world: World) -> None:
    months = [month("2025-01"), month("2025-02")]
    north = {"account": ["mover", "deep", "still", "direct", "boss"], "month": months}
    south = {"account": ["southern"], "month": months}
    told = json.loads(client_node.run("node", "journey.mjs", "2025-01", "2025-03", "1"))
    assert (told["username"], told["node"]) == ("owner", "Enterprise acme")
    assert told["pages"] == 2
    assert told["children"] == [
        {"name": "Directory north", "ug": str(published_world.total_ug(**north)), "status": "REPORTED"},
        {"name": "Directory south", "ug": str(published_world.total_ug(**south)), "status": "REPORTED"},
    ]
    total = told["emissions"]["total"]
    for name, method in (("location", "location_based"), ("market", "market_based")):
        assert int(total[name]) == published_world.total_ug(method, **north) + published_world.total_ug(method, **south)
    points = told["emissions"]["byMonth"]
    assert [point["month"] for point in points] == ["2025-01", "2025-02"]
    assert sum(int(point["emissions"]["microgramsCO2e"]) for point in points) == int(total["location"])
    assert told["refused"] == ["GRAPHQL_VALIDATION_FAILED"]


def test_connections_agree_with_graphql_relay_wherever_the_arguments_are_legal(client_node: Node) -> None:
    told = [json.loads(line) for line in client_node.run("node", "connections.mjs", timeout_seconds=600).splitlines()]
    assert {each["name"]: each["differences"] for each in told if each["differences"]} == {}
    assert all(each["nodes"] >= 2 for each in told)
    assert sum(each["pages"] for each in told) > 100
    assert {code for each in told for code in each["illegal"]} == {"BAD_USER_INPUT"}
