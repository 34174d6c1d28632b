"""One large enterprise with many published months, written set by set in SQL and by the real roll-up services.

Only the ledger of the first month is invented: each account has so many (service, cluster) pairs with five lines, in
amounts that fall with the account's number as a Zipf-Mandelbrot law says. Its totals come from
`allocation.services.rollups`. Every amount of a later month, in the ledger and in the totals, is a whole multiple of
that of the first, which is exact and many times faster to write; so every number can be checked against the ledger.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from accounts import closure
from accounts.models import (
    AccountGroup,
    EnterpriseParent,
    NodeKind,
    NodeRef,
    Provider,
    ResourceDirectory,
    Role,
    TreeVersion,
    User,
)
from accounts.months import shift
from accounts.services.grants import grant_role
from allocation.exchange.write import LINE_CODES, first_ledger_id
from allocation.models import AllocationRun, Cluster, Publication, RunChunk, RunLocation, Service
from allocation.services import partitions
from allocation.services.rollups import AMOUNT_COLUMNS, fill_account_totals, fill_container_totals
from allocation.services.system import system
from graphql_api.scalars import global_id
from tests.benchmarks.stopwatch import say
from tests.factories.publications import point_to, ready_run

if TYPE_CHECKING:
    from collections.abc import Mapping

CODE = "bench"
FIRST_MONTH = dt.date(2022, 1, 1)
SERVICES = 20
CLUSTERS = 12
_EVERYTHING = sql.SQL("true")
LINES = ("scope1", "scope2_lbm", "scope2_mbm", "scope3_embodied", "energy_wh")

_ACCOUNTS = """
INSERT INTO accounts_account (provider_id, external_id, name, kind, status)
SELECT %(provider)s, lpad(i::text, 8, '0'), 'Account ' || i, 'customer', 'active'
FROM generate_series(1, %(accounts)s) i
"""
_GROUPS = """
INSERT INTO accounts_accountgroup (directory_id, external_id, name, status)
SELECT %(directory)s, 'g' || i, 'Group ' || i, 'active' FROM generate_series(1, %(groups)s) i ORDER BY i
"""
# Group i stands under group i / 7: five levels of 2 000 groups.
_EDGES = """
INSERT INTO accounts_groupedge (directory_id, group_id, parent_id, valid_from, recorded_by_id)
SELECT %(directory)s, child.id, parent.id, %(first)s, %(version)s
FROM accounts_accountgroup child
LEFT JOIN accounts_accountgroup parent ON parent.directory_id = child.directory_id
    AND substr(child.external_id, 2)::integer > %(top)s
    AND parent.external_id = 'g' || greatest(1, substr(child.external_id, 2)::integer / %(branches)s)
WHERE child.directory_id = %(directory)s
"""
# One account in a hundred stands directly under the directory.
_MEMBERS = """
INSERT INTO accounts_accountmembership (account_id, directory_id, group_id, valid_from, recorded_by_id)
SELECT account.id, %(directory)s, place.id, %(first)s, %(version)s
FROM (SELECT id, external_id::integer AS number FROM accounts_account WHERE provider_id = %(provider)s) account
LEFT JOIN accounts_accountgroup place ON place.directory_id = %(directory)s
    AND account.number %% 100 <> 0 AND place.external_id = 'g' || 1 + account.number * 7919::bigint %% %(groups)s
"""
_RESOURCE_GROUPS = """
INSERT INTO accounts_resourcegroup (account_id, code, name)
SELECT id, 'default', '' FROM accounts_account WHERE provider_id = %(provider)s
"""
_LEDGER = sql.SQL("""
INSERT INTO {ledger} (id, cluster_id, service_id, account_id, resource_group_id, line, quality, ug,
                      estimated_ug, estimated_ppm)
