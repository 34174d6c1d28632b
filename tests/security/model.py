"""Who may see which month, and how much that is: decided by brute force from the raw history.

Written from the hierarchy document alone, with the standard library alone. It shares no code, no SQL and no data
structure with the system under test: no intervals, no closure, no roll-ups, only one parent for each node and month, a
list of grants, and figures at the leaves. It is slow and meant to be read.

A node is `(kind, id)`, a month is the date of its first day. The months of a world are the months of its window; what
the tree was before or after is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

ENTERPRISE = "enterprise_parent"
DIRECTORY = "resource_directory"
GROUP = "account_group"
ACCOUNT = "account"
RESOURCE_GROUP = "resource_group"
MISCELLANEOUS = "miscellaneous"  # synthetic: the accounts that stand directly under a directory which has groups


class Node(NamedTuple):
    """A node by kind and number; Miscellaneous has the number of its directory."""

    kind: str
    id: int


Pair: TypeAlias = "tuple[Node, date]"


class Why(Enum):
    """Why numbers are not shown; VISIBLE where they are."""

    VISIBLE = "visible"
    NOT_PERMITTED = "not_permitted"
    MULTI_ACCOUNT_DISABLED = "multi_account_disabled"
    NOT_YET_PUBLISHED = "not_yet_published"
    NOT_COVERED = "not_covered"


@dataclass
class Person:
    """A user. `operates`: the permission to operate, held directly or through a user group."""

    active: bool = True
    staff: bool = False
    superuser: bool = False
    operates: bool = False
    teams: set[int] = field(default_factory=set)


@dataclass
class Grant:
    """A role on a node for a person or a user group; `inside`: nodes inside which it counts, none = everywhere."""

    node: Node
    role: str
    person: int | None = None
    team: int | None = None
    ends_at: datetime | None = None
    inside: frozenset[Node] = frozenset()


@dataclass
class Delegation:
    """An account whose direct users are viewers of `scope`, a directory or a group."""

    id: int
    account: Node
    directory: Node
    scope: Node
    registered_at: datetime
    ends_at: datetime | None = None
    revoked_at: datetime | None = None

    def active(self, now: datetime) -> bool:
        """Registered, not over, not revoked."""
        return (
            self.registered_at <= now
            and (self.ends_at is None or now < self.ends_at)
            and (self.revoked_at is None or now < self.revoked_at)
        )


@dataclass
class Directory:
    """What is known of a directory beside its place."""

    provider: int
    enterprise: Node
    manager: Node | None = None
    multi_account: bool = True


class Leaf(NamedTuple):
    """Where a figure stands: a resource group, with service and cluster."""

    resource_group: Node
    service: int
    cluster: int


@dataclass
class Publication:
    """One month of one provider as it was shown from an instant on: figures in micrograms and the tree they hung on."""

    id: int
    provider: int
    month: date
    published_at: datetime
    figures: Mapping[Leaf, int]
    parents: Mapping[Node, Node]
    withdrawn_at: datetime | None = None


class Role(NamedTuple):
    """A role that counts now: where it stands, what it must stay inside, and whether it was extended to there."""

    node: Node
    role: str
    inside: frozenset[Node]
    extended: bool


@dataclass
class Model:
    """The raw history of one small world."""

    months: tuple[date, ...]
    people: dict[int, Person] = field(default_factory=dict)
    enterprises: set[Node] = field(default_factory=set)
    directories: dict[Node, Directory] = field(default_factory=dict)
    groups: dict[Node, Node] = field(default_factory=dict)  # group → its directory, for ever
    accounts: dict[Node, int] = field(default_factory=dict)  # account → its provider
    resource_groups: dict[Node, Node] = field(default_factory=dict)  # resource group → its account
    places: dict[tuple[Node, date], Node] = field(default_factory=dict)  # group or account → parent in a month
    grants: list[Grant] = field(default_factory=list)
    delegations: list[Delegation] = field(default_factory=list)
    publications: list[Publication] = field(default_factory=list)
    _paths: dict[Pair, list[Node]] = field(default_factory=dict)  # walked already; forgotten when anything moves

    # --- The tree ---------------------------------------------------------------------------------

    def nodes(self) -> Iterator[Node]:
        """Every node, the synthetic ones left out."""
        yield from self.enterprises
        yield from self.directories
        yield from self.groups
        yield from self.accounts
        yield from self.resource_groups

    def put(self, nodes: Iterable[Node], months: Iterable[date], parent: Node | None) -> None:
        """From now on these nodes stand under the parent in these months, or nowhere."""
        self._paths.clear()
        asked = list(months)
        for node in nodes:
            for month in asked:
                if parent is None:
                    self.places.pop((node, month), None)
                else:
                    self.places[node, month] = parent

    def parent(self, node: Node, month: date) -> Node | None:
        """What the node stands directly under in a month; Miscellaneous is not told apart from its directory."""
        if node.kind == RESOURCE_GROUP:
            return self.resource_groups.get(node)
        if node.kind == DIRECTORY:
            known = self.directories.get(node)
            return None if known is None else known.enterprise
        if node.kind == MISCELLANEOUS:
            return Node(DIRECTORY, node.id)
        return self.places.get((node, month))

    def path(self, node: Node, month: date) -> list[Node]:
        """The node and everything above it in that month, the node first."""
        if (node, month) not in self._paths:
            self._paths[node, month] = self._walk(node, month)
        return self._paths[node, month]

    def _walk(self, node: Node, month: date) -> list[Node]:
        way = [node]
        while (above := self.parent(way[-1], month)) is not None:
            if above in way:
                raise AssertionError(f"{node} stands below itself in {month}")
            way.append(above)
        if len(way) == 1 and node.kind == GROUP and node in self.groups:
            # A group that does not exist in the month still belongs to its directory: it has no figures there.
            directory = self.groups[node]
            way += [directory, self.directories[directory].enterprise]
        return way

    def has_groups(self, directory: Node, months: Iterable[date]) -> bool:
        """Whether any group stands directly under the directory in one of the months."""
        return any(self.places.get((group, month)) == directory for group in self.groups for month in months)

    # --- Roles ------------------------------------------------------------------------------------

    def is_operator(self, viewer: int | None) -> bool:
        """Active superusers, and active staff with the permission to operate."""
        person = self.people.get(viewer) if viewer is not None else None
        return person is not None and person.active and (person.superuser or (person.staff and person.operates))

    def direct(self, viewer: int | None, now: datetime) -> Iterator[Role]:
        """Roles granted to the viewer or one of their user groups, that have not ended."""
        person = self.people.get(viewer) if viewer is not None else None
        if person is None or not person.active:
            return
        for grant in self.grants:
            theirs = grant.person == viewer or (grant.team is not None and grant.team in person.teams)
            if theirs and (grant.ends_at is None or now < grant.ends_at):
                yield Role(grant.node, grant.role, grant.inside, extended=False)

    def roles(self, viewer: int | None, now: datetime) -> Iterator[Role]:
        """Direct roles, and what those on accounts extend to. Only direct ones extend: nothing is extended twice."""
        for role in self.direct(viewer, now):
            yield role
            if role.node.kind != ACCOUNT:
                continue
            for directory, known in self.directories.items():
                if known.manager == role.node:
                    yield Role(directory, "viewer", role.inside, extended=True)
            for delegation in self.delegations:
                if delegation.account == role.node and delegation.active(now):
                    yield Role(delegation.scope, "viewer", role.inside, extended=True)

    def counts(self, role: Role, node: Node, month: date) -> bool:
        """Whether a role reaches a node in a month: the node stands below it, and it stays inside its authority."""
        return role.node in self.path(node, month) and role.inside <= set(self.path(role.node, month))

    def _reached(self, viewer: int | None, roles: Iterable[Role], *, numbers: bool = False) -> set[Pair]:
        """Every (node, month) that one of the roles reaches; an operator's reach is everything."""
        if self.is_operator(viewer):
            return {(node, month) for node in self.nodes() for month in self.months}
        counting = list(roles)
        return {
            (node, month)
            for node in self.nodes()
            for month in self.months
            if any(
                self.counts(role, node, month) and (not numbers or self._switched_on(role, node, month))
                for role in counting
            )
        }

    def _switched_on(self, role: Role, node: Node, month: date) -> bool:
        """Multi-account management off: only direct roles on accounts and resource groups show numbers."""
        if role.node.kind in {ACCOUNT, RESOURCE_GROUP}:
            return True
        return all(self.directories[above].multi_account for above in self.path(node, month) if above.kind == DIRECTORY)

    # --- Decisions: sets of (node, month) -----------------------------------------------------------

    def seen(self, viewer: int | None, now: datetime) -> set[Pair]:
        """What a role of the viewer reaches; its numbers may still be switched off."""
        return self._reached(viewer, self.roles(viewer, now))

    def numbers(self, viewer: int | None, now: datetime) -> set[Pair]:
        """What the viewer sees the numbers of, each node as a whole."""
        return self._reached(viewer, self.roles(viewer, now), numbers=True)

    def administered(self, viewer: int | None, now: datetime) -> set[Pair]:
        """What the viewer administers: direct roles and inheritance, nothing extended, whatever the switch."""
        return self._reached(viewer, [role for role in self.direct(viewer, now) if role.role == "administrator"])

    def named(self, viewer: int | None, now: datetime) -> set[Pair]:
        """What the viewer may know by name: what they see and what stands above it."""
        return {(above, month) for node, month in self.seen(viewer, now) for above in self.path(node, month)}

    def why_not(self, viewer: int | None, node: Node, month: date, now: datetime) -> Why:
        """Why a node's numbers of a month are not shown as a whole."""
        if (node, month) in self.numbers(viewer, now):
            return Why.VISIBLE
        return Why.MULTI_ACCOUNT_DISABLED if (node, month) in self.seen(viewer, now) else Why.NOT_PERMITTED

    # --- Numbers ----------------------------------------------------------------------------------

    def shown(self, provider: int, month: date, as_of: datetime | None = None) -> Publication | None:
        """The publication of a month that is (or at an instant was) shown."""
        at = [
            publication
            for publication in self.publications
            if (publication.provider, publication.month) == (provider, month)
            and (as_of is None or publication.published_at <= as_of)
        ]
        last = max(at, key=lambda publication: (publication.published_at, publication.id), default=None)
        if last is None or last.withdrawn_at is None:
            return last
        return last if as_of is not None and as_of < last.withdrawn_at else None

    def stands_below(self, leaf: Node, node: Node, tree_month: date) -> bool:
        """Whether a resource group's figures are grouped under the node by the tree of a month."""
        if node.kind == MISCELLANEOUS:
            return self.parent(self.resource_groups[leaf], tree_month) == Node(DIRECTORY, node.id)
        return node in self.path(leaf, tree_month)

    def stood_below(self, leaf: Node, node: Node, publication: Publication) -> bool:
        """The same by the tree with which a month was published."""
        if node.kind == RESOURCE_GROUP:
            return leaf == node
        way: list[Node] = [self.resource_groups[leaf]]
        while way[-1] in publication.parents:
            way.append(publication.parents[way[-1]])
        if way[-1].kind == DIRECTORY:
            way.append(self.directories[way[-1]].enterprise)
        if node.kind == MISCELLANEOUS:
            return len(way) > 1 and way[1] == Node(DIRECTORY, node.id)
        return node in way

    def total_ug(  # noqa: PLR0913 the question of a total has as many parts
        self,
        viewer: int | None,
        node: Node,
        months: Iterable[date],
        now: datetime,
        *,
        tree_month: date | None = None,
        as_of: datetime | None = None,
        visible: set[Pair] | None = None,
        seen: set[Pair] | None = None,
    ) -> int:
        """The micrograms that a node's numbers show: the sum over the leaves below it that the viewer may see.

        None of them in a month in which the viewer knows the node by name alone. `tree_month` None is as-was; a month
        groups all of history by the tree of that month (as-is), if the viewer sees the node in that month. What may be
        seen is decided in the month of the figure, whatever the view, and by today's roles, whatever `as_of`.
        `visible` and `seen` are the viewer's `numbers` and `seen`, where the caller has worked them out already.
        """
        visible = self.numbers(viewer, now) if visible is None else visible
        seen = self.seen(viewer, now) if seen is None else seen
        itself = Node(DIRECTORY, node.id) if node.kind == MISCELLANEOUS else node
        regrouped = (
            tree_month is not None and node.kind not in {ACCOUNT, RESOURCE_GROUP} and (itself, tree_month) in seen
        )
        return sum(
            ug
            for month in months
            if regrouped or (itself, month) in seen
            for provider in set(self.accounts.values())
            if (publication := self.shown(provider, month, as_of)) is not None
            for leaf, ug in publication.figures.items()
            if self.stands_below(leaf.resource_group, node, tree_month if tree_month and regrouped else month)
            and (leaf.resource_group, month) in visible
        )

    def published_ug(self, node: Node, months: Iterable[date], as_of: datetime) -> int:
        """The micrograms of a node as they were published on a date, by the tree of then; no permission is asked."""
        return sum(
            ug
            for month in months
            for provider in set(self.accounts.values())
            if (publication := self.shown(provider, month, as_of)) is not None
            for leaf, ug in publication.figures.items()
            if self.stood_below(leaf.resource_group, node, publication)
        )

    def children(self, node: Node, months: Iterable[date]) -> dict[Node, set[date]]:
        """What stands directly below a node, with the months in which it does."""
        asked = list(months)
        found: dict[Node, set[date]] = {}
        if node.kind == ENTERPRISE:
            return {each: set(asked) for each, known in self.directories.items() if known.enterprise == node}
        if node.kind == ACCOUNT:
            return {each: set(asked) for each, account in self.resource_groups.items() if account == node}
        parent = Node(DIRECTORY, node.id) if node.kind == MISCELLANEOUS else node
        for (child, month), place in self.places.items():
            if place != parent or month not in asked:
                continue
            direct = child.kind == ACCOUNT and parent.kind == DIRECTORY
            if node.kind == MISCELLANEOUS and not direct:
                continue
            if node.kind == DIRECTORY and direct and self.has_groups(node, asked):
                child_or_rest = Node(MISCELLANEOUS, node.id)
            else:
                child_or_rest = child
            found.setdefault(child_or_rest, set()).add(month)
        return found

    def visible_children(
        self,
        viewer: int | None,
        node: Node,
        months: Iterable[date],
        now: datetime,
        *,
        named: set[Pair] | None = None,
    ) -> dict[Node, set[date]]:
        """The children that the viewer may know, by numbers or by name, in one of the months in which they stand there.

        Miscellaneous is known where its directory is seen, or one of its accounts is known.
        """
        operator = self.is_operator(viewer)
        if named is None:
            named = self.named(viewer, now)
        known = {}
        for child, standing in self.children(node, months).items():
            pairs = {(child, month) for month in standing}
            if child.kind == MISCELLANEOUS:
                directory = Node(DIRECTORY, child.id)
                pairs = {(below, month) for (below, month), place in self.places.items() if place == directory}
                pairs = {(below, month) for below, month in pairs if below.kind == ACCOUNT and month in standing}
            if operator or pairs & named:
                known[child] = standing
        return known

    def complete(self, viewer: int | None, node: Node, month: date, now: datetime) -> bool:
        """Whether the viewer sees all there is below a node: itself as a whole, and each directory of an enterprise."""
        numbers = self.numbers(viewer, now)
        if node.kind == ENTERPRISE:
            return all(
                (directory, month) in numbers
                for directory, known in self.directories.items()
                if known.enterprise == node
            )
        return (Node(DIRECTORY, node.id) if node.kind == MISCELLANEOUS else node, month) in numbers
