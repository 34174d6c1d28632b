"""Small random worlds that live twice: in PostgreSQL, changed by the real services, and in the model.

A world is a function of its seed. People of every rank try to change it, allowed or not; what a service carries out is
repeated in the model by plain assignments, and the model then says whether this person might have done it at all.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.auth.models import Group, Permission

from accounts.models import Account, NodeKind, NodeRef, Provider, ResourceGroup, User
from accounts.months import shift
from accounts.policies import Viewer, viewer_of
from accounts.services.directories import create_directory, create_enterprise
from accounts.services.groups import create_group
from accounts.services.quotas import Quotas
from tests.security.model import (
    ACCOUNT,
    DIRECTORY,
    ENTERPRISE,
    GROUP,
    RESOURCE_GROUP,
    Directory,
    Model,
    Node,
    Person,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGINNING = date(2026, 3, 1)
MONTHS = tuple(shift(BEGINNING, number) for number in range(7))
FIRST_DAY = datetime(2026, 5, 20, 12, tzinfo=UTC)


def ref(node: Node) -> NodeRef:
    """The node as the services name it."""
    return NodeRef(NodeKind(node.kind), node.id)


@dataclass
class World:
    """One world: its model, its people by id, and what time it is there."""

    seed: int
    rng: random.Random = field(init=False)
    model: Model = field(init=False)
    now: datetime = FIRST_DAY
    operator: int = 0
    teams: list[int] = field(default_factory=list)
    actors: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 a reproducible world, not a secret
        self.model = Model(months=MONTHS)

    # --- Who ----------------------------------------------------------------------------------------

    def viewer(self, person: int | None) -> Viewer:
        """The person as a viewer, read anew."""
        from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415 beside its only use

        user = AnonymousUser() if person is None else User.objects.get(pk=person)
        return viewer_of(user, now=self.now)

    def everybody(self) -> list[int | None]:
        """All people, and nobody."""
        return [*self.model.people, None]

    def add_person(self, **fields: bool) -> int:
        """A user without any role."""
        user = User.objects.create(
            username=f"{self.seed}-{len(self.model.people)}",
            is_active=fields.get("active", True),
            is_staff=fields.get("staff", False),
            is_superuser=fields.get("superuser", False),
        )
        if fields.get("operates"):
            user.user_permissions.add(Permission.objects.get(codename="operate", content_type__app_label="accounts"))
        self.model.people[user.pk] = Person(
            active=fields.get("active", True),
            staff=fields.get("staff", False),
            superuser=fields.get("superuser", False),
            operates=fields.get("operates", False),
        )
        return user.pk

    # --- What -----------------------------------------------------------------------------------------

    def pick(self, *kinds: str) -> Node | None:
        """Any node of these kinds."""
        nodes = [node for node in self.model.nodes() if node.kind in kinds]
        return self.rng.choice(nodes) if nodes else None

    def pick_month(self) -> date:
        """A month of the window, most often one near today."""
        here = max(0, min(len(MONTHS) - 1, MONTHS.index(date(self.now.year, self.now.month, 1))))
        return self.rng.choice([*MONTHS, MONTHS[here], MONTHS[here], MONTHS[min(here + 1, len(MONTHS) - 1)]])

    def pick_places(self) -> tuple[int, int | None] | None:
        """Where an account or group can stand: a directory, or a group of it."""
        node = self.pick(DIRECTORY, GROUP, GROUP)
        if node is None:
            return None
        return (node.id, None) if node.kind == DIRECTORY else (self.model.groups[node].id, node.id)

    # --- Beginning ------------------------------------------------------------------------------------

    def found(self) -> World:
        """Write the beginning: enterprises, directories, groups, accounts, resource groups and people."""
        self.operator = self.add_person(staff=True, operates=True)
        boss = self.viewer(self.operator)
        for fields in ({}, {}, {}, {}, {}, {"staff": True}, {"active": False}, {"active": False, "superuser": True}):
            self.add_person(**fields)
        for number in range(2):
            team = Group.objects.create(name=f"{self.seed}-{number}")
            self.teams.append(team.pk)
        providers = [
            Provider.objects.get_or_create(code=code, defaults={"time_zone": "UTC"})[0] for code in ("east", "west")
        ]
        enterprises = [
            create_enterprise(viewer=boss, external_id=f"{self.seed}-{number}", name=f"Enterprise {number}")
            for number in range(2)
        ]
        self.model.enterprises = {Node(ENTERPRISE, each.pk) for each in enterprises}
        for number, (provider, enterprise) in enumerate([(0, 0), (self.rng.randrange(2), 0), (0, 1)]):
            directory = create_directory(
                viewer=boss,
                provider=providers[provider],
                enterprise=enterprises[enterprise],
                external_id=f"{self.seed}-{number}",
                name=f"Directory {number}",
                quotas=Quotas(delegated_administrators=3),
            )
            self.model.directories[Node(DIRECTORY, directory.pk)] = Directory(
                provider=providers[provider].pk, enterprise=Node(ENTERPRISE, enterprises[enterprise].pk)
            )
        self._found_groups(boss)
        self._found_accounts(providers)
        return self

    def _found_groups(self, boss: Viewer) -> None:
        for number in range(self.rng.randint(3, 6)):
            place = self.pick_places()
            if place is None:
                continue
            directory_id, parent_id = place
            # Ids that are prefixes of one another are normal.
            made = create_group(
                viewer=boss,
                directory_id=directory_id,
                parent_id=parent_id,
                external_id="ou-" + "1" * (number + 1),
                name=f"Group {number}",
                month=BEGINNING,
                frozen_months=(),
            )
            node = Node(GROUP, made.pk)
            self.model.groups[node] = Node(DIRECTORY, directory_id)
            parent = Node(DIRECTORY, directory_id) if parent_id is None else Node(GROUP, parent_id)
            self.model.put([node], MONTHS, parent)

    def _found_accounts(self, providers: Sequence[Provider]) -> None:
        for number in range(self.rng.randint(5, 8)):
            provider = providers[0 if number < 4 else self.rng.randrange(2)]
            account = Account.objects.create(
                provider=provider, external_id=f"{self.seed}-" + "1" * (number + 1), name=f"Account {number}"
            )
            node = Node(ACCOUNT, account.pk)
            self.model.accounts[node] = provider.pk
            for code in ("default", "team")[: self.rng.randint(1, 2)]:
                part = ResourceGroup.objects.create(account=account, code=code)
                self.model.resource_groups[Node(RESOURCE_GROUP, part.pk)] = node

    def pass_time(self) -> None:
        """Some hours or weeks go by, but not beyond the window."""
        later = self.now + timedelta(hours=self.rng.choice([1, 20, 24 * 9, 24 * 25]))
        if date(later.year, later.month, 1) <= MONTHS[-2]:
            self.now = later
