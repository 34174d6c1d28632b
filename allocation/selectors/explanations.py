"""What may be told of a figure's origin without the engine: the figure, the viewer's own inputs, who may know more."""

from __future__ import annotations

import enum
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connection

from accounts.policies import NodeKind, Purpose, months_of
from allocation.policies import Kind
from allocation.selectors.amounts import LINES
from allocation.selectors.nodes import Access, by_key
from allocation.selectors.statuses import Presence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from decimal import Decimal

    from accounts.policies import Viewer
    from allocation.policies import NodeKey
    from allocation.selectors.publications import Pin, Published

LINE_NAMES: Final = (*(line.name for line in LINES), "energy_wh")
INPUTS_LISTED: Final = 100


class Redaction(enum.StrEnum):
    """Why something is not told."""

    PROVIDERS_BUSINESS = "providers_business"
    OTHERS_USAGE = "others_usage"
    NOT_PERMITTED = "not_permitted"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose figure is explained: an account, or one resource group of it, in a month.

    `whole_account` tells whether the viewer sees the account as a whole in that month.
    """

    account_id: int
    account: str
    provider_id: int
    provider_code: str
    resource_group_id: int | None
    presence: Presence
    whole_account: bool


class NodeHiddenError(Exception):
    """There is no such node, or the viewer may not know it."""


def subject(*, viewer: Viewer, published: Published, node: NodeKey, month: date) -> Subject:
    """Find out whose figure it is and what the viewer may see of it.

    `node` is an account or a resource group.

    Raises:
        NodeHiddenError: it is hidden or absent.
    """
    found = by_key(viewer=viewer, keys=[node]).get(node)
    if found is None:
        raise NodeHiddenError(f"{node}")
    part = node.id if node.kind is Kind.RESOURCE_GROUP else None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account.id, account.external_id, provider.id, provider.code FROM accounts_account account"
            " JOIN accounts_provider provider ON provider.id = account.provider_id"
            " LEFT JOIN accounts_resourcegroup part ON part.account_id = account.id AND part.id = %s"
            " WHERE CASE WHEN %s::bigint IS NULL THEN account.id = %s ELSE part.id IS NOT NULL END",
            [part, part, node.id],
        )
        account_id, account, provider_id, provider = cursor.fetchone()
    whole = _sees(viewer, NodeKind.ACCOUNT, account_id, month)
    seen = whole or (part is not None and _sees(viewer, NodeKind.RESOURCE_GROUP, part, month))
    presence = Presence.WHOLE if seen and found.access is Access.VISIBLE else Presence.NOT_PERMITTED
    if presence is Presence.WHOLE and (provider_id, month) not in published.by_month:
        first = published.first_months.get(provider_id)
        covered = first is None or month >= first
        presence = Presence.NOT_YET_PUBLISHED if covered else Presence.NOT_COVERED
    return Subject(account_id, account, provider_id, provider, part, presence, whole)


def _sees(viewer: Viewer, kind: NodeKind, node_id: int, month: date) -> bool:
    periods = months_of(viewer, kind=kind, ids=[node_id], purpose=Purpose.NUMBERS).get(node_id, [])
    return any(month in period for period in periods)


@dataclass(frozen=True, slots=True)
class Context:
    """The run behind a published month, and the place and service asked for; ids are None where there are none."""

    run_id: int
    package_id: int
    package_number: int
    methodology_version_id: int
    options: Mapping[str, Any]
    published_at: datetime
    cluster_id: int | None
    service_id: int | None
    unit: str
    core: bool
    peak_weighted: bool


_CONTEXT = """
SELECT run.id, package.id, package.number, run.methodology_version_id, version.options, publication.published_at,
       (SELECT cluster.id FROM allocation_cluster cluster
        WHERE cluster.provider_id = run.provider_id AND cluster.code = %(cluster)s),
       service.id, COALESCE(known.unit, ''), COALESCE(known.kind = 'core', false),
       COALESCE(known.split_key = 'peak_weighted', false)
