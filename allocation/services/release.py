"""The release calendar: a provider's months are published by themselves, lag and day of month given."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q

from accounts.months import shift
from allocation.models import AllocationRun, Package, Publication, RunFinding, RunState, Severity
from allocation.services.proof import ProofError
from allocation.services.publication import AlreadyPublished, NotPublishable, VersionConflict, publish_run
from allocation.services.system import system

if TYPE_CHECKING:
    import datetime as dt

    from accounts.models import Provider

logger = logging.getLogger(__name__)


def is_due(provider: Provider, month: dt.date, now: dt.datetime) -> bool:
    """Tell whether a month's release date has come, in the provider's time zone.

    With a lag of 2 and day 15, June is due from 15 August on (whole months lie between its end and that month: July).
    """
    today = now.astimezone(ZoneInfo(provider.time_zone)).date()
    return today >= shift(month, provider.release_lag_months).replace(day=provider.release_day)


def publish_due_months(*, now: dt.datetime) -> list[Publication]:
    """Publish, for the first time, every month that is due and has a clean run of its newest package.

    Clean: ready, and no usage row was left out. A run whose request said so is published whatever the calendar says.
    Two schedulers at once publish once.
    """
    newer = Package.objects.filter(
        provider=OuterRef("provider"), month=OuterRef("month"), number__gt=OuterRef("package__number")
    )
    published = Publication.objects.filter(provider=OuterRef("provider"), month=OuterRef("month"))
    rejected = RunFinding.objects.filter(run=OuterRef("pk")).exclude(severity=Severity.FLAG)
    runs = (
        AllocationRun.objects.filter(state=RunState.READY)
        .filter(~Exists(newer), ~Exists(published))
        .filter(Q(publish_when_ready=True) | (Q(package__rejected_rows=0) & ~Exists(rejected)))
        .select_related("provider")
        .order_by("month", "-pk")
    )
    publications = []
    for run in runs:
        if not (run.publish_when_ready or is_due(run.provider, run.month, now)):
            continue
        try:
            publications.append(publish_run(viewer=system(now), run_id=run.pk))
        except (AlreadyPublished, NotPublishable):
            continue  # another scheduler, or an operator, was first
        except (ProofError, VersionConflict) as error:
            logger.error("run %d is not published: %s", run.pk, error)  # noqa: TRY400 the message says it all
    return publications
