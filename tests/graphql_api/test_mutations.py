"""Changing through the API: effects, typed errors, idempotency, scopes, and what a change does to the next query."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from accounts.models import AccountUserPermission, AuditEntry, IdempotencyKey, ResourceDirectory
from graphql_api.scalars import global_id
from tests.factories import months as factory
from tests.factories.hierarchy import month
from tests.graphql_api.ask import ask, codes, post, signed_in
from tests.graphql_api.test_http import token
from tests.graphql_api.test_reading import PERIOD, node_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.read_model.world import World

ERRORS = "... on MutationError { message code field }"
GRANT = f"""mutation($input: GrantRoleInput!) {{ grantRole(input: $input) {{ __typename
  ... on GrantRolePayload {{ node {{ name }} role endsAt }} {ERRORS} }} }}"""
REVOKE = f"mutation($input: RevokeRoleInput!) {{ revokeRole(input: $input) {{ __typename {ERRORS} }} }}"
TOTAL = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { emissions(period: $period) {
  total { microgramsCO2e } } } }"""


@pytest.fixture
def boss(world: World) -> Iterator[str]:
    """An administrator of the directory `north`."""
    world.user("administrator")
    world.grant("administrator", "north", role="administrator")
    return "administrator"  # type: ignore[return-value] # pytest's fixtures may return


