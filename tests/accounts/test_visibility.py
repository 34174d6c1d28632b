"""What a viewer sees in which month equals what a few lines of Python say from the raw rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AccountGroup, NodeKind, NodeRef
from accounts.months import Period, shift
from accounts.policies import Purpose, VisibleSets, explorable, months_of
from tests.factories import hierarchy as make
from tests.factories import people
from tests.factories.worlds import thrown_away

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest_django

    from accounts.models import Account, ResourceDirectory, User
    from accounts.policies import Viewer
    from tests.factories.people import Node

pytestmark = pytest.mark.django_db

START = make.month("2026-01")
WINDOW = [shift(START, number) for number in range(6)]
SPLITS: list[tuple[date, date | None]] = [
    (START, shift(START, 2)),
    (shift(START, 2), shift(START, 4)),
    (shift(START, 4), None),
]
Plan = dict[str, list[Any]]


@dataclass
class World:
    """Two directories of one enterprise, one of another; places by month; roles as (node, role, authority)."""

    directories: list[ResourceDirectory]
    groups: list[AccountGroup]
    accounts: list[Account]
    nodes: list[Node]
    parent: dict[tuple[NodeRef, date], NodeRef]
    roles: list[tuple[NodeRef, str, tuple[NodeRef, ...]]] = field(default_factory=list)
    managers: dict[int, NodeRef] = field(default_factory=dict)
    delegated: list[tuple[int, NodeRef]] = field(default_factory=list)

    def above(self, node: NodeRef, month: date) -> list[NodeRef]:
        """The node and everything above it."""
        way = [node]
        while (higher := self.parent.get((way[-1], month))) is not None:
            way.append(higher)
        return way

    def counting(self, purpose: Purpose) -> Iterable[tuple[NodeRef, tuple[NodeRef, ...]]]:
        """Nodes on which a role or an extension of one stands, with what it must stay inside."""
        for node, role, authority in self.roles:
            if purpose in {Purpose.ADMINISTER, Purpose.DELEGATE} and role != "administrator":
                continue
            yield node, authority
            if node.kind != NodeKind.ACCOUNT or purpose == Purpose.ADMINISTER:
                continue
            for directory, manager in self.managers.items():
                if manager == node:
                    yield NodeRef(NodeKind.RESOURCE_DIRECTORY, directory), authority
            if purpose != Purpose.DELEGATE:
                yield from ((scope, authority) for account, scope in self.delegated if account == node.id)

    def sees(self, node: NodeRef, month: date, purpose: Purpose) -> bool:
        """The rule, in the words of docs/hierarchy.md."""
        way = self.above(node, month)
        for root, authority in self.counting(purpose):
            if root not in way or not all(limit in self.above(root, month) for limit in authority):
                continue
            direct = root.kind in {NodeKind.ACCOUNT, NodeKind.RESOURCE_GROUP} or node.kind == NodeKind.ENTERPRISE_PARENT
            if purpose != Purpose.NUMBERS or direct or self._switched_on(way):
                return True
        return False

    def _switched_on(self, way: list[NodeRef]) -> bool:
        on = {directory.pk: directory.multi_account_management for directory in self.directories}
        return all(on[step.id] for step in way if step.kind == NodeKind.RESOURCE_DIRECTORY)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plain numbers from which `build` makes a world."""
    small = st.integers(0, 40)
    return {
        "switches": draw(st.lists(st.booleans(), min_size=3, max_size=3)),
        "groups": draw(st.lists(st.tuples(small, small, small, small), min_size=1, max_size=6)),
        "accounts": draw(st.lists(st.tuples(small, small, small), min_size=1, max_size=6)),
        "roles": draw(
            st.lists(
                st.tuples(small, st.sampled_from(["viewer", "administrator"]), st.lists(small, max_size=2)), max_size=5
            )
        ),
        "managers": draw(st.lists(st.one_of(st.none(), small), min_size=3, max_size=3)),
        "delegated": draw(st.lists(st.tuples(small, small), max_size=2)),
    }


def _parents_of(world: World, group: AccountGroup, number: int, choice: int) -> AccountGroup | None:
    """A group of the same directory that was made earlier, or none."""
    earlier = [other for other in world.groups[:number] if other.directory_id == group.directory_id]
    options: list[AccountGroup | None] = [None, *earlier]
    return options[choice % len(options)]


