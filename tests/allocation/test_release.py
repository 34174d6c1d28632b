"""The release calendar, and what is dropped by policy."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Provider
from allocation.models import AllocationRun, LedgerRow, PublishedMonth, RunState
from allocation.services import partitions
from allocation.services.publication import publish_run
from allocation.services.release import is_due, publish_due_months
from allocation.services.retention import drop_leftovers
from allocation.services.runs import cancel_run
from tests.factories.months import MONTH, NOW, OPERATOR, month

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("lag", "day", "zone", "instant", "due"),
    [
        (2, 15, "UTC", "2025-08-14T23:59:59+00:00", False),
        (2, 15, "UTC", "2025-08-15T00:00:00+00:00", True),
        (2, 15, "Asia/Shanghai", "2025-08-14T15:59:59+00:00", False),
        (2, 15, "Asia/Shanghai", "2025-08-14T16:00:00+00:00", True),
        (0, 1, "UTC", "2025-06-01T00:00:00+00:00", True),
        (7, 1, "UTC", "2025-12-31T00:00:00+00:00", False),
        (7, 1, "UTC", "2026-01-01T00:00:00+00:00", True),
    ],
)
def test_a_month_is_due_in_the_providers_own_time(lag: int, day: int, zone: str, instant: str, due: bool) -> None:  # noqa: FBT001 a column of the table above
    owner = Provider(code="p", time_zone=str(ZoneInfo(zone)), release_lag_months=lag, release_day=day)
    assert is_due(owner, MONTH, dt.datetime.fromisoformat(instant)) is due


DUE = dt.datetime(2025, 8, 15, tzinfo=dt.UTC)


def test_a_clean_run_is_published_when_its_month_is_due_and_only_once() -> None:
    june = month()
    run = june.run()
    assert publish_due_months(now=DUE - dt.timedelta(seconds=1)) == []
    (publication,) = publish_due_months(now=DUE)
    assert (publication.run_id, publication.published_by_id) == (run.pk, None)
    assert publish_due_months(now=DUE) == []


def test_a_run_with_rows_left_out_waits_for_an_operator() -> None:
    june = month()
    june.package.rejected_rows = 1
    june.package.save()
    june.run()
    assert publish_due_months(now=DUE) == []


def test_a_run_of_an_older_package_is_not_published() -> None:
    june = month()
    june.run()
    month(june.provider, seed=1)
    assert publish_due_months(now=DUE) == []


def test_the_calendar_never_restates() -> None:
    june = month()
    june.run(publish=True)
    assert len(publish_due_months(now=NOW)) == 1
    month(june.provider, seed=1).run()
    assert publish_due_months(now=NOW) == []


def test_who_asked_for_it_gets_the_month_published_as_soon_as_it_is_ready() -> None:
    june = month()
    june.run(publish=True)
    assert len(publish_due_months(now=dt.datetime(2025, 6, 2, tzinfo=dt.UTC))) == 1


def test_rows_of_runs_that_nobody_saw_are_dropped_and_published_ones_kept() -> None:
    june = month()
    cancelled = june.request()
    cancel_run(viewer=OPERATOR, run_id=cancelled.pk)
    published = june.run()
    publish_run(viewer=OPERATOR, run_id=published.pk)
    idle = month(june.provider, seed=1).run()
    newer = month(june.provider, seed=2).run()
    assert drop_leftovers(now=NOW) == []
    finished_at = AllocationRun.objects.get(pk=idle.pk).finished_at
    assert finished_at is not None
    later = finished_at + dt.timedelta(days=91)
    assert drop_leftovers(now=later) == [idle.pk]
    idle.refresh_from_db()
    assert idle.state == RunState.WITHDRAWN
    last = idle.transitions.latest("pk")
    assert (last.from_state, last.to_state, last.reason) == ("ready", "withdrawn", "dropped by policy")
    assert not partitions.exists(partitions.ledger_of(idle.pk))
    assert LedgerRow.objects.filter(run=newer).count() == newer.ledger_rows
    assert LedgerRow.objects.filter(run=published).count() == published.ledger_rows
    assert PublishedMonth.objects.get(provider=june.provider).publication.run_id == published.pk
