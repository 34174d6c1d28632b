"""Granting, delegating and switching, and what each of them is recorded as."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from accounts.models import (
    Account,
    AccountGroup,
    AccountUserPermission,
    AuditEntry,
    NodeKind,
    NodeRef,
    ResourceDirectory,
    Role,
    User,
)
from accounts.policies import Action, Purpose, may, months_of
from accounts.selectors.audit import REDACTED, audit_of
from accounts.selectors.nodes import nodes, nodes_by_external_id
from accounts.selectors.roles import delegations_of, grants_on, topmost
from accounts.selectors.search import SearchKey, search
from accounts.services import delegations, directories, grants, memberships
from accounts.services.idempotency import KeyReused, once
from accounts.services.quotas import QuotaExceeded
from accounts.services.refusal import Invalid, NotFound, PermissionDenied
from tests.factories import hierarchy as make
from tests.factories import people

if TYPE_CHECKING:
    from accounts.models import Grant

pytestmark = pytest.mark.django_db
m = make.month


@dataclass
class World:
    """What `world` makes."""

    root: ResourceDirectory
    a: AccountGroup
    b: AccountGroup
    m: Account
    x: Account


@pytest.fixture
def world() -> World:
    """X is in a until 2026-01 and in b since; m manages the directory."""
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    manager = make.account("m", [(root, "2025-01", None)])
    type(root).objects.filter(pk=root.pk).update(management_account=manager)
    x = make.account("x", [(a, "2025-01", "2026-01"), (b, "2026-01", None)])
    return World(root, a, b, manager, x)


def _seen(user: User, node: people.Node) -> list[str]:
    ref = people.ref(node)
    return [str(span) for span in months_of(people.viewing(user), kind=ref.kind, ids=[ref.id]).get(ref.id, [])]


def _grant(by: User, node: people.Node, to: User, role: Role = Role.VIEWER, ends_at: datetime | None = None) -> Grant:
    return grants.grant_role(
        viewer=people.viewing(by), node=people.ref(node), role=role, user_id=to.pk, ends_at=ends_at
    )


def test_a_grant_carries_the_authority_by_which_it_was_made(world: World) -> None:
    of_group, of_account, boss = people.person(), people.person(), people.operator()
    people.give(of_group, world.b, "administrator")
    people.give(of_account, world.x, "administrator")
    limited, whole, theirs = people.person(), people.person(), people.person()
    _grant(of_group, world.x, limited)
    _grant(of_account, world.x, whole)
    _grant(boss, world.x, theirs)
    assert _seen(limited, world.x) == ["2026-01.."]
    assert _seen(whole, world.x) == ["0001-01.."]
    assert _seen(theirs, world.x) == ["0001-01.."]


def test_authority_is_handed_on_along_the_chain(world: World) -> None:
    first, second, third = people.person(), people.person(), people.person()
    people.give(first, world.b, "administrator")
    _grant(first, world.x, second, Role.ADMINISTRATOR)
    grant = _grant(second, world.x, third)
    assert grant.authority == [people.ref(world.b).key]
    assert _seen(third, world.x) == ["2026-01.."]


def test_nobody_gives_themselves_the_history(world: World) -> None:
    climber = people.person()
    people.give(climber, world.b, "administrator")
    _grant(climber, world.x, climber, Role.ADMINISTRATOR)
    _grant(climber, world.x, climber)
    assert _seen(climber, world.x) == ["2026-01.."]


def test_of_several_rights_the_widest_counts(world: World) -> None:
    both, someone = people.person(), people.person()
    people.give(both, world.b, "administrator")
    people.give(both, world.root, "administrator")
    assert _grant(both, world.x, someone).authority == [people.ref(world.root).key]


def test_a_wider_grant_is_neither_narrowed_nor_prolonged_by_less(world: World) -> None:
    boss, lesser, someone = people.operator(), people.person(), people.person()
    people.give(lesser, world.b, "administrator")
    _grant(boss, world.x, someone, ends_at=make.NOW + timedelta(days=1))
    with pytest.raises(grants.GrantExists):
        _grant(lesser, world.x, someone)
    grants.revoke_role(viewer=people.viewing(lesser), node=people.ref(world.x), role=Role.VIEWER, user_id=someone.pk)
    assert _seen(someone, world.x) == []
    _grant(lesser, world.x, someone)
    _grant(boss, world.x, someone)
    assert _seen(someone, world.x) == ["0001-01.."]
    assert AccountUserPermission.objects.filter(user=someone).count() == 1


def test_hidden_nodes_are_not_found_and_seen_ones_denied(world: World) -> None:
    stranger, watcher, someone = people.person(), people.person(), people.person()
    people.give(watcher, world.root)
    with pytest.raises(NotFound):
        _grant(stranger, world.x, someone)
    with pytest.raises(PermissionDenied):
        _grant(watcher, world.x, someone)
    with pytest.raises(NotFound):
        grants.grant_role(
            viewer=people.viewing(people.operator()),
            node=NodeRef(NodeKind.ACCOUNT, 10**9),
            role=Role.VIEWER,
            user_id=someone.pk,
        )


def test_who_had_the_node_last_month_administers_it_no_more(world: World) -> None:
    former, someone = people.person(), people.person()
    people.give(former, world.a, "administrator")
    assert may(people.viewing(former), Action.SEE, people.ref(world.x))
    with pytest.raises(PermissionDenied):
        _grant(former, world.x, someone)


def test_grantees_and_end_dates_are_checked(world: World) -> None:
    boss = people.viewing(people.operator())
    node = people.ref(world.x)
    team = people.crew(people.person())
    idle = people.person(active=False)
    for fields in (
        {},
        {"user_id": idle.pk},
        {"user_id": 10**9},
        {"user_group_id": 10**8},
        {"user_id": people.person().pk, "user_group_id": team.pk},
        {"user_id": people.person().pk, "ends_at": make.NOW},
    ):
        with pytest.raises(Invalid):
            grants.grant_role(viewer=boss, node=node, role=Role.VIEWER, **fields)
    grants.grant_role(viewer=boss, node=node, role=Role.VIEWER, user_group_id=team.pk)
    assert _seen(team.user_set.get(), world.x) == ["0001-01.."]
    grants.revoke_role(viewer=boss, node=node, role=Role.VIEWER, user_group_id=team.pk)
    assert _seen(team.user_set.get(), world.x) == []
    with pytest.raises(grants.GrantNotFound):
        grants.revoke_role(viewer=boss, node=node, role=Role.VIEWER, user_group_id=team.pk)


@pytest.mark.parametrize("kind", list(NodeKind))
def test_roles_are_granted_on_every_kind_of_node(world: World, kind: NodeKind) -> None:
    boss, someone = people.operator(), people.person()
    nodes_by_kind: dict[NodeKind, people.Node] = {
        NodeKind.ENTERPRISE_PARENT: world.root.enterprise,
        NodeKind.RESOURCE_DIRECTORY: world.root,
        NodeKind.ACCOUNT_GROUP: world.b,
        NodeKind.ACCOUNT: world.x,
        NodeKind.RESOURCE_GROUP: make.resource_group(world.x),
    }
    node = nodes_by_kind[kind]
    for role in Role:
        _grant(boss, node, someone, role)
    assert _seen(someone, node)
    assert may(people.viewing(someone), Action.ADMINISTER, people.ref(node))
    ref = people.ref(node)
    rows = grants_on(viewer=people.viewing(someone), nodes=[ref], first=10)[ref]
    assert [(row.role, row.username) for row in rows] == [
        ("administrator", someone.username),
        ("viewer", someone.username),
    ]
    page = grants_on(viewer=people.viewing(someone), nodes=[ref], first=10, after=rows[0])
    assert page == {ref: rows[1:]}
    assert grants_on(viewer=people.viewing(people.person()), nodes=[ref], first=10) == {}


def test_the_management_accounts_administrators_delegate(world: World) -> None:
    chief, of_x, from_above = people.person(), people.person(), people.person()
    people.give(chief, world.m, "administrator")
    people.give(from_above, world.root.enterprise, "administrator")
    people.give(of_x, world.x)
    made = delegations.delegate_administrator(
        viewer=people.viewing(chief), directory_id=world.root.pk, account_id=world.x.pk
    )
    assert _seen(of_x, world.root) == ["0001-01.."]
    entry = AuditEntry.objects.get(action="delegate_administrator", node_kind="resource_directory")
    assert (entry.actor, entry.acting_account) == (chief, world.m)
    delegations.revoke_delegation(viewer=people.viewing(from_above), delegation_id=made.pk)
    assert _seen(of_x, world.root) == []
    again = delegations.revoke_delegation(viewer=people.viewing(chief), delegation_id=made.pk)
    assert again.revoked_at == make.NOW
    listed = delegations_of(viewer=people.viewing(chief), directory_id=world.root.pk, first=10)
    assert listed is not None
    assert [row.pk for row in listed] == [made.pk]


def test_others_do_not_delegate(world: World) -> None:
    of_group, viewer_only, stranger = people.person(), people.person(), people.person()
    memberships.move_accounts(
        viewer=people.viewing(people.operator()),
        account_ids=[world.m.pk],
        directory_id=world.root.pk,
        group_id=world.a.pk,
        month=m("2026-01"),
        frozen_months=(),
    )
    people.give(of_group, world.a, "administrator")
    people.give(viewer_only, world.m)

    def delegate(user: User) -> None:
        delegations.delegate_administrator(
            viewer=people.viewing(user), directory_id=world.root.pk, account_id=world.x.pk
        )

    for user in (of_group, viewer_only):
        with pytest.raises(PermissionDenied):
            delegate(user)
    with pytest.raises(NotFound):
        delegate(stranger)
    # Not even with a role on the management account that they gave themselves.
    _grant(of_group, world.m, of_group, Role.ADMINISTRATOR)
    with pytest.raises(PermissionDenied):
        delegate(of_group)


def test_unsuitable_accounts_are_not_delegated(world: World) -> None:
    boss = people.viewing(people.operator())
    outside = make.account("outside")
    closed = make.account("closed", [(world.root, "2025-01", None)], status="closed", closed_from=m("2026-01"))

    def delegate(account: people.Node, *, ends_at: datetime | None = None, group_id: int | None = None) -> object:
        return delegations.delegate_administrator(
            viewer=boss, directory_id=world.root.pk, account_id=account.pk, ends_at=ends_at, group_id=group_id
        )

    with pytest.raises(directories.NotAMember):
        delegate(outside)
    with pytest.raises(delegations.Unsuitable):
        delegate(world.m)
    with pytest.raises(delegations.Unsuitable):
        delegate(closed)
    with pytest.raises(Invalid):
        delegate(world.x, ends_at=make.NOW)
    with pytest.raises(NotFound):
        delegate(world.x, group_id=make.group("far", make.directory()).pk)
    delegate(world.x, ends_at=make.NOW + timedelta(hours=1))
    with pytest.raises(delegations.AlreadyDelegated):
        delegate(world.x)
    later = people.viewing(people.operator(), make.NOW + timedelta(hours=1))
    renewed = delegations.delegate_administrator(
        viewer=later, directory_id=world.root.pk, account_id=world.x.pk, group_id=world.a.pk
    )
    assert renewed.group == world.a
    type(world.root).objects.filter(pk=world.root.pk).update(max_delegated_administrators=1)
    with pytest.raises(QuotaExceeded):
        delegate(make.account("y", [(world.root, "2025-01", None)]))


def test_the_switch_counts_at_once_and_is_recorded(world: World) -> None:
    chief, watcher = people.person(), people.person()
    people.give(chief, world.m, "administrator")
    people.give(watcher, world.root)

    def switch(user: User, enabled: bool) -> None:  # noqa: FBT001 the switch itself
        directories.set_multi_account_management(
            viewer=people.viewing(user), directory_id=world.root.pk, enabled=enabled
        )

    with pytest.raises(PermissionDenied):
        switch(watcher, enabled=False)
    switch(chief, enabled=False)
    switch(chief, enabled=False)
    assert _seen(watcher, world.root) == []
    assert _seen(chief, world.m) == ["0001-01.."]
    switch(chief, enabled=True)
    assert _seen(watcher, world.root) == ["0001-01.."]
    entries = AuditEntry.objects.filter(action="set_multi_account_management").order_by("id")
    assert [entry.details["enabled"] for entry in entries] == [False, True]


def test_the_management_account_is_a_member_and_chosen_from_above(world: World) -> None:
    chief, admin = people.person(), people.person()
    people.give(chief, world.m, "administrator")
    people.give(admin, world.root, "administrator")

    def choose(user: User, account: people.Node | None) -> None:
        directories.set_management_account(
            viewer=people.viewing(user), directory_id=world.root.pk, account_id=None if account is None else account.pk
        )

    with pytest.raises(PermissionDenied):
        choose(chief, None)
    outside = make.account("outside")
    with pytest.raises(NotFound):
        choose(admin, outside)
    with pytest.raises(directories.NotAMember):
        choose(people.operator(), outside)
    make.delegation(world.x, world.root)
    with pytest.raises(Invalid, match="delegated"):
        choose(admin, world.x)
    y = make.account("y", [(world.root, "2025-01", None)])
    choose(admin, y)
    assert _seen(chief, world.root) == []


def test_a_new_parent_reads_neither_old_entries_nor_hidden_places(world: World) -> None:
    boss = people.operator()
    former, new = people.person(), people.person()
    people.give(former, world.a, "administrator")
    people.give(new, world.b, "administrator")
    node = people.ref(world.x)
    AuditEntry.objects.create(
        at=make.NOW.replace(year=2025), action="grant_role", node_kind=node.kind, node_id=node.id, details={"user": 7}
    )
    c = make.group("c", world.root)
    memberships.move_accounts(
        viewer=people.viewing(boss),
        account_ids=[world.x.pk],
        directory_id=world.root.pk,
        group_id=c.pk,
        month=m("2026-03"),
        until=m("2026-04"),
        frozen_months=(),
    )
    rows = audit_of(viewer=people.viewing(new), nodes=[node], first=10)[node]
    assert [row.action for row in rows] == ["move_account"]
    assert rows[0].details["to"] == REDACTED
    assert rows[0].details["from"] == [people.ref(world.b).key]
    assert audit_of(viewer=people.viewing(former), nodes=[node], first=10) == {}
    everything = audit_of(viewer=people.viewing(boss), nodes=[node], first=10)[node]
    assert [row.action for row in everything] == ["move_account", "grant_role"]
    assert everything[0].details["to"] == people.ref(c).key
    older = audit_of(viewer=people.viewing(boss), nodes=[node], first=10, before=everything[0].id)
    assert older == {node: everything[1:]}


def test_search_finds_visible_nodes_only_page_by_page(world: World) -> None:
    user = people.person()
    people.give(user, world.b)
    make.account("x%y", [(world.b, "2025-01", None)], external_id="100%")
    make.account("x-hidden", [(world.a, "2025-01", None)])
    viewer = people.viewing(user)

    def names(text: str, after: SearchKey | None = None) -> list[str]:
        return [hit.node.name for hit in search(viewer=viewer, text=text, kinds=list(NodeKind), first=10, after=after)]

    assert names("X") == ["x", "x%y"]
    assert names("%") == ["x%y"]
    assert names("_") == []
    assert names(" ") == []
    first = search(viewer=viewer, text="x", kinds=[NodeKind.ACCOUNT], first=1)
    assert names("x", after=first[0].key) == ["x%y"]
    assert names("root") == []
    boss = people.viewing(people.operator())
    assert len(search(viewer=boss, text="x", kinds=[NodeKind.ACCOUNT], first=10)) == 3


def test_nodes_are_known_whole_by_name_or_not_at_all(world: World) -> None:
    user = people.person()
    people.give(user, world.b)
    refs = [people.ref(getattr(world, name)) for name in ("root", "a", "b", "x", "m")]
    known = nodes(viewer=people.viewing(user), refs=refs)
    assert {row.name: row.access.value for row in known.values()} == {
        "root": "name_only",
        "b": "visible",
        "x": "visible",
    }
    found = nodes_by_external_id(
        viewer=people.viewing(user), kind=NodeKind.ACCOUNT, external_id=world.x.external_id, provider_code="cloud"
    )
    assert [row.ref for row in found] == [people.ref(world.x)]
    assert not nodes_by_external_id(
        viewer=people.viewing(user), kind=NodeKind.ACCOUNT, external_id=world.m.external_id, provider_code="cloud"
    )
    assert not nodes_by_external_id(
        viewer=people.viewing(user), kind=NodeKind.ACCOUNT, external_id=world.x.external_id, provider_code="other"
    )


def test_topmost_roles_leave_out_what_stands_below_another(world: World) -> None:
    user = people.person()
    people.give(user, world.root)
    people.give(user, world.b)
    people.give(user, world.x)
    assert {root.ref for root in topmost(viewer=people.viewing(user))} == {people.ref(world.root)}


def test_a_repeated_mutation_has_one_effect() -> None:
    viewer = people.viewing(people.operator())
    calls = []

    def carry_out() -> dict[str, int]:
        calls.append(1)
        return {"n": len(calls)}

    def send(arguments: dict[str, int]) -> object:
        return once(
            viewer=viewer, mutation="grantRole", client_mutation_id="1", arguments=arguments, carry_out=carry_out
        )

    assert send({"a": 1}) == {"n": 1}
    assert send({"a": 1}) == {"n": 1}
    with pytest.raises(KeyReused):
        send({"a": 2})
    other = people.viewing(people.operator())
    answer = once(viewer=other, mutation="grantRole", client_mutation_id="1", arguments={}, carry_out=carry_out)
    assert answer == {"n": 2}


def test_inactive_people_administer_nothing(world: World) -> None:
    user = people.person()
    people.give(user, world.root, "administrator")
    viewer = people.viewing(user)
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    assert not may(viewer, Action.ADMINISTER, people.ref(world.x))
    assert months_of(viewer, kind=NodeKind.ACCOUNT, ids=[world.x.pk], purpose=Purpose.ADMINISTER) == {}
    assert not may(people.viewing(user), Action.SEE, people.ref(world.x))
