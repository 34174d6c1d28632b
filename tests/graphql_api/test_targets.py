"""Targets through the API: who sets them, who sees them, what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from allocation.models import Target
from tests.graphql_api.ask import ask, codes, signed_in
from tests.graphql_api.test_mutations import ERRORS, done
from tests.graphql_api.test_reading import node_id

if TYPE_CHECKING:
    from tests.read_model.world import World

FIELDS = """id name kind method scopes baseYear targetYear reductionPercent status base { status }
  latest { onTrack } years { month pathPercent onTrack counted { kgCO2e } emissions { status } }"""
SET = f"""mutation($input: SetTargetInput!) {{ setTarget(input: $input) {{ __typename
  ... on SetTargetPayload {{ target {{ {FIELDS} }} node {{ name }} }} {ERRORS} }} }}"""
END = f"mutation($input: EndTargetInput!) {{ endTarget(input: $input) {{ __typename {ERRORS} }} }}"
READ = f"query($id: ID!) {{ hierarchyNode(id: $id) {{ targets {{ {FIELDS} }} }} }}"
HALF = {"name": "Half by 2030", "baseYear": 2025, "targetYear": 2030, "reductionPercent": 50}


@pytest.fixture
def boss(world: World) -> str:
    """An administrator of the directory `north`."""
    world.user("administrator")
    world.grant("administrator", "north", role="administrator")
    return "administrator"


def targets_of(world: World, who: str, kind: str, code: str) -> list[dict[str, Any]] | None:
    found = ask(signed_in(world, who), READ, id=node_id(world, kind, code))["hierarchyNode"]
    return None if found is None else found["targets"]


def test_a_target_is_set_read_replaced_and_ended(world: World, boss: str) -> None:
    client, node = signed_in(world, boss), node_id(world, "account_group", "b")
    made = done(client, SET, nodeId=node, **HALF)["target"]
    assert (made["status"], made["reductionPercent"], made["scopes"]) == (
        "UNKNOWN",
        50.0,
        ["SCOPE_1", "SCOPE_2", "SCOPE_3"],
    )
    first = made["years"][0]
    assert (first["month"], first["pathPercent"], first["onTrack"]) == ("2025-01", 100.0, None)
    assert first["emissions"]["status"] == "PARTIAL"
    assert first["counted"]["kgCO2e"] > 0
    assert targets_of(world, boss, "account_group", "b") == [made]
    assert done(client, SET, nodeId=node, **HALF)["target"]["id"] == made["id"]
    again = done(client, SET, nodeId=node, **(HALF | {"reductionPercent": 60.5, "kind": "INTENSITY"}))["target"]
    assert again["id"] != made["id"]
    assert [one["reductionPercent"] for one in targets_of(world, boss, "account_group", "b") or []] == [60.5]
    assert done(client, END, targetId=again["id"])["__typename"] == "EndTargetPayload"
    assert targets_of(world, boss, "account_group", "b") == []
    assert list(AuditEntry.objects.filter(action__contains="target").values_list("action", flat=True)) == [
        "end_target",
        "set_target",
        "set_target",
    ]


def test_who_sees_the_node_sees_its_targets_and_nobody_else(world: World, boss: str) -> None:
    done(signed_in(world, boss), SET, nodeId=node_id(world, "account_group", "b"), **HALF)
    found = {who: targets_of(world, who, "account_group", "b") for who in ("viewer-b", "owner", "operator")}
    assert all(len(targets or []) == 1 for targets in found.values())
    # By name only, and hidden.
    world.user("below")
    world.grant("below", "still")
    assert targets_of(world, "below", "account_group", "b") == []
    assert targets_of(world, "viewer-a", "account_group", "b") is None
    # A former parent sees the target of the account, with the months that it may see.
    done(signed_in(world, boss), SET, nodeId=node_id(world, "account", "mover"), **HALF)
    (seen,) = targets_of(world, "viewer-a", "account", "mover") or []
    (whole,) = targets_of(world, boss, "account", "mover") or []
    assert 0 < seen["years"][0]["counted"]["kgCO2e"] < whole["years"][0]["counted"]["kgCO2e"]


@pytest.mark.parametrize(
    ("who", "given", "outcome"),
    [
        ("viewer-b", {}, ("PermissionDenied", "PERMISSION_DENIED", "nodeId")),
        ("nobody", {}, ("NotFound", "NOT_FOUND", "nodeId")),
        ("administrator", {"targetYear": 2025}, ("ValidationFailed", "INVALID", "targetYear")),
        ("administrator", {"reductionPercent": 0.0}, ("ValidationFailed", "INVALID", "reductionPercent")),
        ("administrator", {"reductionPercent": 1e300}, ("ValidationFailed", "INVALID", "reductionPercent")),
        ("administrator", {"name": " "}, ("ValidationFailed", "INVALID", "name")),
        ("administrator", {"scopes": []}, ("ValidationFailed", "INVALID", "scopes")),
    ],
)
def test_refusals_are_typed(world: World, boss: str, who: str, given: dict[str, Any], outcome: tuple[str, ...]) -> None:
    assert boss
    node = node_id(world, "account_group", "b")
    result = done(signed_in(world, who), SET, nodeId=node, **(HALF | given))
    assert (result["__typename"], result["code"], result["field"]) == outcome
    assert Target.objects.count() == 0


def test_a_node_has_so_many_targets(world: World, boss: str) -> None:
    client, node = signed_in(world, boss), node_id(world, "account_group", "b")
    for number in range(10):
        done(client, SET, nodeId=node, **(HALF | {"name": f"{number}"}))
    assert done(client, SET, nodeId=node, **HALF)["code"] == "QUOTA_EXCEEDED"
    assert codes(client, END, input={"targetId": node}) == ["BAD_USER_INPUT"]


def test_statements_do_not_grow_with_nodes_and_targets(world: World, boss: str) -> None:
    client = signed_in(world, boss)
    asked = """query($id: ID!, $first: Int) { hierarchyNode(id: $id) {
      children(period: {from: "2025-01", until: "2025-05"}, first: $first) {
        edges { node { targets { status latest { onTrack } years { counted { kgCO2e } } } } } } } }"""

    def count(first: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            ask(client, asked, id=node_id(world, "resource_directory", "north"), first=first)
        return len(captured)

    for code in ("a", "b"):
        for number, base in enumerate((2019, 2022, 2025)):
            given = HALF | {"name": f"{number}", "baseYear": base}
            done(client, SET, nodeId=node_id(world, "account_group", code), **given)
    few = count(1)
    assert count(3) == few
