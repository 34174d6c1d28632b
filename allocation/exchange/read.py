"""A stored package as the engine takes it: activity, summed usage of one cluster, services in use."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from django.db import connection, models
from django.db.models.functions import Coalesce
from psycopg import sql
from pyarrow import csv as arrow_csv

from accounts.models import Account
from allocation.engine.frames import PEAK_WEIGHTED, TABLES, Activity, Header, Kind, Usage
from allocation.engine.lineage.trace import EXTERNAL_REST, INTERNAL_REST
from allocation.exchange.columns import bigint_of, bigints, bigints_of, read_arrays
from allocation.exchange.decimals import whole_numbers
from allocation.exchange.methodology import read_options
from allocation.exchange.sheet import numbered
from allocation.exchange.store import CLUSTER_OR_REGION, MODELS
from allocation.exchange.sums import has_sums, has_sums_of_region, usage_of
from allocation.models import Cluster, Package, PackageCluster, Service, Site

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from allocation.engine.frames import Column
    from allocation.engine.lineage.leaves import Target
    from allocation.exchange.decimals import Integers
    from allocation.models.activity import ActivityRow

# A row of a region is split among its active clusters: rows of the cluster count `divisor` times, those of the region
# once. One record holds the leaves of many resource groups: a record costs the client more than a number.
_USAGE: Final = """
SELECT array_agg(service_id), array_agg(account_id), array_agg(resource_group_id),
       string_agg(trim_scale(total)::text, E'\\n')
  FROM {leaves}
 GROUP BY resource_group_id / 1024
"""
_SUMS: Final = sql.SQL("""
(SELECT service_id, account_id, resource_group_id, {quantity} AS total
   FROM {usage} AS usage
  WHERE cluster_id = {cluster} OR region_id = {region}) AS net
""")
_SUMMED: Final = sql.SQL("""
(SELECT service_id, account_id, resource_group_id, sum({quantity}) AS total
   FROM {usage} AS usage
  WHERE cluster_id = {cluster} OR region_id = {region}
  GROUP BY service_id, account_id, resource_group_id) AS net
""")
_ONE_CLUSTER: Final = sql.SQL("quantity")
_SHARING: Final = sql.SQL("CASE WHEN cluster_id IS NULL THEN quantity ELSE quantity * {divisor} END")

_SIGNS: Final = """
SELECT cluster_id, region_id, service_id, bool_or(quantity > 0), bool_or(quantity < 0)
  FROM {usage} AS usage WHERE service_id = ANY(%s) GROUP BY cluster_id, region_id, service_id
"""

# Rows of a cluster count as often as its region has active clusters, rows of the region once: so sums stay exact. The
# leaves of core services have one group for all their tags.
_USED: Final = """
WITH active AS (
    SELECT DISTINCT cluster_id FROM allocation_site WHERE package_id = %(package)s),
place AS (
    SELECT here.cluster_id, here.region_id,
           CASE WHEN active.cluster_id IS NULL THEN 0
                ELSE count(active.cluster_id) OVER (PARTITION BY here.region_id) END AS divisor
      FROM allocation_packagecluster here
      LEFT JOIN active USING (cluster_id)
     WHERE here.package_id = %(package)s),
used AS (
    SELECT cluster_id, region_id, usage.service_id, account_id,
           CASE WHEN service.kind = 'core' THEN 0 ELSE resource_group_id END AS leaf_group, sum(quantity) AS total
      FROM {usage} AS usage
      JOIN allocation_packageservice service
        ON service.package_id = usage.package_id AND service.service_id = usage.service_id
     WHERE usage.service_id = ANY(%(services)s)
     GROUP BY 1, 2, 3, 4, 5),
leaf AS (
    SELECT place.cluster_id, service_id, account_id, leaf_group, total * greatest(place.divisor, 1) AS total
      FROM used JOIN place ON place.cluster_id = used.cluster_id
     UNION ALL
    SELECT place.cluster_id, service_id, account_id, leaf_group, total
      FROM used JOIN place ON place.region_id = used.region_id AND place.divisor > 0),
positive AS (
    SELECT cluster_id, service_id FROM leaf
     GROUP BY cluster_id, service_id, account_id, leaf_group HAVING sum(total) > 0)
