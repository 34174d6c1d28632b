"""Published months of a random world: figures at the leaves, rolled up by the real writers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from accounts.models import Provider
from allocation.models import AllocationRun, Cause, Cluster, RunLocation, Service
from tests.factories import publications
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
    run = publications.ready_run(provider, month, at=LONG_AGO)
    RunLocation.objects.create(run=run, cluster=cluster, facility_wh=1, it_wh=1, zero_emission=False)
    _write(world, run, figures)
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
    made = publications.show(run, at=world.now, again=Cause.HIERARCHY)
    world.model.publications.append(
        Shown(made.pk, run.provider_id, run.month, world.now, figures, _parents(world, run.month))
    )


def _parents(world: World, month: date) -> dict[Node, Node]:
    return {
        node: parent
        for (node, in_month), parent in world.model.places.items()
        if in_month == month and node.kind in {ACCOUNT, GROUP}
    }


def _write(world: World, run: AllocationRun, figures: Mapping[Leaf, int]) -> None:
    """Ledger rows of scope 1, estimated to the half."""
    accounts = world.model.resource_groups
    publications.write_rows(
        run,
        [
            publications.Row(
                leaf.cluster,
                leaf.service,
                accounts[leaf.resource_group].id,
                leaf.resource_group.id,
                line=0,
                ug=ug,
                estimated_ug=ug // 2,
                estimated_ppm=500_000,
            )
            for leaf, ug in sorted(figures.items())
        ],
    )