def build(plan: Plan, someone: User) -> World:  # noqa: C901 one step for each kind of node
    """Write the plan to the database and remember it plainly."""
    acme, other = make.enterprise("Acme"), make.enterprise("Other")
    directories = [
        make.directory(of=owner, multi_account_management=switch)
        for owner, switch in zip([acme, acme, other], plan["switches"], strict=True)
    ]
    world = World(directories, [], [], [acme, other, *directories], {})
    for directory in directories:
        for month in WINDOW:
            world.parent[people.ref(directory), month] = people.ref(directory.enterprise)
    for number, (where, *choices) in enumerate(plan["groups"]):
        group = make.bare_group(f"g{number}", directories[where % 3])
        world.groups.append(group)
        for (start, end), choice in zip(SPLITS, choices, strict=True):
            parent = _parents_of(world, group, number, choice)
            make.edge(group, parent, f"{start:%Y-%m}", f"{end:%Y-%m}" if end else None)
            for month in WINDOW:
                if month in Period(start, end):
                    world.parent[people.ref(group), month] = people.ref(parent or group.directory)
    from accounts import closure  # noqa: PLC0415 beside its only use

    closure.rebuild(directory_ids=[directory.pk for directory in directories])
    places: list[ResourceDirectory | AccountGroup | None] = [None, *directories, *world.groups]
    for number, choices in enumerate(plan["accounts"]):
        stays = [
            (place, f"{start:%Y-%m}", f"{end:%Y-%m}" if end else None)
            for (start, end), choice in zip(SPLITS, choices, strict=True)
            if (place := places[choice % len(places)]) is not None
        ]
        account = make.account(f"x{number}", stays)
        part = make.resource_group(account)
        world.accounts.append(account)
        world.nodes += [account, part]
        for month in WINDOW:
            world.parent[people.ref(part), month] = people.ref(account)
            for (start, end), choice in zip(SPLITS, choices, strict=True):
                place = places[choice % len(places)]
                if month in Period(start, end) and place is not None:
                    world.parent[people.ref(account), month] = people.ref(place)
    world.nodes += world.groups
    _give_roles(plan, world, someone)
    return world


def _give_roles(plan: Plan, world: World, someone: User) -> None:
    nodes = [people.ref(node) for node in world.nodes]
    team = people.crew(someone)
    given = set()
    for number, (target, role, limits) in enumerate(plan["roles"]):
        node = world.nodes[target % len(nodes)]
        if (node, role) in given:
            continue
        given.add((node, role))
        authority = tuple(dict.fromkeys(nodes[limit % len(nodes)] for limit in limits))
        people.give(team if number % 2 else someone, node, role, authority=tuple(limit.key for limit in authority))
        world.roles.append((people.ref(node), role, authority))
    for directory, choice in zip(world.directories, plan["managers"], strict=True):
        if choice is not None:
            manager = world.accounts[choice % len(world.accounts)]
            directory.management_account = manager
            directory.save()
            world.managers[directory.pk] = people.ref(manager)
    for choice, scope in plan["delegated"]:
        account = world.accounts[choice % len(world.accounts)]
        scopes: list[ResourceDirectory | AccountGroup] = [*world.directories, *world.groups]
        chosen = scopes[scope % len(scopes)]
        directory = chosen.directory if isinstance(chosen, AccountGroup) else chosen
        if not account.delegations.filter(directory=directory).exists():
            make.delegation(account, directory, chosen if isinstance(chosen, AccountGroup) else None)
            world.delegated.append((account.pk, people.ref(chosen)))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans())
def test_sql_and_a_walk_agree_about_every_node_month_and_purpose(plan: Plan) -> None:
    with thrown_away():
        someone = people.person()
        world = build(plan, someone)
        viewer = people.viewing(someone)
        for purpose in Purpose:
            for kind in NodeKind:
                nodes = [people.ref(node) for node in world.nodes if people.ref(node).kind == kind]
                expected = {(node.id, month) for node in nodes for month in WINDOW if world.sees(node, month, purpose)}
                found = months_of(viewer, kind=kind, ids=[node.id for node in nodes], purpose=purpose)
                by_node = {(pk, month) for pk, spans in found.items() for month in WINDOW if _inside(month, spans)}
                assert by_node == expected, f"months of {kind} to {purpose}"
                assert _pairs(VisibleSets(viewer, purpose), kind) == expected, f"set of {kind} to {purpose}"
        _agree_about_names(world, viewer)


def _agree_about_names(world: World, viewer: Viewer) -> None:
    expected = set()
    for node in map(people.ref, world.nodes):
        for month in WINDOW:
            if world.sees(node, month, Purpose.SEE):
                expected |= {(above, month) for above in world.above(node, month)[1:]}
    found = {(node, month) for node, spans in explorable(viewer).items() for month in WINDOW if _inside(month, spans)}
    visible = {
        (node, month)
        for node in map(people.ref, world.nodes)
        for month in WINDOW
        if world.sees(node, month, Purpose.SEE)
    }
    assert found - visible == expected - visible