SELECT {base} + leaf.cluster * (1::bigint << 31)
           + row_number() OVER (PARTITION BY leaf.cluster ORDER BY leaf.account_id, leaf.pair, line.number) - 1,
       ({clusters}::bigint[])[leaf.cluster + 1], ({services}::bigint[])[leaf.service + 1], leaf.account_id,
       leaf.part_id, line.number, 0, amount.ug, amount.ug / 4, 250000
FROM (
    SELECT account.id AS account_id, part.id AS part_id, account.external_id::bigint AS account, pair,
           (account.external_id::bigint * 3 + pair * 7) % {service_count} AS service,
           (account.external_id::bigint / 3 + pair * 5) % {cluster_count} AS cluster
    FROM accounts_account account
    JOIN accounts_resourcegroup part ON part.account_id = account.id
    CROSS JOIN generate_series(0, {pairs} - 1) pair
    WHERE account.provider_id = {provider}
) leaf
CROSS JOIN unnest({lines}::smallint[]) WITH ORDINALITY AS line (number, place)
CROSS JOIN LATERAL (
    SELECT (5e13::float8 / power(leaf.account + 0.3::float8, 1.282) / (leaf.pair + line.place))::bigint
           + (leaf.account * 7919 + leaf.pair * 31 + line.place) % 1000003 AS ug
) amount
""")


@dataclass(frozen=True, slots=True)
class Shape:
    """How large an enterprise is, and what its tree looks like.

    Attributes:
        code: names its provider, itself and its directory.
        accounts: how many.
        groups: how many.
        months: how many are published.
        top: how many groups stand directly under the directory.
        branches: group i stands under group i / branches; 0: all but the top ones stand under the first.
        pairs: (service, cluster) pairs of each account.
    """

    code: str
    accounts: int
    groups: int
    months: int
    top: int = 20
    branches: int = 7
    pairs: int = 6


@dataclass(frozen=True, slots=True)
class LargeEnterprise:
    """The enterprise and what is needed to ask about it."""

    code: str
    enterprise_id: int
    directory_id: int
    viewer: User
    publications: tuple[int, ...]
    runs: tuple[int, ...]
    account_count: int
    group_count: int
    ledger_rows: int

    @property
    def node(self) -> str:
        """The enterprise's global id."""
        return global_id("EnterpriseParent", self.enterprise_id)

    @property
    def work(self) -> str:
        """What it measures, in words."""
        size = f"{self.account_count:,} accounts, {self.group_count:,} groups, {len(self.publications)} months"
        return f"{size}, {self.ledger_rows:,} ledger rows"


def build(shape: Shape) -> LargeEnterprise:
    """Write it all and publish its months, oldest first."""
    say(f"{shape.code}: {shape.accounts:,} accounts, {shape.groups:,} groups, {shape.months} months")
    with transaction.atomic():
        provider = Provider.objects.create(code=shape.code, name=shape.code, time_zone="UTC")
        enterprise = EnterpriseParent.objects.create(external_id=shape.code, name="Large enterprise")
        directory = ResourceDirectory.objects.create(
            provider=provider, enterprise=enterprise, external_id=shape.code, name="Large directory"
        )
        _write_tree(provider, directory, shape)
    for table in ("account", "resourcegroup", "accountgroup", "groupedge", "accountmembership", "groupclosure"):
        _execute(f"ANALYZE accounts_{table}")
    services = [
        Service.objects.create(provider=provider, code=f"s{i:02d}", name=f"Service {i}") for i in range(SERVICES)
    ]
    clusters = [Cluster.objects.create(provider=provider, code=f"c{i:02d}") for i in range(CLUSTERS)]
    first = _publish(provider, shape, [s.pk for s in services], [c.pk for c in clusters])
    publications = [first] + [_repeat(first, index) for index in range(1, shape.months)]
    # Partitions are analysed when they are filled; together they would take longer than all the rest.
    _execute("ANALYZE allocation_containertotal, allocation_publication, allocation_runlocation")
    viewer = User.objects.create(username=f"{shape.code}-viewer")
    operator = system(timezone.now())
    node = NodeRef(NodeKind.ENTERPRISE_PARENT, enterprise.pk)
    grant_role(viewer=operator, node=node, role=Role.VIEWER, user_id=viewer.pk)
    return LargeEnterprise(
        shape.code,
        enterprise.pk,
        directory.pk,
        viewer,
        tuple(made.pk for made in publications),
        tuple(made.run_id for made in publications),
        shape.accounts,
        shape.groups,
        shape.months * shape.accounts * shape.pairs * len(LINES),
    )


