"""A checked package into the database: catalogue, small tables and usage, everything by sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from django.db import models

from allocation.engine.frames import TABLES, Kind
from allocation.exchange.catalogue import GroupIds, account_ids, cluster_ids, region_ids, service_ids
from allocation.exchange.copying import copy_rows
from allocation.models import (
    Asset,
    Cluster,
    CrossUse,
    DirectGas,
    GlobalWarmingPotential,
    Instrument,
    InstrumentHour,
    Machine,
    PackageAccount,
    PackageCluster,
    PackageService,
    Rack,
    RackResource,
    RackUse,
    Region,
    Service,
    ServiceCoverage,
    ServiceUse,
    SharedPool,
    Site,
    SiteHour,
    Uncertainty,
    UsagePeriod,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from allocation.engine.frames import Activity, Column
    from allocation.exchange.catalogue import GroupPairs, Ids
    from allocation.exchange.package.usage import UsageCodes
    from allocation.models import Package
    from allocation.models.activity import ActivityRow

MODELS: Final[Mapping[str, type[ActivityRow]]] = {
    "clusters": PackageCluster,
    "sites": Site,
    "instruments": Instrument,
    "gwp": GlobalWarmingPotential,
    "direct_gases": DirectGas,
    "assets": Asset,
    "shared_pools": SharedPool,
    "racks": Rack,
    "rack_resources": RackResource,
    "rack_use": RackUse,
    "services": PackageService,
    "accounts": PackageAccount,
    "service_use": ServiceUse,
    "machines": Machine,
    "site_hours": SiteHour,
    "instrument_hours": InstrumentHour,
    "usage_periods": UsagePeriod,
    "cross_use": CrossUse,
    "uncertainties": Uncertainty,
    "coverage": ServiceCoverage,
}
"""Where the small tables of the format are stored. A model's fields have the names of the table's columns."""

CLUSTER_OR_REGION: Final = ("clusters", "regions")

_LEAF_COLUMNS: Final = ("cluster_id", "region_id", "service_id", "account_id", "resource_group_id")


@dataclass(frozen=True, slots=True)
class CatalogueIds:
    """Ids of what a package names, by code; `groups` by pairs of the package's account and group indices."""

    clusters: Ids
    regions: Ids
    services: Ids
    accounts: Ids
    groups: GroupIds


def store_catalogue(provider_id: int, activity: Activity, codes: UsageCodes, pairs: GroupPairs) -> CatalogueIds:
    """Create the clusters, regions, services, accounts and resource groups that are missing; return the ids of all."""
    tables = activity.tables
    accounts = account_ids(provider_id, tables["accounts"])
    return CatalogueIds(
        clusters=cluster_ids(provider_id, tables["clusters"]["cluster"].to_list()),
        regions=region_ids(provider_id, tables["clusters"]["region"].dropna().unique().tolist()),
        services=service_ids(provider_id, tables["services"]),
        accounts=accounts,
        groups=GroupIds(pairs, _ids_of(codes.accounts, accounts), codes.groups),
    )


def store_tables(
    package: Package,
    activity: Activity,
    ids: CatalogueIds,
    machine_pairs: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
) -> None:
    """COPY the small tables. `machine_pairs` are the accounts and groups of the machines, row by row."""
    for name, frame in activity.tables.items():
        columns = {
            "package_id": pa.array(np.full(len(frame), package.pk, dtype=np.int64)),
            "row": pa.array(frame["row"].to_list(), type=pa.int64()),
        }
        for column in TABLES[name].columns:
            if name == "machines" and column.name == "resource_group":
                columns["resource_group_id"] = pa.array(ids.groups.of(*machine_pairs))
            else:
                columns |= _stored_column(MODELS[name], column, frame, ids)
        copy_rows(MODELS[name]._meta.db_table, columns, [pa.table(columns)])  # noqa: SLF001 - documented API of Django


def store_usage(table: str, batches: Iterable[pa.RecordBatch], codes: UsageCodes, ids: CatalogueIds) -> None:
    """COPY accepted usage rows into the table of the package's partition, made in this transaction, batch by batch."""
    copy_rows(table, (*_LEAF_COLUMNS, "quantity"), _with_ids(batches, codes, ids), frozen=True)


def store_usage_sums(table: str, sums: pa.Table, codes: UsageCodes, ids: CatalogueIds) -> None:
    """COPY the sums of the rows (`UsageSums.table`) into the table of the package's partition, made like the other."""
    columns = (*_LEAF_COLUMNS, "quantity", "positive_quantity")
    copy_rows(table, columns, _with_ids(sums.to_batches(), codes, ids), frozen=True)


def _with_ids(batches: Iterable[pa.RecordBatch], codes: UsageCodes, ids: CatalogueIds) -> Iterator[pa.RecordBatch]:
    """Yield batches with the ids of their leaves; what comes after the leaf stays as it is."""
    clusters = _ids_of(codes.places, ids.clusters)
    regions = _ids_of(codes.places, {code: pk for code, pk in ids.regions.items() if code not in ids.clusters})
    services = _ids_of(codes.services, ids.services)
    accounts = _ids_of(codes.accounts, ids.accounts)
    for batch in batches:
        place, service, account, group = (batch.column(name).to_numpy() for name in batch.schema.names[:4])
        arrays = [
            _nullable(clusters[place]),
            _nullable(regions[place]),
            pa.array(services[service]),
            pa.array(accounts[account]),
            pa.array(ids.groups.of(account, group)),
            *batch.columns[4:],
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=[*_LEAF_COLUMNS, *batch.schema.names[4:]])


def _ids_of(codes: Sequence[str], ids: Ids) -> npt.NDArray[np.int64]:
    """Return ids by index of a list of codes, 0 where there is none."""
    return np.array([ids.get(code, 0) for code in codes], dtype=np.int64)


def _nullable(values: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(values, mask=values == 0)


def _stored_column(
    model: type[ActivityRow], column: Column, frame: pd.DataFrame, ids: CatalogueIds
) -> dict[str, pa.Array]:
    """Return the column, or the two columns of a cluster or region, as the model's table takes them."""
    values = frame[column.name].to_list()
    if column.references == CLUSTER_OR_REGION:
        regions = {code: pk for code, pk in ids.regions.items() if code not in ids.clusters}
        return {
            "cluster_id": pa.array([ids.clusters.get(code) for code in values], type=pa.int64()),
            "region_id": pa.array([regions.get(code) for code in values], type=pa.int64()),
        }
    field = model._meta.get_field(column.name)  # noqa: SLF001 - documented API of Django
    if isinstance(field, models.ForeignKey):
        by_model = {Cluster: ids.clusters, Region: ids.regions, Service: ids.services}
        known = by_model.get(field.related_model, ids.accounts)
        return {f"{column.name}_id": pa.array([known.get(code) for code in values], type=pa.int64())}
    return {column.name: _plain_column(column.kind, values)}


def _plain_column(kind: Kind, values: list[object]) -> pa.Array:
    match kind:
        case Kind.DECIMAL:
            return pa.array([None if value is None else str(value) for value in values], type=pa.string())
        case Kind.WHOLE:
            return pa.array(values, type=pa.int64())
        case Kind.BOOLEAN:
            return pa.array(values, type=pa.bool_())
        case Kind.MONTH:
            return pa.array(values, type=pa.date32())
        case _:
            return pa.array([value or "" for value in values], type=pa.string())
