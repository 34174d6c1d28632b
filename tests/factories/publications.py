"""Published months with no package behind them: a run, the rows of its ledger, the pointer that readers follow.

Ledgers are told row by row; totals come from `allocation.services.rollups`, as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from accounts.models import TreeVersion
from allocation.models import (
    AllocationRun,
    Cause,
    MethodologyVersion,
    Package,
    PackageService,
    Publication,
    PublishedMonth,
    RunState,
)
from allocation.services import partitions
from allocation.services.rollups import fill_account_totals, fill_container_totals
from allocation.services.withholding import withhold

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from accounts.models import Provider


class Row(NamedTuple):
    """One ordinary row of a ledger: ids, the number of the line, micrograms."""

    cluster_id: int
    service_id: int
    account_id: int
    resource_group_id: int
    line: int
    ug: int
    estimated_ug: int
    estimated_ppm: int = 0


def ready_run(provider: Provider, month: date, *, at: datetime, methodology: str = "demo") -> AllocationRun:
    """A run that may be published, of the month's next package; its ledger is not written yet."""
    version, _ = MethodologyVersion.objects.get_or_create(
        provider=provider,
        name=methodology,
        version="1",
        defaults={"preset": "custom", "gwp_set": "AR6", "options": {}, "options_digest": "0", "created_at": at},
    )
    number = 1 + Package.objects.filter(provider=provider, month=month).count()
    package = Package.objects.create(
        provider=provider,
        month=month,
        number=number,
        digest=f"{provider.code} {month} {number}",
        methodology_version=version,
        time_zone="UTC",
        hours=720,
        usage_rows=0,
        rejected_rows=0,
        loaded_at=at,
    )
    return AllocationRun.objects.create(
        provider=provider,
        month=month,
        package=package,
        methodology_version=version,
        state=RunState.READY,
        requested_at=at,
        ledger_rows=0,
    )


def write_rows(run: AllocationRun, rows: Iterable[Row]) -> None:
    """Write the run's ledger and its account totals, and the catalogue of the package: the services in the ledger."""
    rows = list(rows)
    PackageService.objects.bulk_create(
        PackageService(package=run.package, row=row, service_id=service_id, kind="standard", unit="h")
        for row, service_id in enumerate(sorted({row.service_id for row in rows}), start=2)
    )
    part = partitions.ledger_of(run.pk)
    partitions.create(part)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {part.table} (id, run_id, special, quality, {', '.join(Row._fields)})"  # noqa: S608 our own table
            f" VALUES (%s, %s, 0, 0, {', '.join('%s' for _ in Row._fields)})",
            [(run.pk * 100_000 + number, run.pk, *row) for number, row in enumerate(rows)],
        )
    withhold(run)
    partitions.index(part)
    partitions.attach(part)
    fill_account_totals(run.pk)


def show(run: AllocationRun, *, at: datetime, again: Cause = Cause.DATA) -> Publication:
    """Publish a run with its totals; a month that was published before is restated, for the cause `again`."""
    made = point_to(run, at=at, again=again)
    fill_container_totals(publication_id=made.pk, run_id=run.pk, month=run.month)
    return made


def point_to(run: AllocationRun, *, at: datetime, again: Cause = Cause.DATA) -> Publication:
    """Move the pointer of the run's month to a new publication, which has no totals yet."""
    AllocationRun.objects.filter(pk=run.pk).update(state=RunState.PUBLISHED)
    pointer = PublishedMonth.objects.filter(provider=run.provider, month=run.month).first()
    made = Publication.objects.create(
        provider=run.provider,
        month=run.month,
        run=run,
        tree_version=TreeVersion.objects.order_by("-pk").first(),
        restates=pointer.publication if pointer else None,
        cause=again if pointer else Cause.FIRST,
        published_at=at,
    )
    PublishedMonth.objects.update_or_create(provider=run.provider, month=run.month, defaults={"publication": made})
    return made
