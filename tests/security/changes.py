"""Everything that people may try to do to a world, by the real services, and what the model thinks of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from accounts.models import Role, User
from accounts.months import shift
from accounts.services import delegations, directories, grants, groups, memberships
from accounts.services.refusal import Refusal
from tests.security.model import ACCOUNT, DIRECTORY, ENTERPRISE, GROUP, RESOURCE_GROUP, Delegation, Grant, Node
from tests.security.publishing import publish, restate_what_moved
from tests.security.worlds import MONTHS, World, ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.security.model import Pair


class EscalationError(AssertionError):
    """Somebody did, by a service, what the model says they may not do."""


@dataclass
class Changes:
    """The changes of one world; `done` and `refused` count them by name."""

    world: World
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    actor: int = 0

    def publish(self) -> None:
        """Publish the next month of every provider."""
        model = self.world.model
        for provider in sorted(set(model.accounts.values())):
            shown = [publication.month for publication in model.publications if publication.provider == provider]
            ahead = [month for month in MONTHS if month not in shown and month < self.this_month]
            if ahead:
                publish(self.world, provider, ahead[0])

    def furnish(self) -> None:
        """Let the operator give the world something to lose: places, roles, managers, delegations."""
        self.actor = self.world.operator
        for change in [*[self.place_accounts] * 10, *[self.give] * 8, *[self.make_manager] * 4, *[self.delegate] * 4]:
            change()
        self.publish()
        self.publish()

    def step(self) -> None:
        """One random change by a random person."""
        rng = self.world.rng
        people = [pk for pk, person in self.world.model.people.items() if person.active]
        self.actor = self.world.operator if rng.random() < 0.35 else rng.choice(people)
        rng.choice(
            [
                *[self.place_accounts] * 6,
                *[self.move_group] * 3,
                *[self.give] * 6,
                *[self.take] * 2,
                *[self.delegate] * 3,
                self.end_delegation,
                self.make_manager,
                self.make_manager,
                self.switch,
                self.create_group,
                self.close_group,
                self.leave,
                self.join_team,
                self.deactivate,
                self.world.pass_time,
                *[self.publish] * 2,
            ]
        )()
        restate_what_moved(self.world)

    def attempt(self, name: str, call: Callable[[], Any], *, allowed: bool, apply: Callable[[Any], None]) -> None:
        """Try one service call; where it succeeds the model must agree, and find nothing given that was not had."""
        world = self.world
        try:
            result = call()
        except Refusal as refusal:
            self.refused[f"{name}: {refusal.code}"] += 1
            return
        self.done[name] += 1
        if world.model.is_operator(self.actor):
            apply(result)
            return
        if not allowed:
            raise EscalationError(f"world {world.seed}: {self.actor} may not {name}")
        had, nodes = world.model.seen(self.actor, world.now), set(world.model.nodes())
        before = self.seen_by_people()
        apply(result)
        for person, seen in self.seen_by_people().items():
            given = {pair for pair in seen - before[person] - had if pair[0] in nodes}
            if given:
                raise EscalationError(f"world {world.seed}: by {name}, {self.actor} gave {person} {sorted(given)[:3]}")

    def seen_by_people(self) -> dict[int, set[Pair]]:
        """What everybody sees, by the model."""
        return {person: self.world.model.seen(person, self.world.now) for person in self.world.model.people}

    def administers(self, nodes: Iterable[Node], months: Iterable[date]) -> bool:
        """Whether the actor administers all of these nodes in all of these months, by the model."""
        held, asked = self.world.model.administered(self.actor, self.world.now), list(months)
        return all((node, month) in held for node in nodes for month in asked)

    @property
    def this_month(self) -> date:
        """The month of today."""
        return date(self.world.now.year, self.world.now.month, 1)

    def span(self) -> tuple[date, date | None, list[date]]:
        """From a month until another or for ever, and the months of the window in between."""
        start = self.world.pick_month()
        until = shift(start, self.world.rng.randint(1, 3)) if self.world.rng.random() < 0.3 else None
        # The last month of the window stands for all that follow.
        until = None if until is not None and until > MONTHS[-1] else until
        return start, until, [month for month in MONTHS if month >= start and (until is None or month < until)]

    # --- Structure ----------------------------------------------------------------------------------

    def frozen(self, directory_id: int | None = None) -> list[date]:
        """Published months; operators restate them (`restate_what_moved`)."""
        del directory_id
        if self.world.model.is_operator(self.actor):
            return []
        return sorted({publication.month for publication in self.world.model.publications})

    def place_accounts(self) -> None:
        """Move, join or take over one or two accounts."""
        model, rng, where = self.world.model, self.world.rng, self.world.pick_places()
        accounts = rng.sample(sorted(model.accounts), k=min(len(model.accounts), rng.choice([1, 1, 2])))
        if where is None:
            return
        start, until, months = self.span()
        directory_id, group_id = where
        place = Node(DIRECTORY, directory_id) if group_id is None else Node(GROUP, group_id)
        changed = [month for month in months if any(model.places.get((one, month)) != place for one in accounts)]
        self.attempt(
            "move accounts",
            lambda: memberships.move_accounts(
                viewer=self.world.viewer(self.actor),
                account_ids=[one.id for one in accounts],
                directory_id=directory_id,
                group_id=group_id,
                month=start,
                until=until,
                frozen_months=self.frozen(),
            ),
            allowed=self.administers([*accounts, place], months) and not set(changed) & set(self.frozen()),
            apply=lambda _: model.put(accounts, months, place),
        )

    def leave(self) -> None:
        """An account stands alone from then on."""
        model, account = self.world.model, self.world.pick(ACCOUNT)
        if account is None:
            return
        start, until, months = self.span()

        changed = [month for month in months if (account, month) in model.places]
        self.attempt(
            "leave",
            lambda: memberships.leave_directory(
                viewer=self.world.viewer(self.actor),
                account_ids=[account.id],
                month=start,
                until=until,
                frozen_months=self.frozen(),
            ),
            allowed=self.administers([account], months) and not set(changed) & set(self.frozen()),
            apply=lambda _: model.put([account], months, None),
        )

    def move_group(self) -> None:
        """A group with all that is in it goes under another parent of its directory."""
        model, group = self.world.model, self.world.pick(GROUP)
        if group is None:
            return
        directory = model.groups[group]
        parents = [None, *[other for other in sorted(model.groups) if model.groups[other] == directory]]
        parent = self.world.rng.choice(parents)
        start, until, months = self.span()
        place = parent or directory
        changed = [month for month in months if model.places.get((group, month)) != place]
        self.attempt(
            "move group",
            lambda: groups.move_group(
                viewer=self.world.viewer(self.actor),
                group_id=group.id,
                parent_id=None if parent is None else parent.id,
                month=start,
                until=until,
                frozen_months=self.frozen(),
            ),
            allowed=self.administers([group, place], months) and not set(changed) & set(self.frozen()),
            apply=lambda _: model.put([group], months, place),
        )

    def create_group(self) -> None:
        """A new group in the middle of the history."""
        model, where = self.world.model, self.world.pick_places()
        if where is None:
            return
        directory_id, parent_id = where
        start = self.world.pick_month()
        months = [month for month in MONTHS if month >= start]
        place = Node(DIRECTORY, directory_id) if parent_id is None else Node(GROUP, parent_id)

        def apply(made: Any) -> None:  # noqa: ANN401 the model's row
            group = Node(GROUP, made.pk)
            model.groups[group] = Node(DIRECTORY, directory_id)
            model.put([group], months, place)

        self.attempt(
            "create group",
            lambda: groups.create_group(
                viewer=self.world.viewer(self.actor),
                directory_id=directory_id,
                parent_id=parent_id,
                external_id=f"new-{len(model.groups)}",
                name="New",
                month=start,
                frozen_months=self.frozen(),
            ),
            allowed=self.administers([place], months) and not set(months) & set(self.frozen()),
            apply=apply,
        )

    def close_group(self) -> None:
        """A group ends."""
        model, group = self.world.model, self.world.pick(GROUP)
        if group is None:
            return
        start = self.world.pick_month()
        months = [month for month in MONTHS if month >= start]

        self.attempt(
            "close group",
            lambda: groups.close_group(
                viewer=self.world.viewer(self.actor), group_id=group.id, month=start, frozen_months=self.frozen()
            ),
            allowed=self.administers([group], months),
            apply=lambda _: model.put([group], months, None),
        )

    # --- Access -------------------------------------------------------------------------------------

    def give(self) -> None:
        """Grant a role to a person or a user group, perhaps with an end."""
        world, rng = self.world, self.world.rng
        node = world.pick(*rng.choice([(ACCOUNT,), (GROUP,), (DIRECTORY,), (ENTERPRISE,), (RESOURCE_GROUP,)]))
        if node is None:
            return
        role = rng.choice([Role.VIEWER, Role.ADMINISTRATOR])
        person: int | None = rng.choice(sorted(world.model.people))
        team: int | None = None
        if rng.random() < 0.25:
            person, team = None, rng.choice(world.teams)
        ends_at = world.now + timedelta(days=rng.choice([1, 10, 40])) if rng.random() < 0.4 else None

        def apply(made: Any) -> None:  # noqa: ANN401 one of ten models
            inside = frozenset(Node(*_parsed(key)) for key in made.authority)
            self._forget(node, role, person, team)
            world.model.grants.append(Grant(node, role.value, person=person, team=team, ends_at=ends_at, inside=inside))

        self.attempt(
            "grant",
            lambda: grants.grant_role(
                viewer=world.viewer(self.actor),
                node=ref(node),
                role=role,
                user_id=person,
                user_group_id=team,
                ends_at=ends_at,
            ),
            allowed=self.administers([node], [self.this_month]),
            apply=apply,
        )

    def _forget(self, node: Node, role: Role, person: int | None, team: int | None) -> None:
        self.world.model.grants = [
            grant
            for grant in self.world.model.grants
            if (grant.node, grant.role, grant.person, grant.team) != (node, role.value, person, team)
        ]

    def take(self) -> None:
        """Revoke a role."""
        world = self.world
        if not world.model.grants:
            return
        grant = world.rng.choice(world.model.grants)
        self.attempt(
            "revoke",
            lambda: grants.revoke_role(
                viewer=world.viewer(self.actor),
                node=ref(grant.node),
                role=Role(grant.role),
                user_id=grant.person,
                user_group_id=grant.team,
            ),
            allowed=self.administers([grant.node], [self.this_month]),
            apply=lambda _: world.model.grants.remove(grant),
        )

    def may_delegate(self, directory: Node) -> bool:
        """Administrators of the management account, or of the directory as a whole."""
        manager = self.world.model.directories[directory].manager
        return self.administers([directory], [self.this_month]) or (
            manager is not None and self.administers([manager], [self.this_month])
        )

    def delegate(self) -> None:
        """Register a delegated administrator of a directory or a subtree."""
        world, rng = self.world, self.world.rng
        directory, account = world.pick(DIRECTORY), world.pick(ACCOUNT)
        if directory is None or account is None:
            return
        inside = [group for group, owner in sorted(world.model.groups.items()) if owner == directory]
        group = rng.choice(inside) if inside and rng.random() < 0.5 else None
        ends_at = world.now + timedelta(days=rng.choice([1, 12])) if rng.random() < 0.4 else None
        member = world.model.directories[directory].manager != account and directory in world.model.path(
            account, self.this_month
        )
        self.attempt(
            "delegate",
            lambda: delegations.delegate_administrator(
                viewer=world.viewer(self.actor),
                directory_id=directory.id,
                account_id=account.id,
                group_id=None if group is None else group.id,
                ends_at=ends_at,
            ),
            allowed=self.may_delegate(directory) and member,
            apply=lambda made: world.model.delegations.append(
                Delegation(made.pk, account, directory, group or directory, made.registered_at, ends_at)
            ),
        )

    def end_delegation(self) -> None:
        """Revoke a delegation."""
        world = self.world
        if not world.model.delegations:
            return
        delegation = world.rng.choice(world.model.delegations)

        def apply(row: Any) -> None:  # noqa: ANN401 the model's row
            delegation.revoked_at = row.revoked_at

        self.attempt(
            "end delegation",
            lambda: delegations.revoke_delegation(viewer=world.viewer(self.actor), delegation_id=delegation.id),
            allowed=self.may_delegate(delegation.directory),
            apply=apply,
        )

    def make_manager(self) -> None:
        """Name a management account, or none."""
        world = self.world
        directory = world.pick(DIRECTORY)
        account = world.pick(ACCOUNT) if world.rng.random() < 0.9 else None
        if directory is None:
            return

        def apply(_: object) -> None:
            world.model.directories[directory].manager = account

        self.attempt(
            "make manager",
            lambda: directories.set_management_account(
                viewer=world.viewer(self.actor),
                directory_id=directory.id,
                account_id=None if account is None else account.id,
            ),
            allowed=self.administers([directory] if account is None else [directory, account], [self.this_month]),
            apply=apply,
        )

    def switch(self) -> None:
        """Switch multi-account management."""
        world, directory = self.world, self.world.pick(DIRECTORY)
        if directory is None:
            return
        enabled = world.rng.random() < 0.6

        def apply(_: object) -> None:
            world.model.directories[directory].multi_account = enabled

        self.attempt(
            "switch",
            lambda: directories.set_multi_account_management(
                viewer=world.viewer(self.actor), directory_id=directory.id, enabled=enabled
            ),
            allowed=self.may_delegate(directory),
            apply=apply,
        )

    # --- People (Django's own tables) -----------------------------------------------------------------

    def join_team(self) -> None:
        """A person enters or leaves a user group."""
        world = self.world
        person, team = world.rng.choice(sorted(world.model.people)), world.rng.choice(world.teams)
        theirs, user = world.model.people[person].teams, User.objects.get(pk=person)
        if team in theirs and world.rng.random() < 0.5:
            user.groups.remove(team)
            theirs.remove(team)
        else:
            user.groups.add(team)
            theirs.add(team)

    def deactivate(self) -> None:
        """A person is locked out or let in again."""
        world = self.world
        person = world.rng.choice([pk for pk in sorted(world.model.people) if pk != world.operator])
        active = world.rng.random() < 0.6
        User.objects.filter(pk=person).update(is_active=active)
        world.model.people[person].active = active


def _parsed(key: str) -> tuple[str, int]:
    kind, _, number = key.partition(":")
    return kind, int(number)