def operator_user() -> User:
    """Active staff who may operate."""
    made = User.objects.create(username="bench-operator", is_staff=True)
    made.user_permissions.add(Permission.objects.get(codename="operate", content_type__app_label="accounts"))
    return made


def _execute(text: str, params: dict[str, int | dt.date] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text, params)


def _write_tree(provider: Provider, directory: ResourceDirectory, shape: Shape) -> None:
    version = TreeVersion.objects.create(directory=directory, recorded_at=timezone.now())
    params: dict[str, int | dt.date] = {
        "provider": provider.pk,
        "directory": directory.pk,
        "version": version.pk,
        "first": dt.date(2020, 1, 1),
        "accounts": shape.accounts,
        "groups": shape.groups,
        "top": shape.top,
        "branches": shape.branches or shape.groups + 1,
    }
    for text in (_ACCOUNTS, _RESOURCE_GROUPS, _GROUPS):
        _execute(text, params)
    # Else the planner takes a directory that it has never seen for one of a few groups, and compares each with each.
    _execute("ANALYZE accounts_account, accounts_accountgroup")
    for text in (_EDGES, _MEMBERS):
        _execute(text, params)
    closure.rebuild(directory_ids=[directory.pk])


def _publish(provider: Provider, shape: Shape, services: list[int], clusters: list[int]) -> Publication:
    """Write one month's ledger and let the services roll it up; the proof has no sources here and is left out."""
    month = FIRST_MONTH
    say(f"  {month:%Y-%m} …")
    with transaction.atomic():
        run = ready_run(provider, month, at=timezone.now(), methodology=CODE)
        ledger = partitions.ledger_of(run.pk)
        partitions.create(ledger)
        with connection.cursor() as cursor:
            cursor.execute(
                _LEDGER.format(
                    ledger=sql.Identifier(ledger.table),
                    base=sql.Literal(first_ledger_id(run.pk, 0)),
                    clusters=sql.Literal(clusters),
                    services=sql.Literal(services),
                    service_count=sql.Literal(SERVICES),
                    cluster_count=sql.Literal(CLUSTERS),
                    pairs=sql.Literal(shape.pairs),
                    provider=sql.Literal(provider.pk),
                    lines=sql.Literal([LINE_CODES.index(line) for line in LINES]),
                )
            )
        partitions.index(ledger)
        _describe(run, ledger.table, clusters)
        fill_account_totals(run.pk)
        partitions.attach(ledger)
        made = point_to(run, at=timezone.now())
        fill_container_totals(publication_id=made.pk, run_id=run.pk, month=month)
    return made


def _repeat(first: Publication, index: int) -> Publication:
    """Publish the month that lies so many after the first, with a multiple of its amounts."""
    month, times = shift(FIRST_MONTH, index), sql.Literal(1 + index * 5 % 7)
    say(f"  {month:%Y-%m} …")
    with transaction.atomic():
        run = ready_run(first.provider, month, at=timezone.now(), methodology=CODE)
        ledger, totals = partitions.ledger_of(run.pk), partitions.account_totals_of(run.pk)
        partitions.create(ledger)
        moved = sql.SQL("id + {}").format(sql.Literal(first_ledger_id(run.pk, 0) - first_ledger_id(first.run_id, 0)))
        of_first = partitions.ledger_of(first.run_id).table
        _copy(of_first, ledger.table, {"id": moved, "run_id": sql.Literal(run.pk)}, {"ug", "estimated_ug"}, times)
        partitions.index(ledger)
        _repeat_description(first, run, 1 + index * 5 % 7)
        partitions.create(totals)
        amounts = set(AMOUNT_COLUMNS)
        of_first = partitions.account_totals_of(first.run_id).table
        _copy(of_first, totals.table, {"id": None, "run_id": sql.Literal(run.pk)}, amounts, times)
        partitions.index(totals)
        partitions.attach(totals)
        partitions.attach(ledger)
        made = point_to(run, at=timezone.now())
        table = "allocation_containertotal"
        keys = {"id": None, "publication_id": sql.Literal(made.pk)}
        _copy(table, table, keys, amounts, times, sql.SQL("publication_id = {}").format(sql.Literal(first.pk)))
    return made