SELECT DISTINCT cluster_id, service_id FROM positive
"""


def read_activity(package: Package) -> Activity:
    """Return the header and small tables of a package as the engine takes them, rows in the order of the files."""
    method = package.methodology_version
    header = Header(
        provider=package.provider.code,
        month=package.month,
        timezone=package.time_zone,
        hours=package.hours,
        methodology=method.name,
        methodology_version=method.version,
        preset=method.preset,
        gwp_set=method.gwp_set,
        options=read_options(method.options),
    )
    return Activity(header, {name: _read_table(package, name, model) for name, model in MODELS.items()})


def read_usage(package: Package, cluster: str, *, from_rows: bool = False) -> Usage:
    """Return the net usage of a cluster, rows of its region included, summed exactly.

    A region's row is split equally among its active clusters: `divisor` is their number if the cluster is one of them.
    `from_rows` adds the package's rows up again, whatever sums were kept.
    """
    place = PackageCluster.objects.get(package=package, cluster__code=cluster)
    sharing = _active_clusters(package, place.region_id)
    shares = place.cluster_id in sharing
    divisor = len(sharing) if shares else 1
    region_id = place.region_id if shares else None
    # Sums hold a leaf once for a cluster and once for its region: without the latter, nothing is left to be added up.
    summed = not from_rows and has_sums(package.pk) and not has_sums_of_region(package.pk, region_id)
    leaves = (_SUMS if summed else _SUMMED).format(
        quantity=_SHARING.format(divisor=sql.Literal(divisor)) if divisor > 1 else _ONE_CLUSTER,
        usage=usage_of(package.pk, from_rows=from_rows),
        cluster=sql.Literal(place.cluster_id),
        region=sql.Literal(region_id),
    )
    blocks = list(read_arrays(sql.SQL(_USAGE).format(leaves=leaves)))
    ids = [_joined([bigints_of(block[field]) for block in blocks]) for field in range(3)]
    quantity, decimals = whole_numbers(_numbers([block[3] for block in blocks]))
    services, service = _names("allocation_service", "code", ids[0])
    accounts, account = _names("accounts_account", "external_id", ids[1])
    groups, group = _names("accounts_resourcegroup", "code", ids[2])
    return Usage(services, accounts, groups, service, account, group, quantity, decimals, divisor)


_POSITIVE: Final = sql.SQL("""
SELECT COALESCE(cluster_id, 0), COALESCE(region_id, 0), array_agg(service_id), array_agg(account_id),
       string_agg(trim_scale(positive_quantity)::text, E'\\n')
  FROM {usage} AS usage
 WHERE positive_quantity > 0
 GROUP BY cluster_id, region_id, account_id / 16384
""")


@dataclass(frozen=True, slots=True)
class PositiveUsage:
    """What was used, credits left out: ids, 0 for no cluster or no region, and `quantity` in 10 ** -`decimals`."""

    cluster: npt.NDArray[np.int64]
    region: npt.NDArray[np.int64]
    service: npt.NDArray[np.int64]
    account: npt.NDArray[np.int64]
    quantity: Integers
    decimals: int


def read_positive_usage(package_id: int) -> PositiveUsage:
    """Read what was used in a package, by leaf or finer."""
    blocks = list(read_arrays(_POSITIVE.format(usage=usage_of(package_id))))
    service, account = (_joined([bigints_of(block[field]) for block in blocks]) for field in (2, 3))
    sizes = [len(bigints_of(block[2])) for block in blocks]
    cluster, region = (
        np.repeat(np.array([bigint_of(block[field]) for block in blocks], np.int64), sizes) for field in (0, 1)
    )
    quantity, decimals = whole_numbers(_numbers([block[4] for block in blocks]))
    return PositiveUsage(cluster, region, service, account, quantity, decimals)


def _joined(parts: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])


_BESIDE: Final = """
WITH net AS (
    SELECT used.service_id, used.account_id,
           used.account_id = {{account}} AND used.service_id = {{service}} AS asked,
           known.split_key = {{weighted}} AS apart,
           CASE WHEN known.kind = 'core' THEN 0 ELSE used.resource_group_id END AS leaf_group, sum({quantity}) AS total
      FROM allocation_usagerow used
      JOIN allocation_packageservice known ON known.package_id = {{package}} AND known.service_id = used.service_id
     WHERE used.package_id = {{package}} AND (used.cluster_id = {{cluster}} OR used.region_id = {{region}})
     GROUP BY 1, 2, 3, 4, 5)