def _inside(month: date, spans: Iterable[Period]) -> bool:
    return any(month in span for span in spans)


def _pairs(sets: VisibleSets, kind: NodeKind) -> set[tuple[int, date]]:
    from django.db import connection  # noqa: PLC0415 beside its only use

    text, params = sets.sql(kind)
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        rows = cursor.fetchall()
    return {(node, month) for node, start, bound in rows for month in WINDOW if start <= month < bound}


def _months(user: User, node: Node, purpose: Purpose = Purpose.NUMBERS, now: datetime = make.NOW) -> list[str]:
    ref = people.ref(node)
    spans = months_of(people.viewing(user, now), kind=ref.kind, ids=[ref.id], purpose=purpose).get(ref.id, [])
    return [str(span) for span in spans]


def test_former_and_new_parents_share_the_months_of_a_moved_account() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    x = make.account("x", [(a, "2025-01", "2025-06"), (b, "2025-06", None)])
    former, new, owner = people.person(), people.person(), people.person()
    people.give(former, a)
    people.give(new, b)
    people.give(owner, x)
    assert _months(former, x) == ["2025-01..2025-06"]
    assert _months(new, x) == ["2025-06.."]
    assert _months(owner, x) == ["0001-01.."]


def test_an_inherited_administrator_grants_no_month_outside_the_own_authority() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    x = make.account("x", [(a, "2025-01", "2025-06"), (b, "2025-06", "2025-09"), (a, "2025-09", None)])
    someone = people.person()
    people.give(someone, x, authority=(people.ref(a).key,))
    assert _months(someone, x) == ["2025-01..2025-06", "2025-09.."]


def test_authority_that_cannot_be_read_grants_nothing() -> None:
    root = make.directory()
    x = make.account("x", [(root, "2025-01", None)])
    someone = people.person()
    people.give(someone, x, authority=("resource_directory:" + str(root.pk), "anything"))
    assert _months(someone, x) == []


def test_an_account_whose_id_begins_like_another_is_another() -> None:
    root = make.directory()
    short = make.group("ou", root)
    long = make.group("ou2", root)
    type(short).objects.filter(pk=short.pk).update(external_id="ou-1")
    type(short).objects.filter(pk=long.pk).update(external_id="ou-12")
    x = make.account("x", [(long, "2025-01", None)], external_id="12")
    make.account("y", [(short, "2025-01", None)], external_id="1")
    someone = people.person()
    people.give(someone, short)
    assert _months(someone, x) == []
    assert list(VisibleSets(people.viewing(someone)).accounts().values_list("external_id", flat=True)) == ["1"]


def test_inactive_people_and_expired_grants_see_nothing() -> None:
    root = make.directory()
    idle, late, team_only = people.person(active=False), people.person(), people.person()
    people.give(idle, root)
    people.give(people.crew(idle), root)
    people.give(late, root, ends_at=make.NOW)
    people.give(people.crew(team_only), root, ends_at=make.NOW + timedelta(seconds=1))
    assert _months(idle, root) == []
    assert _months(late, root) == []
    assert _months(late, root, now=make.NOW - timedelta(seconds=1)) == ["0001-01.."]
    assert _months(team_only, root) == ["0001-01.."]


def test_global_permissions_and_permissions_of_another_type_never_count() -> None:
    from django.contrib.auth.models import Permission  # noqa: PLC0415 beside its only use

    from accounts.models import AccountUserPermission  # noqa: PLC0415 beside its only use

    root = make.directory()
    x = make.account("x", [(root, "2025-01", None)])
    someone = people.person()
    someone.user_permissions.add(*Permission.objects.filter(codename__in=["viewer", "administrator"]))
    AccountUserPermission.objects.bulk_create(
        [
            AccountUserPermission(
                user=someone,
                content_object=x,
                granted_at=make.NOW,
                permission=Permission.objects.get(codename="viewer", content_type__model="accountgroup"),
            )
        ]
    )
    assert _months(someone, x) == []
    assert _months(someone, root) == []


def test_operators_see_everything_and_staff_alone_do_not() -> None:
    x = make.account("x")
    staff, boss = people.person(), people.operator()
    type(staff).objects.filter(pk=staff.pk).update(is_staff=True)
    assert _months(staff, x) == []
    assert _months(boss, x) == ["0001-01.."]
    assert VisibleSets(people.viewing(boss)).accounts().get() == x
    # The statement asks again: a viewer who was an operator when the request began is none when the right is gone.
    viewer = people.viewing(boss)
    type(boss).objects.filter(pk=boss.pk).update(is_active=False)
    assert not VisibleSets(viewer).accounts().exists()