def _copy(  # noqa: PLR0913, PLR0917 what a copy consists of
    source: str,
    target: str,
    keys: Mapping[str, sql.Composable | None],
    amounts: set[str],
    times: sql.Composable,
    where: sql.Composable = _EVERYTHING,
) -> None:
    """Copy rows with other keys (None = the default of the column) and multiplied amounts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [source],
        )
        columns = [row[0] for row in cursor.fetchall() if keys.get(row[0], times) is not None]
        values = [
            keys.get(name) or sql.SQL("{} * {}" if name in amounts else "{}").format(sql.Identifier(name), times)
            for name in columns
        ]
        cursor.execute(
            sql.SQL("INSERT INTO {target} ({columns}) SELECT {values} FROM {source} WHERE {where}").format(
                target=sql.Identifier(target),
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                values=sql.SQL(", ").join(values),
                source=sql.Identifier(source),
                where=where,
            )
        )


def _repeat_description(first: Publication, run: AllocationRun, times: int) -> None:
    for chunk in RunChunk.objects.filter(run_id=first.run_id).order_by("ordinal"):
        source_ug = {line: str(int(ug) * times) for line, ug in chunk.source_ug.items()}
        RunChunk.objects.create(
            run=run,
            cluster_id=chunk.cluster_id,
            ordinal=chunk.ordinal,
            source_ug=source_ug,
            ledger_rows=chunk.ledger_rows,
            written_at=timezone.now(),
        )
    for place in RunLocation.objects.filter(run_id=first.run_id):
        place.pk = None
        place.run = run
        place.save(force_insert=True)


def _describe(run: AllocationRun, table: str, clusters: list[int]) -> None:
    """Write the chunks with the totals of their lines, which the roll-up reads, and the locations."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT cluster_id, line, sum(ug), count(*) FROM {table} GROUP BY 1, 2").format(
                table=sql.Identifier(table)
            )
        )
        found = cursor.fetchall()
    for ordinal, cluster in enumerate(clusters):
        own = [(line, ug, count) for where, line, ug, count in found if where == cluster]
        RunChunk.objects.create(
            run=run,
            cluster_id=cluster,
            ordinal=ordinal,
            source_ug={LINE_CODES[line]: str(ug) for line, ug, _ in own},
            ledger_rows=sum(count for _, _, count in own),
            written_at=timezone.now(),
        )
        RunLocation.objects.create(
            run=run, cluster_id=cluster, kind="region", country="DE", facility_wh=1, it_wh=1, zero_emission=False
        )


def group_near(directory_id: int, account_count: int) -> tuple[AccountGroup, int]:
    """The group whose subtree holds nearest to so many accounts, and how many it holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT closure.ancestor_id, count(*) FROM accounts_groupclosure closure"
            " JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id"
            " WHERE closure.directory_id = %s AND member.superseded_by_id IS NULL"
            " GROUP BY 1 ORDER BY abs(count(*) - %s), 1 LIMIT 1",
            [directory_id, account_count],
        )
        group_id, found = cursor.fetchone()
    return AccountGroup.objects.get(pk=group_id), int(found)
