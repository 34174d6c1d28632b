"""Published months of a random world: figures at the leaves, rolled up by the real writers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db import connection

from accounts.models import Provider
from allocation.models import (
    AllocationRun,
    Cause,
    Cluster,
    MethodologyVersion,
    Package,
    Publication,
    PublishedMonth,
    RunLocation,
    RunState,
    Service,
)
from allocation.services import partitions
from allocation.services.rollups import fill_account_totals, fill_container_totals
from tests.security.model import ACCOUNT, GROUP, Leaf, Node
from tests.security.model import Publication as Shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from tests.security.worlds import World

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def publish(world: World, provider_id: int, month: date) -> None:
    """Publish a month for the first time, or again with other figures."""
    provider = Provider.objects.get(pk=provider_id)
    services = [Service.objects.get_or_create(provider=provider, code=code)[0] for code in ("compute", "storage")]
    cluster, _ = Cluster.objects.get_or_create(provider=provider, code="one")
    figures = {
        Leaf(part, service.pk, cluster.pk): world.rng.randint(0, 3) * 10 ** world.rng.randint(0, 12)
        for part, account in sorted(world.model.resource_groups.items())
        if world.model.accounts[account] == provider_id
        for service in services
        if world.rng.random() < 0.8
    }
    run = _run(world, provider, month)
    RunLocation.objects.create(run=run, cluster=cluster, facility_wh=1, it_wh=1, zero_emission=False)
    _write(world, run, figures)
    fill_account_totals(run.pk)
    show(world, run, figures)


def restate_what_moved(world: World) -> None:
    """Publish again, by the tree as it is now, every published month whose tree was changed (cause: hierarchy)."""
    for shown in list(world.model.publications):
        current = world.model.shown(shown.provider, shown.month)
        if current is shown and _parents(world, shown.month) != shown.parents:
            run = AllocationRun.objects.get(publications__pk=shown.id)
            show(world, run, shown.figures)


def show(world: World, run: AllocationRun, figures: Mapping[Leaf, int]) -> None:
    """Move the pointer of the run's month to a new publication of it."""
    pointer = PublishedMonth.objects.filter(provider=run.provider, month=run.month).first()
    AllocationRun.objects.filter(pk=run.pk).update(state=RunState.PUBLISHED)
    made = Publication.objects.create(
        provider=run.provider,
        month=run.month,
        run=run,
        restates=pointer.publication if pointer else None,
        cause=Cause.HIERARCHY if pointer else Cause.FIRST,
        published_at=world.now,
    )
    fill_container_totals(publication_id=made.pk, run_id=run.pk, month=run.month)
    PublishedMonth.objects.update_or_create(provider=run.provider, month=run.month, defaults={"publication": made})
    world.model.publications.append(
        Shown(made.pk, run.provider_id, run.month, world.now, figures, _parents(world, run.month))
    )


def _parents(world: World, month: date) -> dict[Node, Node]:
    return {
        node: parent
        for (node, in_month), parent in world.model.places.items()
        if in_month == month and node.kind in {ACCOUNT, GROUP}
    }


def _run(world: World, provider: Provider, month: date) -> AllocationRun:
    version, _ = MethodologyVersion.objects.get_or_create(
        provider=provider,
        name="oracle",
        version="1",
        defaults={"preset": "custom", "gwp_set": "AR6", "options": {}, "options_digest": "0", "created_at": LONG_AGO},
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
        loaded_at=LONG_AGO,
    )
    return AllocationRun.objects.create(
        provider=provider,
        month=month,
        package=package,
        methodology_version=version,
        state=RunState.READY,
        requested_at=world.now,
        ledger_rows=0,
    )


def _write(world: World, run: AllocationRun, figures: Mapping[Leaf, int]) -> None:
    """Ledger rows of scope 1, estimated to the half."""
    part = partitions.ledger_of(run.pk)
    partitions.create(part)
    accounts = world.model.resource_groups
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {part.table} (id, run_id, cluster_id, service_id, account_id, resource_group_id, special,"  # noqa: S608 our own table
            " line, quality, ug, estimated_ug, estimated_ppm) VALUES (%s, %s, %s, %s, %s, %s, 0, 0, 0, %s, %s, 500000)",
            [
                (
                    run.pk * 1000 + number,
                    run.pk,
                    leaf.cluster,
                    leaf.service,
                    accounts[leaf.resource_group].id,
                    leaf.resource_group.id,
                    ug,
                    ug // 2,
                )
                for number, (leaf, ug) in enumerate(sorted(figures.items()))
            ],
        )
    partitions.index(part)
    partitions.attach(part)