def test_a_role_that_a_delegated_account_inherits_extends_to_nothing() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    x, y = make.account("x", [(a, "2025-01", None)]), make.account("y", [(b, "2025-01", None)])
    make.delegation(x, root)
    of_group, of_account = people.person(), people.person()
    people.give(of_group, a, "administrator")
    people.give(of_account, x)
    assert _months(of_group, y) == []
    assert _months(of_account, y) == ["2025-01.."]


def test_a_group_administrator_gains_no_directory_by_a_role_on_its_management_account() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    manager, y = make.account("m", [(a, "2025-01", None)]), make.account("y", [(b, "2025-01", None)])
    type(root).objects.filter(pk=root.pk).update(management_account=manager)
    climber = people.person()
    people.give(climber, manager, "administrator", authority=(people.ref(a).key,))
    assert _months(climber, manager) == ["2025-01.."]
    assert _months(climber, root, Purpose.SEE) == []
    assert _months(climber, y, Purpose.SEE) == []
    assert _months(climber, root, Purpose.DELEGATE) == []


def test_extensions_are_not_extended() -> None:
    root, other = make.directory(), make.directory()
    manager = make.account("m", [(root, "2025-01", None)])
    inside = make.account("inside", [(root, "2025-01", None)])
    far = make.account("far", [(other, "2025-01", None)])
    type(root).objects.filter(pk=root.pk).update(management_account=manager)
    type(other).objects.filter(pk=other.pk).update(management_account=inside)
    someone = people.person()
    people.give(someone, manager)
    assert _months(someone, inside) == ["2025-01.."]
    assert _months(someone, far) == []


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, True),
        ({"ends_at": make.NOW}, False),
        ({"ends_at": make.NOW + timedelta(days=1)}, True),
        ({"revoked_at": make.NOW}, False),
        ({"registered_at": datetime(2027, 1, 1, tzinfo=UTC)}, False),
    ],
)
def test_a_delegation_counts_from_its_registration_to_its_end(fields: dict[str, Any], seen: bool) -> None:  # noqa: FBT001 parametrized
    root = make.directory()
    x, y = make.account("x", [(root, "2025-01", None)]), make.account("y", [(root, "2025-01", None)])
    make.delegation(x, root, **fields)
    someone = people.person()
    people.give(someone, x)
    assert bool(_months(someone, y)) is seen


def test_switching_multi_account_management_off_leaves_direct_roles_on_accounts() -> None:
    root = make.directory()
    a = make.group("a", root)
    x, y = make.account("x", [(a, "2025-01", None)]), make.account("y", [(a, "2025-01", None)])
    part = make.resource_group(y)
    someone, of_part = people.person(), people.person()
    people.give(someone, root)
    people.give(someone, a)
    people.give(someone, x)
    people.give(of_part, part)
    type(root).objects.filter(pk=root.pk).update(multi_account_management=False)
    assert _months(someone, x) == ["0001-01.."]
    assert [_months(someone, node) for node in (root, a, y)] == [[], [], []]
    assert _months(of_part, part) == ["0001-01.."]
    assert _months(someone, y, Purpose.SEE) == ["2025-01.."]
    type(root).objects.filter(pk=root.pk).update(multi_account_management=True)
    assert _months(someone, y) == ["2025-01.."]


@pytest.mark.parametrize("number", [1, 1000])
def test_a_decision_costs_the_same_statements_whatever_the_number_of_grants(
    number: int, django_assert_num_queries: pytest_django.DjangoAssertNumQueries
) -> None:
    root = make.directory()
    accounts = [make.account(f"x{index}", [(root, "2025-01", None)]) for index in range(3)]
    someone = people.person()
    from accounts.models import Account, AccountUserPermission  # noqa: PLC0415 beside its only use

    more = Account.objects.bulk_create(
        Account(provider=root.provider, external_id=f"many-{index}") for index in range(number)
    )
    people.give(someone, accounts[0])
    permission = AccountUserPermission.objects.get(user=someone).permission_id
    AccountUserPermission.objects.bulk_create(
        AccountUserPermission(user=someone, content_object=account, permission_id=permission, granted_at=make.NOW)
        for account in more
    )
    viewer = people.viewing(someone)
    with django_assert_num_queries(1):
        assert list(months_of(viewer, kind=NodeKind.ACCOUNT, ids=[one.pk for one in accounts])) == [accounts[0].pk]
    with django_assert_num_queries(1):
        assert VisibleSets(viewer).accounts().count() == number + 1
