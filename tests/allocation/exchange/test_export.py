"""The export: bytes and order of the CSV, types of the Parquet file."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from django.db import connection
from pyarrow import parquet

from accounts.models import Account, Provider, ResourceGroup
from allocation.engine.frames import LINES
from allocation.exchange.export import COLUMNS, export_csv, export_parquet
from allocation.models import AllocationRun, Cluster, Service, SpecialAccount
from tests.factories.publications import ready_run

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
MONTH = dt.date(2025, 6, 1)
Leaf = tuple[str, str, str, str, str, int, int, int]


@pytest.fixture
def run() -> AllocationRun:
    return ready_run(Provider.objects.create(code="echo", time_zone="UTC"), MONTH, at=NOW, methodology="plain, simple")


def fill(run: AllocationRun, leaves: Sequence[Leaf]) -> None:
    """Store (cluster, service, account, group, line, ug, quality, ppm)."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE ledger_{run.pk} PARTITION OF allocation_ledgerrow FOR VALUES IN ({run.pk})")
        for number, (cluster, service, account, group, line, ug, quality, ppm) in enumerate(leaves):
            special = {"(unallocated)": SpecialAccount.UNALLOCATED, "(provider)": SpecialAccount.PROVIDER}.get(account)
            owner = None if special else Account.objects.get_or_create(provider=run.provider, external_id=account)[0]
            values: tuple[Any, ...] = (
                number,
                run.pk,
                Cluster.objects.get_or_create(provider=run.provider, code=cluster)[0].pk,
                Service.objects.get_or_create(provider=run.provider, code=service)[0].pk,
                owner and owner.pk,
                owner and ResourceGroup.objects.get_or_create(account=owner, code=group)[0].pk,
                int(special or 0),
                LINES.index(line) if line in LINES else len(LINES),
                quality,
                ug,
                ppm,
            )
            cursor.execute(
                "INSERT INTO allocation_ledgerrow (id, run_id, cluster_id, service_id, account_id, resource_group_id,"
                " special, line, quality, ug, estimated_ug, estimated_ppm) VALUES"
                " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, %s)",
                values,
            )


def exported(run: AllocationRun) -> bytes:
    stream = io.BytesIO()
    export_csv(run, stream)
    return stream.getvalue()


def test_csv_is_exact(run: AllocationRun) -> None:
    fill(
        run,
        [
            ("k", "s", "a", 'the "best"', "scope1", 5, 0, 0),
            ("k", "s", "a,b", "default", "scope1", 2**63 - 1, 6, 1_000_000),
            ("k", "s", "a", " ü", "scope1", 0, 2, 1),
            ("k", "s", "(unallocated)", "default", "scope1", 7, 1, 333_333),
            ("k", "(unused)", "(provider)", "default", "scope1", 8, 1, 0),
            ("k", "s", "a", "default", "energy_wh", 9, 0, 0),
        ],
    )
    assert exported(run).decode() == (
        "provider,month,methodology_version,cluster,service,account,resource_group,line,ug,quality,estimated_share\n"
        'echo,2025-06,"plain, simple@1",k,(unused),(provider),default,scope1,8,invoice,0.000000\n'
        'echo,2025-06,"plain, simple@1",k,s,(unallocated),default,scope1,7,invoice,0.333333\n'
        'echo,2025-06,"plain, simple@1",k,s,"a,b",default,scope1,9223372036854775807,proxy,1.000000\n'
        'echo,2025-06,"plain, simple@1",k,s,a," ü",scope1,0,average_power,0.000001\n'.replace('" ü"', " ü")
        + 'echo,2025-06,"plain, simple@1",k,s,a,"the ""best""",scope1,5,metered,0.000000\n'
    )


def test_an_empty_ledger_is_a_header(run: AllocationRun) -> None:
    assert exported(run).decode() == ",".join(COLUMNS) + "\n"


def test_order_is_by_code_point_of_the_joined_key(run: AllocationRun) -> None:
    services = ["s", "s ", "s!x", "s~", "S", "é", "z", "\U0001f600", "\uffee"]
    leaves = [
        (cluster, service, account, group, line, 1, 0, 0)
        for cluster in ("k", "K", "k-1")
        for service in services
        for account in ("a", "a!")
        for group in ("g", "g}")
        for line in ("scope2_lbm", "scope2_heat_lbm", "scope1")
    ]
    fill(run, leaves)
    rows = [
        (row["cluster"], row["line"], f"{row['service']}|{row['account']}|{row['resource_group']}") for row in read(run)
    ]
    assert len(rows) == len(leaves)
    assert rows == sorted(rows)


def read(run: AllocationRun) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(run).decode(), newline="")))


def test_parquet_holds_the_same_rows_through_a_pipe(run: AllocationRun) -> None:
    fill(run, [("k", "s", f"a{n}", "1", "scope1", 2**62 + n, 3, 250_000) for n in range(20)])
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as stream:  # noqa: PTH123 - a pipe has no path
        export_parquet(run, stream)
    with open(read_end, "rb") as stream:  # noqa: PTH123 - a pipe has no path
        table = parquet.read_table(pa.BufferReader(stream.read()))
    assert dict(zip(table.column_names, table.schema.types, strict=True)) == COLUMNS
    expected = [row | {"ug": int(row["ug"]), "estimated_share": Decimal(row["estimated_share"])} for row in read(run)]
    assert table.to_pylist() == expected
    assert expected[3]["resource_group"] == "1"
