"""A small published world: tree, people, ledger, roll-ups by the real writer, and an oracle that adds ledger rows up.

The oracle knows leaves (account, resource group, month, ...) and nothing of containers, closures or roll-ups.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType

from accounts import closure
from accounts.models import (
    Account,
    AccountGroup,
    AccountGroupUserPermission,
    AccountMembership,
    AccountUserPermission,
    EnterpriseParent,
    EnterpriseParentUserPermission,
    GroupEdge,
    Provider,
    ResourceDirectory,
    ResourceDirectoryUserPermission,
    ResourceGroup,
    ResourceGroupUserPermission,
    TreeVersion,
    User,
)
from allocation.models import Cluster, RunLocation, Service, ServiceCoverage
from tests.factories import publications
from tests.factories.hierarchy import month

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

    from allocation.models import AllocationRun, Publication

T = TypeVar("T")
LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
BEGINNING = dt.date(2020, 1, 1)
ENERGY_LINE = 11
METHOD_LINES = {"location_based": (0, 1, 3, 5, 7, 9, 10), "market_based": (0, 2, 4, 6, 8, 9, 10)}
KINDS_OF_MODELS: dict[type[Model], str] = {
    EnterpriseParent: "enterprise_parent",
    ResourceDirectory: "resource_directory",
    AccountGroup: "account_group",
    Account: "account",
    ResourceGroup: "resource_group",
}
_GRANTS: dict[type[Model], type[Model]] = {
    EnterpriseParent: EnterpriseParentUserPermission,
    ResourceDirectory: ResourceDirectoryUserPermission,
    AccountGroup: AccountGroupUserPermission,
    Account: AccountUserPermission,
    ResourceGroup: ResourceGroupUserPermission,
}


Place = tuple[str, str, str | None, dt.date, dt.date | None]


@dataclass(frozen=True)
class Leaf:
    """One ledger row as the oracle keeps it."""

    provider: str
    month: dt.date
    cluster: str
    service: str
    account: str
    resource_group: str
    line: int
    ug: int
    estimated_ug: int


class Rule(NamedTuple):
    """A row of coverage.csv; None stands for all services without a row of their own."""

    service: str | None
    covered: bool = True
    threshold_kg: Decimal = Decimal(0)


@dataclass
class World:
    """Everything by its code."""

    leaves: list[Leaf] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, TreeVersion] = field(default_factory=dict)
    # The same facts as codes, for the oracle.
    owners: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    grants: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    switched_off: set[str] = field(default_factory=set)

    def provider(self, code: str, **fields: Any) -> Provider:  # noqa: ANN401 model fields
        return self._keep(code, Provider.objects.create(code=code, time_zone="UTC", **fields))

    def enterprise(self, code: str) -> EnterpriseParent:
        return self._keep(code, EnterpriseParent.objects.create(external_id=code, name=f"Enterprise {code}"))

    def directory(self, code: str, *, provider: str, enterprise: str, **fields: Any) -> ResourceDirectory:  # noqa: ANN401 model fields
        made = ResourceDirectory.objects.create(
            provider=self.made[provider],
            enterprise=self.made[enterprise],
            external_id=code,
            name=f"Directory {code}",
            **fields,
        )
        self.owners[code] = enterprise
        self.versions[code] = TreeVersion.objects.create(directory=made, recorded_at=LONG_AGO)
        return self._keep(code, made)

    def group(self, code: str, *, directory: str, parent: str | None = None) -> AccountGroup:
        made = AccountGroup.objects.create(directory=self.made[directory], external_id=code, name=f"Group {code}")
        self.edge(made, directory=directory, parent=parent)
        if parent is not None:
            self.parents[code] = parent
        return self._keep(code, made)

    def edge(
        self,
        group: AccountGroup,
        *,
        directory: str,
        parent: str | None,
        start: dt.date = BEGINNING,
        bound: dt.date | None = None,
    ) -> None:
        GroupEdge.objects.create(
            directory=self.made[directory],
            group=group,
            parent=None if parent is None else self.made[parent],
            valid_from=start,
            valid_to=bound,
            recorded_by=self.versions[directory],
        )

    def account(self, code: str, *, provider: str, **fields: Any) -> Account:  # noqa: ANN401 model fields
        return self._keep(
            code,
            Account.objects.create(provider=self.made[provider], external_id=code, name=f"Account {code}", **fields),
        )

    def member(
        self,
        account: str,
        *,
        directory: str,
        group: str | None = None,
        start: dt.date = BEGINNING,
        bound: dt.date | None = None,
    ) -> None:
        self.places.append((account, directory, group, start, bound))
        AccountMembership.objects.create(
            account=self.made[account],
            directory=self.made[directory],
            group=None if group is None else self.made[group],
            valid_from=start,
            valid_to=bound,
            recorded_by=self.versions[directory],
        )

    def service(self, code: str, *, provider: str, category: str = "") -> Service:
        return self._keep(
            code,
            Service.objects.create(provider=self.made[provider], code=code, name=f"Service {code}", category=category),
        )

    def cluster(self, code: str, *, provider: str) -> Cluster:
        return self._keep(code, Cluster.objects.create(provider=self.made[provider], code=code))

    def user(self, name: str, **fields: Any) -> User:  # noqa: ANN401 model fields
        return self._keep(name, User.objects.create_user(username=name, password="correct horse", **fields))

    def grant(self, user: str, node: str, *, role: str = "viewer", **fields: Any) -> None:  # noqa: ANN401 model fields
        target = self.made[node]
        kind = ContentType.objects.get_for_model(target)
        # A list of its own: a world of a test shares its lists with the one that was built.
        self.grants[user] = [*self.grants.get(user, ()), (KINDS_OF_MODELS[type(target)], node)]
        _GRANTS[type(target)].objects.create(  # type: ignore[attr-defined] # every grant model has a manager
            user=self.made[user],
            permission=Permission.objects.get(content_type=kind, codename=role),
            content_object=target,
            granted_at=LONG_AGO,
            **fields,
        )

    def close_tree(self) -> None:
        closure.rebuild(directory_ids=[d.pk for d in self.made.values() if isinstance(d, ResourceDirectory)])

    def publish(  # noqa: PLR0913 what a month is made of
        self,
        provider: str,
        on: dt.date,
        leaves: Iterable[Leaf],
        *,
        locations: dict[str, dict[str, Any]],
        number: int = 1,
        coverage: Iterable[Rule] = (),
    ) -> Publication:
        """Publish a month with these ledger rows, through the real roll-up writers."""
        rows = list(leaves)
        run = publications.ready_run(self.made[provider], on, at=LONG_AGO)
        self._cover(run, coverage)
        for code, fields in locations.items():
            RunLocation.objects.create(
                run=run, cluster=self.made[code], **({"facility_wh": 1, "it_wh": 1, "zero_emission": False} | fields)
            )
        publications.write_rows(
            run,
            [
                publications.Row(
                    self.made[leaf.cluster].pk,
                    self.made[leaf.service].pk,
                    self.made[leaf.account].pk,
                    self.resource_group(leaf.account, leaf.resource_group).pk,
                    leaf.line,
                    leaf.ug,
                    leaf.estimated_ug,
                )
                for leaf in rows
            ],
        )
        made = publications.show(run, at=LONG_AGO + dt.timedelta(days=400 + number))
        self.leaves = [leaf for leaf in self.leaves if (leaf.provider, leaf.month) != (provider, on)] + rows
        return made

    def _cover(self, run: AllocationRun, coverage: Iterable[Rule]) -> None:
        """Write coverage.csv."""
        ServiceCoverage.objects.bulk_create(
            ServiceCoverage(
                package=run.package,
                row=row,
                service=None if rule.service is None else self.made[rule.service],
                covered=rule.covered,
                threshold_kg=rule.threshold_kg,
            )
            for row, rule in enumerate(coverage, start=2)
        )

    def resource_group(self, account: str, code: str) -> ResourceGroup:
        key = f"{account}/{code}"
        if key not in self.made:
            self._keep(key, ResourceGroup.objects.create(account=self.made[account], code=code))
        return self.made[key]  # type: ignore[no-any-return] # everything by its code

    def _keep(self, code: str, made: T) -> T:
        self.made[code] = made
        return made

    def total_ug(self, method: str = "location_based", /, **wanted: Any) -> int:  # noqa: ANN401 values of Leaf
        """Add up the leaves whose fields are in the collections given."""
        return sum(
            leaf.ug
            for leaf in self.leaves
            if leaf.line in METHOD_LINES[method]
            and all(getattr(leaf, name) in values for name, values in wanted.items())
        )


def leaves_of(  # noqa: PLR0913 a leaf has many dimensions
    provider: str,
    on: dt.date,
    accounts: Iterable[str],
    *,
    clusters: Iterable[str],
    services: Iterable[str],
    groups: Iterable[str] = ("default",),
) -> list[Leaf]:
    """Make ledger rows of different sizes for every combination; no two sums of them agree by chance."""
    rows = []
    for a, account in enumerate(sorted(accounts)):
        for c, cluster in enumerate(sorted(clusters)):
            for s, service in enumerate(sorted(services)):
                for g, group in enumerate(sorted(groups)):
                    for line in (0, 1, 2, 9, ENERGY_LINE):
                        place = ((((on.month * 37 + a) * 11 + c) * 11 + s) * 7 + g) * 13 + line
                        ug = 1_000_003 * place + place**3
                        rows.append(Leaf(provider, on, cluster, service, account, group, line, ug, ug // 3 if s else 0))
    return rows


def small_world() -> World:
    """Build the world of the tests.

    Enterprise `acme` has directory `north` (provider `p`, months 2025-01 to 2025-04 published) and `south` (provider
    `q`, 2025-01 to 2025-03). In `north`: groups `a` (with `a1` below it) and `b`; account `mover` is in `a` until March
    and in `b` from then on; `deep` in `a1`, `still` in `b`, `direct` in no group, `alone` in no directory.
    """
    world = World()
    for provider in ("p", "q"):
        world.provider(provider)
        for code, category in (("compute", "Compute"), ("storage", "Storage")):
            world.service(f"{provider}-{code}", provider=provider, category=category)
        for code in ("east", "west", "edge"):
            world.cluster(f"{provider}-{code}", provider=provider)
    world.enterprise("acme")
    world.directory("north", provider="p", enterprise="acme")
    world.directory("south", provider="q", enterprise="acme")
    world.group("a", directory="north")
    world.group("a1", directory="north", parent="a")
    world.group("b", directory="north")
    world.group("c", directory="south")
    for code in ("mover", "deep", "still", "direct", "alone", "boss"):
        world.account(code, provider="p")
    world.account("southern", provider="q")
    march = month("2025-03")
    world.member("mover", directory="north", group="a", bound=march)
    world.member("mover", directory="north", group="b", start=march)
    world.member("deep", directory="north", group="a1")
    world.member("still", directory="north", group="b")
    world.member("direct", directory="north")
    world.member("boss", directory="north")
    world.member("southern", directory="south", group="c")
    world.close_tree()
    for code in ("2025-01", "2025-02", "2025-03", "2025-04"):
        publish_month(world, "p", month(code))
    for code in ("2025-01", "2025-02", "2025-03"):
        publish_month(world, "q", month(code))
    _people(world)
    return world


ACCOUNTS = {"p": ("mover", "deep", "still", "direct", "alone"), "q": ("southern",)}


def publish_month(  # noqa: PLR0913 what a month is drawn from
    world: World, provider: str, on: dt.date, *, number: int = 1, factor: int = 1, coverage: Iterable[Rule] = ()
) -> Publication:
    """Publish one month of the small world; `factor` multiplies every amount."""
    clusters = [f"{provider}-{code}" for code in ("east", "west", "edge")]
    rows = leaves_of(
        provider,
        on,
        ACCOUNTS[provider],
        clusters=clusters,
        services=[f"{provider}-compute", f"{provider}-storage"],
        groups=("default", "team"),
    )
    if factor != 1:
        rows = [replace(row, ug=row.ug * factor) for row in rows]
    return world.publish(
        provider,
        on,
        rows,
        number=number,
        coverage=coverage,
        locations={
            f"{provider}-east": {"name": "East", "kind": "region", "region": "r-east", "country": "DE"},
            f"{provider}-west": {"name": "West", "kind": "region", "region": "r-west", "country": "IE"},
            f"{provider}-edge": {"name": "Edge", "kind": "edge"},
        },
    )


def _people(world: World) -> None:
    for name, node in (
        ("owner", "acme"),
        ("northerner", "north"),
        ("viewer-a", "a"),
        ("viewer-b", "b"),
        ("viewer-mover", "mover"),
        ("viewer-team", "deep/team"),
    ):
        world.user(name)
        world.grant(name, node)
    # Roles that overlap: the same leaf must not be counted twice.
    world.user("mixed")
    for node in ("a1", "a", "mover", "deep", "deep/team", "direct/team", "alone", "still/default"):
        world.grant("mixed", node)
    world.user("nobody")
    world.user("operator", is_staff=True, is_superuser=True)
