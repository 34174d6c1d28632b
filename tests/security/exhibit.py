"""A world made by hand in which every known leak would show: each person here is somebody who must not see something.

Numbers are chosen: groups 9001 and 90012 (a prefix), an account and a group with one number, and so on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission

from accounts import closure
from accounts.models import Account, AccountGroup, AccountMembership, AccountUserPermission, GroupEdge, NodeKind, User
from accounts.models.grants import NODE_MODELS
from tests.factories import hierarchy as make
from tests.factories import people
from tests.security.model import (
    ACCOUNT,
    DIRECTORY,
    ENTERPRISE,
    GROUP,
    RESOURCE_GROUP,
    Delegation,
    Directory,
    Grant,
    Model,
    Node,
)
from tests.security.worlds import MONTHS, World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

A, A_LONGER, B, INSIDE = 9001, 90012, 9002, 9003
MOVER, STAYER, DIRECT, MANAGER, DEPUTY, ELSEWHERE = 9001, 9102, 9103, 9104, 9105, 9106
BEFORE, AFTER = MONTHS[:3], MONTHS[3:]


def exhibit() -> World:
    """Build it: directory 1 with groups, directory 2 of the same enterprise switched off, directory 3 of another."""
    world = World(0)
    model = world.model = Model(months=MONTHS)
    acme, other = make.enterprise("Exhibit"), make.enterprise("Other exhibit")
    rows = [
        make.directory("one", of=acme, id=9301, external_id="x-1"),
        make.directory("two", of=acme, id=9302, external_id="x-2", multi_account_management=False),
        make.directory("three", of=other, id=9303, external_id="x-3"),
    ]
    model.enterprises = {Node(ENTERPRISE, acme.pk), Node(ENTERPRISE, other.pk)}
    for row in rows:
        enterprise = Node(ENTERPRISE, row.enterprise_id)
        model.directories[Node(DIRECTORY, row.pk)] = Directory(
            row.provider_id, enterprise, multi_account=row.multi_account_management
        )
    one, two = Node(DIRECTORY, 9301), Node(DIRECTORY, 9302)
    groups = ((A, one, one), (A_LONGER, one, one), (B, one, one), (INSIDE, one, Node(GROUP, A)), (9004, two, two))
    for number, directory, parent in groups:
        AccountGroup.objects.create(id=number, directory_id=directory.id, external_id=f"ou-{number}", name=f"{number}")
        model.groups[Node(GROUP, number)] = directory
        # INSIDE with all that is in it moves from A to B.
        _stand(world, number, directory, parent, MONTHS if number != INSIDE else BEFORE)
    _stand(world, INSIDE, one, Node(GROUP, B), AFTER)
    closure.rebuild(directory_ids=[row.pk for row in rows])
    _accounts(world, rows[0].provider_id)
    _people(world)
    return world


def _stand(world: World, group: int, directory: Node, parent: Node, months: Sequence[date]) -> None:
    GroupEdge.objects.create(
        directory_id=directory.id,
        group_id=group,
        parent_id=parent.id if parent.kind == GROUP else None,
        valid_from=months[0],
        valid_to=AFTER[0] if months is BEFORE else None,
        recorded_by=make.version(),
    )
    world.model.put([Node(GROUP, group)], months, parent)


def _accounts(world: World, provider: int) -> None:
    one, two, three = (Node(DIRECTORY, number) for number in (9301, 9302, 9303))
    a, b, inside = (Node(GROUP, number) for number in (A, B, INSIDE))
    stays = {
        MOVER: [(a, BEFORE), (b, AFTER)],
        STAYER: [(inside, MONTHS)],
        DIRECT: [(one, MONTHS)],
        MANAGER: [(Node(GROUP, A_LONGER), MONTHS)],
        DEPUTY: [(b, MONTHS)],
        ELSEWHERE: [(Node(GROUP, 9004), BEFORE), (three, AFTER)],
    }
    for number, places in stays.items():
        account = Account.objects.create(id=number, provider_id=provider, external_id=f"x-{number}", name=f"{number}")
        node, part = Node(ACCOUNT, number), make.resource_group(account)
        world.model.accounts[node] = provider
        world.model.resource_groups[Node(RESOURCE_GROUP, part.pk)] = node
        for place, months in places:
            AccountMembership.objects.create(
                account=account,
                directory_id=place.id if place.kind == DIRECTORY else world.model.groups[place].id,
                group_id=place.id if place.kind == GROUP else None,
                valid_from=months[0],
                valid_to=AFTER[0] if months is BEFORE else None,
                recorded_by=make.version(),
            )
            world.model.put([node], months, place)
    # What was once recorded and is known to be wrong: nobody ever saw the direct account in B.
    AccountMembership.objects.create(
        account_id=DIRECT,
        directory_id=9301,
        group_id=B,
        valid_from=BEFORE[0],
        recorded_by=make.version(),
        superseded_by=make.version(),
    )
    for directory, manager in ((one, MANAGER), (two, ELSEWHERE)):
        NODE_MODELS[NodeKind.RESOURCE_DIRECTORY]._default_manager.filter(pk=directory.id).update(  # noqa: SLF001 Django's name
            management_account_id=manager
        )
        world.model.directories[directory].manager = Node(ACCOUNT, manager)


def _people(world: World) -> None:
    one, a, b = Node(DIRECTORY, 9301), Node(GROUP, A), Node(GROUP, B)
    acme = world.model.directories[one].enterprise
    world.operator = _person(world, staff=True, operates=True)
    hold(world, _person(world, active=False), one)
    hold(world, _person(world), one, ends_at=world.now)
    hold(world, _person(world), one, ends_at=world.now + timedelta(seconds=1))
    hold(world, _person(world), a, role="administrator")
    hold(world, _person(world), b, role="administrator")
    hold(world, _person(world), Node(ACCOUNT, MOVER), inside=frozenset({b}))
    hold(world, _person(world), Node(ACCOUNT, MOVER))
    hold(world, _person(world), Node(GROUP, 9004))
    hold(world, _person(world), acme, role="administrator")
    hold(world, _person(world), Node(ACCOUNT, MANAGER), role="administrator")
    hold(world, _person(world), Node(ACCOUNT, MANAGER), role="administrator", inside=frozenset({Node(GROUP, A_LONGER)}))
    hold(world, _person(world), Node(ACCOUNT, ELSEWHERE))
    hold(world, _person(world), next(iter(world.model.resource_groups)))
    deputy = _person(world)
    hold(world, deputy, Node(ACCOUNT, DEPUTY))
    _delegations(world)
    # Powers that are none: everything of Django's own, without being staff; staff without the permission.
    strong = _person(world, operates=True)
    _person(world, staff=True)
    User.objects.get(pk=strong).user_permissions.add(
        *Permission.objects.filter(codename__in=["viewer", "administrator"])
    )
    confused = _person(world)
    grant = people.give(User.objects.get(pk=confused), Account.objects.get(pk=STAYER))
    AccountUserPermission.objects.filter(pk=grant.pk).update(
        permission=Permission.objects.get(codename="viewer", content_type__model="accountgroup")
    )
    _person(world)


def _delegations(world: World) -> None:
    long_ago, day = world.now - timedelta(days=30), timedelta(days=1)
    one, a = Node(DIRECTORY, 9301), Node(GROUP, A)
    given: tuple[tuple[int, Node, dict[str, datetime]], ...] = (
        (DEPUTY, a, {}),
        (STAYER, one, {"ends_at": world.now}),
        (DIRECT, one, {"revoked_at": world.now - day}),
        (MOVER, one, {"registered_at": world.now + day}),
    )
    for account, scope, times in given:
        fields: dict[str, datetime] = {"registered_at": long_ago, **times}
        made = make.delegation(
            Account.objects.get(pk=account),
            NODE_MODELS[NodeKind.RESOURCE_DIRECTORY]._default_manager.get(pk=one.id),  # type: ignore[arg-type] # noqa: SLF001 Django's name
            AccountGroup.objects.get(pk=a.id) if scope == a else None,
            **fields,
        )
        world.model.delegations.append(Delegation(made.pk, Node(ACCOUNT, account), one, scope, **fields))
        hold(world, _person(world), Node(ACCOUNT, account))


def _person(world: World, **fields: bool) -> int:
    return world.add_person(**fields)


def hold(  # noqa: PLR0913 columns of a grant
    world: World,
    person: int,
    node: Node,
    *,
    role: str = "viewer",
    ends_at: datetime | None = None,
    inside: frozenset[Node] = frozenset(),
) -> None:
    """Give a role as the service would have stored it."""
    row = NODE_MODELS[NodeKind(node.kind)]._default_manager.get(pk=node.id)  # noqa: SLF001 Django's name
    keys = tuple(f"{limit.kind}:{limit.id}" for limit in inside)
    people.give(User.objects.get(pk=person), row, role, ends_at=ends_at, authority=keys)  # type: ignore[arg-type] # one of the five
    world.model.grants.append(Grant(node, role, person=person, ends_at=ends_at, inside=inside))
