"""No stale answer: what was taken away is not shown by the very next request, over a session that stays open.

`make leaks` asks a thousand times; CANOPY_LEAK_REVOCATIONS chooses how often.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import (
    AccountGroupUserPermission,
    DelegatedAdministrator,
    NodeKind,
    NodeRef,
    ResourceDirectory,
    Role,
    User,
)
from accounts.policies import viewer_of
from accounts.services import delegations, directories, grants
from allocation.policies import Kind, NodeKey
from graphql_api.types.nodes import id_of
from tests.read_model.world import World, small_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accounts.policies import Viewer

pytestmark = pytest.mark.django_db

TIMES = int(os.environ.get("CANOPY_LEAK_REVOCATIONS", "60"))
ASKED = """query($id: ID!) { hierarchyNode(id: $id) {
  emissions(period: {from: "2025-01", until: "2025-05"}) { total { microgramsCO2e } } } }"""


@pytest.fixture
def world(db: None) -> World:  # noqa: ARG001 the database is needed
    return small_world()


def told(client: Client, node: str) -> str | None:
    """The number that somebody is told, or None."""
    body = {"query": ASKED, "variables": {"id": node}}
    answer = client.post("/graphql/", data=json.dumps(body), content_type="application/json")
    found: dict[str, Any] | None = json.loads(answer.content).get("data", {}).get("hierarchyNode")
    return None if found is None else found["emissions"]["total"]["microgramsCO2e"]


def operator(world: World) -> Viewer:
    return viewer_of(world.made["operator"], now=timezone.now())


def ways(world: World, someone: User) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Each way to see group `a`: its name, how it is given and how it is taken away."""
    group, team = NodeRef(NodeKind.ACCOUNT_GROUP, world.made["a"].pk), Group.objects.create(name="team")
    north, still = world.made["north"], world.made["still"]
    held: dict[str, Any] = {"node": group, "role": Role.VIEWER}
    yield (
        "grant",
        lambda: grants.grant_role(viewer=operator(world), user_id=someone.pk, **held),
        lambda: grants.revoke_role(viewer=operator(world), user_id=someone.pk, **held),
    )
    yield (
        "end date",
        lambda: grants.grant_role(viewer=operator(world), user_id=someone.pk, **held),
        lambda: AccountGroupUserPermission.objects.filter(user=someone).update(
            ends_at=timezone.now() - timedelta(seconds=1)
        ),
    )
    grants.grant_role(viewer=operator(world), user_group_id=team.pk, **held)
    yield "membership of a user group", lambda: someone.groups.add(team), lambda: someone.groups.remove(team)
    yield (
        "switch",
        lambda: (
            grants.grant_role(viewer=operator(world), user_id=someone.pk, **held),
            directories.set_multi_account_management(viewer=operator(world), directory_id=north.pk, enabled=True),
        ),
        lambda: directories.set_multi_account_management(viewer=operator(world), directory_id=north.pk, enabled=False),
    )
    ResourceDirectory.objects.filter(pk=north.pk).update(multi_account_management=True)
    grants.revoke_role(viewer=operator(world), user_id=someone.pk, **held)
    grants.grant_role(
        viewer=operator(world), user_id=someone.pk, node=NodeRef(NodeKind.ACCOUNT, still.pk), role=Role.VIEWER
    )
    yield (
        "delegation",
        lambda: delegations.delegate_administrator(
            viewer=operator(world), directory_id=north.pk, account_id=still.pk, group_id=group.id
        ),
        lambda: delegations.revoke_delegation(
            viewer=operator(world),
            delegation_id=DelegatedAdministrator.objects.get(account=still, revoked_at=None).pk,
        ),
    )
    yield (
        "management account",
        lambda: directories.set_management_account(viewer=operator(world), directory_id=north.pk, account_id=still.pk),
        lambda: directories.set_management_account(viewer=operator(world), directory_id=north.pk, account_id=None),
    )
    yield (
        "account of the user",
        lambda: (
            directories.set_management_account(viewer=operator(world), directory_id=north.pk, account_id=still.pk),
            User.objects.filter(pk=someone.pk).update(is_active=True),
        ),
        lambda: User.objects.filter(pk=someone.pk).update(is_active=False),
    )


def test_what_was_taken_away_is_not_in_the_next_answer(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    someone = User.objects.create(username="someone")
    node = str(id_of(NodeKey(Kind.ACCOUNT_GROUP, world.made["a"].pk)))
    client = Client()
    asked, stale = 0, []
    # The world's clock is the real one here: roles end while the session stays.
    for name, give, take in ways(world, someone):
        client.force_login(someone, backend="django.contrib.auth.backends.ModelBackend")
        for _ in range(-(-TIMES // 7)):
            give()
            if told(client, node) is None:
                stale.append(f"{name}: not shown although it was given")
            take()
            asked += 1
            if told(client, node) is not None:
                stale.append(f"{name}: shown although it was taken away")
    with capsys.disabled():
        sys.stdout.write(f"\n{asked} times taken away and asked: {len(stale)} stale answers\n")
    assert stale == []
    assert asked >= TIMES
