"""A stored package as the engine takes it: activity, summed usage of one cluster, services in use."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from django.db import connection, models
from django.db.models.functions import Coalesce
from psycopg import sql
from pyarrow import csv as arrow_csv

from accounts.models import Account
from allocation.engine.frames import TABLES, Activity, Header, Kind, Usage
from allocation.exchange.methodology import read_options
from allocation.exchange.store import CLUSTER_OR_REGION, MODELS
from allocation.models import Package, PackageCluster, Site

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from allocation.engine.frames import Column
    from allocation.models.activity import ActivityRow

_CODED: Final = pa.dictionary(pa.int32(), pa.string())
_USAGE_TYPES: Final = {
    "service": _CODED,
    "account": _CODED,
    "resource_group": _CODED,
    "quantity": pa.string(),
    "decimals": pa.int32(),
}

# Rows of the cluster count `divisor` times and rows of its region once: the sum is exact, and the divisor is handed on.
_USAGE: Final = """
WITH net AS MATERIALIZED (
    SELECT service_id, account_id, resource_group_id,
           sum(CASE WHEN cluster_id IS NULL THEN quantity ELSE quantity * {divisor} END) AS total
      FROM allocation_usagerow
     WHERE package_id = {package} AND (cluster_id = {cluster} OR region_id = {region})
     GROUP BY service_id, account_id, resource_group_id),
scale AS (SELECT coalesce(max(min_scale(total)), 0) AS decimals FROM net)
SELECT service.code AS service, account.external_id AS account, resource_group.code AS resource_group,
       trim_scale(total * ('1e' || scale.decimals)::numeric) AS quantity, scale.decimals AS decimals
  FROM net
 CROSS JOIN scale
  JOIN allocation_service service ON service.id = net.service_id
  JOIN accounts_account account ON account.id = net.account_id
  JOIN accounts_resourcegroup resource_group ON resource_group.id = net.resource_group_id
"""

# As above for all clusters at once. The leaves of core services have one group for all their tags.
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
      FROM allocation_usagerow usage
      JOIN allocation_packageservice service
        ON service.package_id = usage.package_id AND service.service_id = usage.service_id
     WHERE usage.package_id = %(package)s
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
SELECT DISTINCT cluster.code, service.code
  FROM positive
  JOIN allocation_cluster cluster ON cluster.id = positive.cluster_id
  JOIN allocation_service service ON service.id = positive.service_id
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


def read_usage(package: Package, cluster: str) -> Usage:
    """Return the net usage of a cluster, rows of its region included, summed exactly.

    A region's row is split equally among its active clusters: `divisor` is their number if the cluster is one of them.
    """
    place = PackageCluster.objects.select_related("cluster").get(package=package, cluster__code=cluster)
    sharing = _active_clusters(package, place.region_id)
    shares = place.cluster_id in sharing
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')").format(
        sql.SQL(_USAGE).format(
            divisor=sql.Literal(len(sharing) if shares else 1),
            package=sql.Literal(package.pk),
            cluster=sql.Literal(place.cluster_id),
            region=sql.Literal(place.region_id if shares else None),
        )
    )
    table = _read_rows(statement)
    services, service = _coded(table, "service")
    accounts, account = _coded(table, "account")
    groups, group = _coded(table, "resource_group")
    return Usage(
        services=services,
        accounts=accounts,
        groups=groups,
        service=service,
        account=account,
        group=group,
        quantity=_integers(table.column("quantity")),
        decimals=table.column("decimals")[0].as_py() if table.num_rows else 0,
        divisor=len(sharing) if shares else 1,
    )


def used_services(package: Package) -> frozenset[tuple[str, str]]:
    """Return (cluster, service) wherever some leaf has positive net usage."""
    with connection.cursor() as cursor:
        cursor.execute(_USED, {"package": package.pk})
        return frozenset(cursor.fetchall())


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
            column.name: pd.Series([_known(column)(value) for value in cells], dtype=object)
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


def _known(column: Column) -> Callable[[Any], Any]:
    """Return the conversion of a stored value: an empty text is unknown."""
    if column.kind in {Kind.CODE, Kind.TEXT, Kind.CHOICE}:
        return lambda value: value or None
    return lambda value: value


def _read_rows(statement: sql.Composed) -> pa.Table:
    content = io.BytesIO()
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        content.writelines(copy)
    if not content.tell():
        return pa.table({name: pa.array([], type=kind) for name, kind in _USAGE_TYPES.items()})
    return arrow_csv.read_csv(
        pa.BufferReader(content.getbuffer()),
        read_options=arrow_csv.ReadOptions(column_names=list(_USAGE_TYPES)),
        convert_options=arrow_csv.ConvertOptions(column_types=_USAGE_TYPES, null_values=[], strings_can_be_null=False),
    ).unify_dictionaries()


def _coded(table: pa.Table, name: str) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    column = table.column(name).combine_chunks()
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    codes: list[str] = array.dictionary.to_pylist()
    return tuple(codes), array.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def _integers(texts: pa.ChunkedArray) -> npt.NDArray[np.int64] | npt.NDArray[np.object_]:
    """Return whole numbers as int64, or as Python integers where that is too small."""
    try:
        small: npt.NDArray[np.int64] = pc.cast(texts, pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return np.array([int(text) for text in texts.to_pylist()], dtype=object)
    return small