def done(client: Client, query: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 variables are JSON
    """Carry a mutation out and return its result."""
    found = ask(client, query, input=given)
    return next(iter(found.values()))


def sees(world: World, who: str, account: str) -> bool:
    found = ask(signed_in(world, who), TOTAL, id=node_id(world, "account", account), period=PERIOD)["hierarchyNode"]
    return found is not None and found["emissions"]["total"]["microgramsCO2e"] is not None


def test_a_grant_counts_from_the_next_query_on_and_ends_with_its_revocation(world: World, boss: str) -> None:
    given = {"nodeId": node_id(world, "account", "still"), "role": "VIEWER", "username": "nobody"}
    assert not sees(world, "nobody", "still")
    result = done(signed_in(world, boss), GRANT, **given)
    assert result == {
        "__typename": "GrantRolePayload",
        "node": {"name": "Account still"},
        "role": "VIEWER",
        "endsAt": None,
    }
    assert sees(world, "nobody", "still")
    assert done(signed_in(world, boss), REVOKE, **given)["__typename"] == "RevokeRolePayload"
    assert not sees(world, "nobody", "still")
    again = done(signed_in(world, boss), REVOKE, **given)
    assert (again["__typename"], again["code"]) == ("Conflict", "GRANT_NOT_FOUND")


@pytest.mark.parametrize(
    ("who", "given", "outcome"),
    [
        ("viewer-b", {"node": ("account", "still")}, ("PermissionDenied", "PERMISSION_DENIED", "node")),
        ("viewer-a", {"node": ("account", "still")}, ("NotFound", "NOT_FOUND", "node")),
        ("nobody", {"node": ("account", "still")}, ("NotFound", "NOT_FOUND", "node")),
        ("administrator", {"username": "unheard of"}, ("ValidationFailed", "INVALID", "username")),
        ("administrator", {"username": None}, ("ValidationFailed", "INVALID", "username")),
        ("administrator", {"endsAt": "2020-01-01T00:00:00Z"}, ("ValidationFailed", "INVALID", "endsAt")),
        ("administrator", {"node": ("account", "alone")}, ("NotFound", "NOT_FOUND", "node")),
    ],
)
def test_refusals_are_typed(world: World, boss: str, who: str, given: dict[str, Any], outcome: tuple[str, ...]) -> None:
    assert boss
    node = node_id(world, *given.pop("node", ("account", "still")))
    result = done(signed_in(world, who), GRANT, **({"nodeId": node, "role": "VIEWER", "username": "owner"} | given))
    assert (result["__typename"], result["code"], result["field"]) == outcome
    assert AccountUserPermission.objects.filter(user=world.made["owner"]).count() == 0


def test_ids_of_other_things_are_bad_input(world: World, boss: str) -> None:
    for wrong in ("x", global_id("Delegation", 1), node_id(world, "miscellaneous", "north")):
        given = {"nodeId": wrong, "role": "VIEWER", "username": "owner"}
        assert codes(signed_in(world, boss), GRANT, input=given) == ["BAD_USER_INPUT"]


def test_the_same_key_has_one_effect(world: World, boss: str) -> None:
    client = signed_in(world, boss)
    given = {
        "nodeId": node_id(world, "account", "still"),
        "role": "VIEWER",
        "username": "nobody",
        "clientMutationId": "k1",
    }
    first = done(client, GRANT, **given)
    entries = AuditEntry.objects.count()
    assert done(client, GRANT, **given) == first
    assert AuditEntry.objects.count() == entries
    other = done(client, GRANT, **(given | {"role": "ADMINISTRATOR"}))
    assert (other["__typename"], other["code"]) == ("Conflict", "IDEMPOTENCY_KEY_REUSED")
    assert codes(client, GRANT, input=given | {"clientMutationId": "x" * 129}) == ["BAD_USER_INPUT"]
    # A refusal leaves no key behind: the same request may succeed later.
    refused = given | {"username": "unheard of", "clientMutationId": "k2"}
    assert done(client, GRANT, **refused)["__typename"] == "ValidationFailed"
    assert not IdempotencyKey.objects.filter(client_mutation_id="k2").exists()


def test_a_token_needs_the_scope(world: World, boss: str) -> None:
    given = {"nodeId": node_id(world, "account", "still"), "role": "VIEWER", "username": "nobody"}
    reading = f"Bearer {token(world, boss)}"
    refused = json.loads(post(Client(), {"query": GRANT, "variables": {"input": given}}, authorization=reading).content)
    assert refused["errors"][0]["extensions"] == {"code": "INSUFFICIENT_SCOPE", "scope": "hierarchy:admin"}
    both = f"Bearer {token(world, boss, 'emissions:read hierarchy:admin')}"
    done_ = json.loads(post(Client(), {"query": GRANT, "variables": {"input": given}}, authorization=both).content)
    assert done_["data"]["grantRole"]["__typename"] == "GrantRolePayload"


def test_mutations_are_not_for_get(world: World, boss: str) -> None:
    headers = {"authorization": f"Bearer {token(world, boss, 'emissions:read hierarchy:admin')}"}
    answer = Client().get(
        "/graphql/",
        {"query": 'mutation { revokeDelegation(input: {delegationId: "x"}) { __typename } }'},
        headers=headers,
    )
    assert answer.status_code == 405
    assert json.loads(answer.content)["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


def test_the_switch_hides_numbers_and_is_told(world: World, boss: str) -> None:
    query = f"""mutation($input: SetMultiAccountManagementInput!) {{ setMultiAccountManagement(input: $input) {{
      __typename ... on SetMultiAccountManagementPayload {{ directory {{ multiAccountManagement }} }} {ERRORS} }} }}"""
    ResourceDirectory.objects.filter(pk=world.made["north"].pk).update(management_account=world.made["boss"])
    given = {"directoryId": node_id(world, "resource_directory", "north"), "enabled": False}
    refused = done(signed_in(world, "northerner"), query, **given)
    assert refused["__typename"] == "PermissionDenied"
    result = done(signed_in(world, boss), query, **given)
    assert result["directory"] == {"multiAccountManagement": False}
    assert not sees(world, "northerner", "still")
    asked = """query($id: ID!, $period: PeriodInput!) { hierarchyNode(id: $id) { emissions(period: $period) {
      total { status } omissions { reason accounts } } } }"""
    node = node_id(world, "resource_directory", "north")
    found = ask(signed_in(world, "northerner"), asked, id=node, period=PERIOD)["hierarchyNode"]["emissions"]
    assert found == {
        "total": {"status": "NOT_PERMITTED"},
        "omissions": [{"reason": "MULTI_ACCOUNT_DISABLED", "accounts": 5}],
    }


GROUP = f"{{ __typename ... on AccountGroupPayload {{ group {{ id name externalId path {{ name }} }} }} {ERRORS} }}"
CREATE = f"mutation($input: CreateAccountGroupInput!) {{ createAccountGroup(input: $input) {GROUP} }}"
RENAME = f"mutation($input: RenameAccountGroupInput!) {{ renameAccountGroup(input: $input) {GROUP} }}"
MOVE_GROUP = f"mutation($input: MoveAccountGroupInput!) {{ moveAccountGroup(input: $input) {GROUP} }}"
CLOSE = f"mutation($input: CloseAccountGroupInput!) {{ closeAccountGroup(input: $input) {GROUP} }}"
MOVE = f"""mutation($input: MoveAccountsInput!) {{ moveAccounts(input: $input) {{ __typename
  ... on MoveAccountsPayload {{ accounts {{ name }} }} {ERRORS} }} }}"""


def test_the_tree_can_be_changed_in_months_not_yet_published(world: World, boss: str) -> None:
    client = signed_in(world, boss)
    north = node_id(world, "resource_directory", "north")
    made = done(client, CREATE, parentId=north, externalId="new", name="New", month="2026-01")
    assert made["__typename"] == "AccountGroupPayload", made
    group = made["group"]["id"]
    renamed = done(client, RENAME, groupId=group, name="Newer")
    assert renamed["group"]["name"] == "Newer"
    moved = done(client, MOVE_GROUP, groupId=group, parentId=node_id(world, "account_group", "a"), month="2026-02")
    assert moved["__typename"] == "AccountGroupPayload", moved
    accounts = [node_id(world, "account", "still"), node_id(world, "account", "direct")]
    result = done(client, MOVE, accountIds=accounts, parentId=group, month="2026-03")
    assert [row["name"] for row in result["accounts"]] == ["Account still", "Account direct"]
    full = done(client, CLOSE, groupId=group, month="2026-04")
    assert (full["__typename"], full["code"]) == ("Conflict", "NOT_EMPTY")


def test_published_months_stay_as_they_are(world: World, boss: str) -> None:
    given = {
        "accountIds": [node_id(world, "account", "still")],
        "parentId": node_id(world, "account_group", "a"),
        "month": "2025-04",
    }
    for who in (boss, "operator"):
        refused = done(signed_in(world, who), MOVE, **given)
        assert (refused["__typename"], refused["code"], refused["field"]) == ("Conflict", "MONTH_PUBLISHED", "month")
    assert not sees(world, "viewer-a", "still")


def test_hidden_parents_look_absent(world: World, boss: str) -> None:
    assert boss
    given = {"accountIds": [node_id(world, "account", "deep")], "month": "2026-01"}
    for parent in (node_id(world, "account_group", "b"), global_id("AccountGroup", 99_999)):
        refused = done(signed_in(world, "viewer-a"), MOVE, **given, parentId=parent)
        assert (refused["__typename"], refused["field"]) == ("NotFound", "parentId")


def test_delegation(world: World, boss: str) -> None:
    query = f"""mutation($input: DelegateAdministratorInput!) {{ delegateAdministrator(input: $input) {{ __typename
      ... on DelegateAdministratorPayload {{ delegationId account {{ name }} }} {ERRORS} }} }}"""
    end = f"mutation($input: RevokeDelegationInput!) {{ revokeDelegation(input: $input) {{ __typename {ERRORS} }} }}"
    ResourceDirectory.objects.filter(pk=world.made["north"].pk).update(management_account=world.made["boss"])
    given = {
        "directoryId": node_id(world, "resource_directory", "north"),
        "accountId": node_id(world, "account", "mover"),
        "groupId": node_id(world, "account_group", "b"),
    }
    assert not sees(world, "viewer-mover", "still")
    result = done(signed_in(world, boss), query, **given)
    assert result["__typename"] == "DelegateAdministratorPayload", result
    assert sees(world, "viewer-mover", "still")
    again = done(signed_in(world, boss), query, **given)
    assert (again["__typename"], again["code"]) == ("Conflict", "ALREADY_DELEGATED")
    assert (
        done(signed_in(world, boss), end, delegationId=result["delegationId"])["__typename"]
        == "RevokeDelegationPayload"
    )
    assert not sees(world, "viewer-mover", "still")


def test_administrators_read_grants_and_audit(world: World, boss: str) -> None:
    asked = """query($id: ID!, $first: Int, $after: String) { hierarchyNode(id: $id) {
      grants(first: $first, after: $after) { pageInfo { hasNextPage endCursor }
        edges { node { role username wholeHistory } } }
      audit { edges { node { action details { name value } } } } } }"""
    still = node_id(world, "account", "still")
    for who in ("nobody", "owner", "viewer-a"):
        done(signed_in(world, boss), GRANT, nodeId=still, role="VIEWER", username=who)
    found = ask(signed_in(world, boss), asked, id=still)["hierarchyNode"]
    names = [edge["node"]["username"] for edge in found["grants"]["edges"]]
    assert names == ["nobody", "owner", "viewer-a"]
    assert not any(edge["node"]["wholeHistory"] for edge in found["grants"]["edges"])
    assert [edge["node"]["action"] for edge in found["audit"]["edges"]] == ["grant_role"] * 3
    paged: list[str] = []
    after = None
    for _ in names:
        page = ask(signed_in(world, boss), asked, id=still, first=1, after=after)["hierarchyNode"]["grants"]
        paged += [edge["node"]["username"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert paged == names
    assert ask(signed_in(world, "viewer-b"), asked, id=still)["hierarchyNode"] == {"grants": None, "audit": None}


def test_operations_are_for_operators(world: World) -> None:
    run = f"{{ __typename ... on AllocationRunPayload {{ run {{ state details {{ percent }} }} }} {ERRORS} }}"
    queries = {
        "requestAllocation": {"provider": "p", "month": "2025-04"},
        "publishRun": {"runId": global_id("AllocationRun", 1)},
        "cancelRun": {"runId": global_id("AllocationRun", 1)},
        "withdrawRun": {"runId": global_id("AllocationRun", 1), "reason": "wrong"},
    }
    for name, given in queries.items():
        kind = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {name}(input: $input) {run} }}"
        assert done(signed_in(world, "owner"), query, **given)["__typename"] == "PermissionDenied"
    request = f"mutation($input: RequestAllocationInput!) {{ requestAllocation(input: $input) {run} }}"
    missing = done(signed_in(world, "operator"), request, provider="p", month="2031-01")
    assert (missing["__typename"], missing["code"]) == ("Conflict", "NO_PACKAGE")
    known = done(signed_in(world, "operator"), request, provider="p", month="2025-04")
    assert known["run"]["state"] == "published"
    lock = f"mutation($input: LockMonthInput!) {{ lockMonth(input: $input) {{ __typename {ERRORS} }} }}"
    assert done(signed_in(world, "operator"), lock, provider="p", month="2025-04")["__typename"] == "LockMonthPayload"
    assert done(signed_in(world, "operator"), lock, provider="x", month="2025-04")["__typename"] == "NotFound"
    assert done(signed_in(world, "operator"), lock, provider="p", month="2031-01")["code"] == "NOT_PUBLISHED"
    assert world.made["p"].published_months.get(month=month("2025-04")).locked_at is not None


def test_an_operator_calls_a_run_off_and_sees_its_history(world: World) -> None:
    june = factory.month()
    run = june.request()
    query = f"""mutation($input: CancelRunInput!) {{ cancelRun(input: $input) {{ __typename {ERRORS}
      ... on AllocationRunPayload {{ run {{ state details {{ transitions {{
        fromState toState at actor worker attempt durationMs rows reason }} }} }} }} }} }}"""
    boss = signed_in(world, "operator")
    answer = done(boss, query, runId=global_id("AllocationRun", run.pk))
    assert answer["run"]["state"] == "withdrawn"
    first, last = answer["run"]["details"]["transitions"]
    assert (first["fromState"], first["toState"], first["durationMs"], first["actor"]) == (None, "queued", None, None)
    assert (last["fromState"], last["toState"], last["reason"]) == ("queued", "withdrawn", "cancelled")
    assert last["actor"] == world.made["operator"].username
    assert int(last["durationMs"]) >= 0
    assert first["at"] <= last["at"]
    assert done(boss, query, runId=global_id("AllocationRun", run.pk))["code"] == "RUN_NOT_RUNNING"
    assert done(boss, query, runId=global_id("AllocationRun", 999_999))["__typename"] == "NotFound"