FROM allocation_publication publication
JOIN allocation_allocationrun run ON run.id = publication.run_id
JOIN allocation_package package ON package.id = run.package_id
JOIN allocation_methodologyversion version ON version.id = run.methodology_version_id
LEFT JOIN allocation_service service ON service.provider_id = run.provider_id AND service.code = %(service)s
LEFT JOIN allocation_packageservice known ON known.package_id = package.id AND known.service_id = service.id
WHERE publication.id = %(publication)s
"""


def context(*, pin: Pin, cluster: str, service: str) -> Context:
    """Read what the month was computed with, and the ids of a cluster and a service by code."""
    with connection.cursor() as cursor:
        cursor.execute(_CONTEXT, {"publication": pin.publication_id, "cluster": cluster, "service": service})
        row = cursor.fetchone()
    run_id, package_id, number, version_id, options, published_at, *place = row
    # A raw cursor hands JSON out as text.
    return Context(run_id, package_id, number, version_id, json.loads(options), published_at, *place)


def in_cluster(*, found: Context, cluster: str) -> Context:
    """Return the same in another cluster of the run, by its code."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT cluster.id FROM allocation_cluster cluster"
            " JOIN allocation_allocationrun run ON run.provider_id = cluster.provider_id"
            " WHERE run.id = %s AND cluster.code = %s",
            [found.run_id, cluster],
        )
        return replace(found, cluster_id=cursor.fetchone()[0])


class Leaf(NamedTuple):
    """A published figure: one resource group on one line, in µg (Wh for energy); `withheld` from customers, or not."""

    resource_group_id: int
    resource_group: str
    line: str
    quality: int
    ug: int
    estimated_ug: int
    withheld: int | None


_LEAVES = """
SELECT row.resource_group_id, part.code, row.line, row.quality, row.ug, row.estimated_ug, row.withheld
FROM allocation_ledgerrow row JOIN accounts_resourcegroup part ON part.id = row.resource_group_id
WHERE row.run_id = %(run)s AND row.account_id = %(account)s AND row.cluster_id = %(cluster)s
    AND row.service_id = %(service)s
    AND (%(part)s::bigint IS NULL OR row.resource_group_id = %(part)s)
ORDER BY row.line, part.code
"""


def leaves(*, found: Context, about: Subject) -> list[Leaf]:
    """The published figures of the subject: of all groups of the account, or of the one that was asked for."""
    params = {"run": found.run_id, "account": about.account_id, "cluster": found.cluster_id}
    params |= {"service": found.service_id, "part": about.resource_group_id}
    with connection.cursor() as cursor:
        cursor.execute(_LEAVES, params)
        return [Leaf(part, code, LINE_NAMES[line], *rest) for part, code, line, *rest in cursor.fetchall()]


class Input(NamedTuple):
    """A row of the package that is the account's own: its file, line number, and what it says.

    `row` is None where it is not told: line numbers of usage.csv say how much others use.
    """

    file: str
    row: int | None
    resource_group: str
    quantity: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The subject's own rows: the first `INPUTS_LISTED`, and how many there are.

    `net` is net usage by resource group: of the whole account where the viewer sees that. `machines` is how many of the
    rows are of machines.csv.
    """

    listed: list[Input]
    count: int
    net: Mapping[str, Fraction]
    machines: int


_OWN = """
usage.package_id = %(package)s AND usage.account_id = %(account)s AND usage.service_id = %(service)s
    AND (usage.cluster_id = %(cluster)s OR usage.region_id = (
        SELECT here.region_id FROM allocation_packagecluster here
        WHERE here.package_id = %(package)s AND here.cluster_id = %(cluster)s
            AND EXISTS (SELECT FROM allocation_site site
                        WHERE site.package_id = %(package)s AND site.cluster_id = %(cluster)s)))
    AND (%(part)s::bigint IS NULL OR usage.resource_group_id = %(part)s)