SELECT service.code,
       CASE WHEN net.asked THEN '' WHEN net.apart THEN account.external_id
            WHEN owner.internal THEN {{internal}} ELSE {{external}} END,
       CASE WHEN net.asked OR net.apart THEN coalesce(part.code, 'core') ELSE 'rest' END,
       trim_scale(sum(CASE WHEN net.asked THEN net.total ELSE greatest(net.total, 0) END))::text
  FROM net
  JOIN allocation_service service ON service.id = net.service_id
  JOIN accounts_account account ON account.id = net.account_id
  LEFT JOIN allocation_packageaccount owner
    ON owner.package_id = {{package}} AND owner.account_id = net.account_id
  LEFT JOIN accounts_resourcegroup part ON part.id = net.leaf_group
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def read_usage_beside(package: Package, target: Target) -> Usage | None:
    """Return the usage of a cluster with the leaves of all but one account and service brought together.

    What explaining a figure needs of it: as many rows as services and resource groups of the account, however many
    accounts there are. Only peak-weighted services keep all their leaves apart, since each has a weight of its own.
    None if the package does not have the cluster.
    """
    place = PackageCluster.objects.filter(package=package, cluster__code=target.cluster).first()
    if place is None:
        return None
    sharing = _active_clusters(package, place.region_id)
    shares = place.cluster_id in sharing
    divisor = len(sharing) if shares else 1
    shared = "CASE WHEN used.cluster_id IS NULL THEN used.quantity ELSE used.quantity * {divisor} END"
    query = sql.SQL(_BESIDE.format(quantity=shared if divisor > 1 else "used.quantity")).format(
        package=sql.Literal(package.pk),
        cluster=sql.Literal(place.cluster_id),
        region=sql.Literal(place.region_id if shares else None),
        divisor=sql.Literal(divisor),
        account=_id_of(Account.objects.filter(provider=package.provider_id, external_id=target.account)),
        service=_id_of(Service.objects.filter(provider=package.provider_id, code=target.service)),
        internal=sql.Literal(INTERNAL_REST),
        external=sql.Literal(EXTERNAL_REST),
        weighted=sql.Literal(PEAK_WEIGHTED),
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows = [(service, account or target.account, group, total) for service, account, group, total in cursor]
    quantity, decimals = whole_numbers(pa.chunked_array([pa.array([row[3] for row in rows], type=pa.string())]))
    services, service = _encoded([row[0] for row in rows])
    accounts, account = _encoded([row[1] for row in rows])
    groups, group = _encoded([row[2] for row in rows])
    return Usage(services, accounts, groups, service, account, group, quantity, decimals, divisor)


def _id_of(rows: models.QuerySet[Any]) -> sql.Literal:
    return sql.Literal(rows.values_list("pk", flat=True).first() or 0)


def _encoded(codes: list[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Return the distinct codes, and for each code its index."""
    place: dict[str, int] = {}
    index = [place.setdefault(code, len(place)) for code in codes]
    return tuple(place), np.array(index, dtype=np.int32)


def used_services(package: Package, services: Collection[str]) -> frozenset[tuple[str, str]]:
    """Return (cluster, service), of the services asked for, wherever some leaf has positive net usage."""
    asked = dict(Service.objects.filter(provider=package.provider_id, code__in=services).values_list("pk", "code"))
    usage = usage_of(package.pk)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(_SIGNS).format(usage=usage), [list(asked)])
        signs = cursor.fetchall()
        # Only where a service has credits too must leaves be netted one by one.
        mixed = sorted({service for _, _, service, _, negative in signs if negative})
        cursor.execute(sql.SQL(_USED).format(usage=usage), {"package": package.pk, "services": mixed})
        used = set(cursor.fetchall())
    clusters = _clusters_of_places(package)
    for cluster_id, region_id, service_id, positive, _ in signs:
        if positive and service_id not in mixed:
            used |= {(place, service_id) for place in clusters[cluster_id, region_id]}
    cluster_codes = dict(Cluster.objects.filter(provider=package.provider_id).values_list("pk", "code"))
    return frozenset((cluster_codes[cluster_id], asked[service_id]) for cluster_id, service_id in used)


def _clusters_of_places(package: Package) -> dict[tuple[int | None, int | None], set[int]]:
    """Return the clusters that (cluster, region) of a usage row stands for; one of the two is `None`."""
    active = frozenset(Site.objects.filter(package=package).values_list("cluster_id", flat=True))
    clusters: dict[tuple[int | None, int | None], set[int]] = defaultdict(set)
    for cluster_id, region_id in PackageCluster.objects.filter(package=package).values_list("cluster_id", "region_id"):
        clusters[cluster_id, None].add(cluster_id)
        if cluster_id in active:
            clusters[None, region_id].add(cluster_id)
    return clusters


def _active_clusters(package: Package, region_id: int | None) -> frozenset[int]:
    """Return the active clusters of a region: those to which a site belongs."""
    if region_id is None:
        return frozenset()
    sites = Site.objects.filter(package=package, cluster_id=models.OuterRef("cluster_id"))
    here = PackageCluster.objects.filter(models.Exists(sites), package=package, region_id=region_id)
    return frozenset(here.values_list("cluster_id", flat=True))


def _read_table(package: Package, name: str, model: type[ActivityRow]) -> pd.DataFrame:
    table = TABLES[name]
    sources = [_source(model, column) for column in table.columns]
    rows = list(model._default_manager.filter(package=package).order_by("row").values_list("row", *sources))  # noqa: SLF001 - documented API of Django
    numbers, *values = zip(*rows, strict=True) if rows else ((), *(() for _ in sources))
    frame = pd.DataFrame(
        {
            column.name: pd.Series(_known(column, cells), dtype=object)
            for column, cells in zip(table.columns, values, strict=True)
        }
    )
    frame["row"] = pd.Series(numbers, dtype="int64")
    return frame


def _source(model: type[ActivityRow], column: Column) -> str | Coalesce:
    """Return where the value of a column stands: a field, or the code of the row that it refers to."""
    if column.references == CLUSTER_OR_REGION:
        return Coalesce("cluster__code", "region__code")
    field = model._meta.get_field(column.name)  # noqa: SLF001 - documented API of Django
    if not isinstance(field, models.ForeignKey):
        return column.name
    return f"{column.name}__external_id" if field.related_model is Account else f"{column.name}__code"


def _known(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column: an empty text is unknown."""
    return [value or None for value in values] if column.kind in {Kind.CODE, Kind.TEXT, Kind.CHOICE} else values


def _numbers(lines: list[memoryview]) -> pa.ChunkedArray:
    """Return numbers that were sent as texts, one a line."""
    if not lines:
        return pa.chunked_array([], type=pa.string())
    return arrow_csv.read_csv(
        pa.BufferReader(b"\n".join(lines)),
        read_options=arrow_csv.ReadOptions(column_names=["number"]),
        convert_options=arrow_csv.ConvertOptions(
            column_types={"number": pa.string()}, null_values=[], strings_can_be_null=False
        ),
    ).column("number")


def _names(table: str, column: str, ids: npt.NDArray[np.int64]) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Return the distinct codes of rows of a table, and for each id the index of its code."""
    wanted, place = numbered(ids)
    # In ascending order of ids, as `wanted` is: code n is that of the n-th id. No code holds a `|`.
    query = sql.SQL("SELECT string_agg({column}, '|' ORDER BY id) FROM {table} WHERE id = ANY ({ids})").format(
        column=sql.Identifier(column), table=sql.Identifier(table), ids=bigints(wanted.tolist())
    )
    codes = (
        [code for (field,) in read_arrays(query) for code in bytes(field).decode().split("|")] if len(wanted) else []
    )
    if len(codes) != len(wanted):
        raise LookupError(f"{table}: {len(codes)} codes of {len(wanted)} ids")
    coded = pa.array(codes, type=pa.string()).dictionary_encode()
    index: npt.NDArray[np.int32] = coded.indices.to_numpy(zero_copy_only=False)
    return tuple(coded.dictionary.to_pylist()), index[place]