"""
_USAGE = f"""
SELECT usage.id, part.code, usage.quantity, usage.region_id IS NOT NULL, count(*) OVER ()
FROM allocation_usagerow usage JOIN accounts_resourcegroup part ON part.id = usage.resource_group_id
WHERE {_OWN} ORDER BY usage.id LIMIT {INPUTS_LISTED}
"""  # noqa: S608 fixed texts
# A region's row is split equally among its active clusters: everything counts in parts of one.
_SHARING = """
SELECT count(DISTINCT site.cluster_id) FROM allocation_packagecluster here
JOIN allocation_packagecluster beside ON beside.package_id = here.package_id AND beside.region_id = here.region_id
JOIN allocation_site site ON site.package_id = beside.package_id AND site.cluster_id = beside.cluster_id
WHERE here.package_id = %(package)s AND here.cluster_id = %(cluster)s
"""
_NET = f"""
SELECT part.code, sum(CASE WHEN usage.region_id IS NULL THEN usage.quantity * %(sharing)s ELSE usage.quantity END)
FROM allocation_usagerow usage JOIN accounts_resourcegroup part ON part.id = usage.resource_group_id
WHERE {_OWN} GROUP BY part.code ORDER BY part.code
"""  # noqa: S608 fixed texts
_MACHINES = """
SELECT machine.row, part.code, machine.avg_power_w * machine.hours / 1000
FROM allocation_machine machine JOIN accounts_resourcegroup part ON part.id = machine.resource_group_id
WHERE machine.package_id = %(package)s AND machine.account_id = %(account)s AND machine.service_id = %(service)s
    AND machine.cluster_id = %(cluster)s AND (%(part)s::bigint IS NULL OR part.id = %(part)s)
ORDER BY machine.row
"""
# Rows of usage.csv were stored in its order, rejected ones left out: the line number is the place among the stored ones
# plus the rejected lines before it.
_LINE_NUMBERS = """
SELECT width_bucket(usage.id, %(ids)s::bigint[]) AS place, count(*)
FROM allocation_usagerow usage WHERE usage.package_id = %(package)s GROUP BY 1 ORDER BY 1
"""
_REJECTED = """
SELECT DISTINCT row FROM allocation_packagefinding
WHERE package_id = %s AND severity = 'row' AND file = 'usage.csv' AND row IS NOT NULL ORDER BY row
"""


def own_inputs(*, found: Context, about: Subject, with_line_numbers: bool) -> Inputs:
    """Rows of usage.csv and machines.csv of the subject, in this cluster and service.

    `with_line_numbers` is for operators; it counts through the usage of the package.
    """
    params = {"package": found.package_id, "account": about.account_id, "service": found.service_id}
    params |= {"cluster": found.cluster_id, "part": about.resource_group_id}
    with connection.cursor() as cursor:
        cursor.execute(_USAGE, params)
        usage = cursor.fetchall()
        cursor.execute(_SHARING, params)
        sharing = cursor.fetchone()[0] or 1
        # Whoever sees the account as a whole may know its total.
        whole = {"part": None} if about.whole_account else {}
        cursor.execute(_NET, params | {"sharing": sharing} | whole)
        net: dict[str, Fraction] = defaultdict(Fraction)
        for group, quantity in cursor.fetchall():
            net["(core services)" if found.core else group] += Fraction(quantity) / sharing
        cursor.execute(_MACHINES, params)
        machines = cursor.fetchall()
        numbers = _line_numbers(found.package_id, [row[0] for row in usage]) if with_line_numbers and usage else {}
    listed = [
        Input("usage.csv", numbers.get(ident), group, quantity, f"{found.unit} (region)" if region else found.unit)
        for ident, group, quantity, region, _ in usage
    ]
    room = INPUTS_LISTED - len(listed)
    listed += [
        Input("machines.csv", row if with_line_numbers else None, group, kwh, "kWh")
        for row, group, kwh in machines[:room]
    ]
    return Inputs(listed, (usage[0][-1] if usage else 0) + len(machines), dict(net), len(machines))


def _line_numbers(package_id: int, ids: list[int]) -> dict[int, int]:
    """Return the line numbers (header = 1) of stored usage rows, given in ascending order."""
    with connection.cursor() as cursor:
        cursor.execute(_LINE_NUMBERS, {"package": package_id, "ids": ids})
        rows_from = dict(cursor.fetchall())
        cursor.execute(_REJECTED, [package_id])
        rejected = [row for (row,) in cursor.fetchall()]
    numbers: dict[int, int] = {}
    before = 0
    for place, ident in enumerate(ids):
        before += rows_from.get(place, 0)
        number = before + 2
        for line in rejected:
            if line > number:
                break
            number += 1
        numbers[ident] = number
    return numbers
