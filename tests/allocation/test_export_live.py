"""Exports by a real worker process: a message, a lost message, a schedule; what is written is what was published."""

from __future__ import annotations

import csv
import datetime as dt
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.models import Account
from accounts.months import Period, shift
from accounts.policies import viewer_of
from allocation import tasks
from allocation.models import OPEN_EXPORTS, Export, ExportFormat, ExportLayout, ExportState
from allocation.services import exporting, exports
from allocation.services.execution import execute_run
from allocation.services.packages import load_package
from allocation.services.publication import publish_run
from allocation.services.runs import request_run
from tests.factories import people
from tests.factories.months import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.policies import Viewer
    from tests.conftest import LiveWorker

FOLDER = Path(__file__).parents[1] / "packages" / "b_alibaba_like"
ORDER = exports.Order(None, ExportLayout.CANOPY, ExportFormat.CSV)

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def viewer(live_worker: LiveWorker) -> Iterator[Viewer]:
    """Somebody with a role on account T1 of a published month; files are deleted afterwards."""
    assert live_worker.log.exists()
    package = load_package(viewer=OPERATOR, path=FOLDER).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    execute_run(run_id=run.pk, worker="test")
    publish_run(viewer=OPERATOR, run_id=run.pk)
    person = people.person()
    people.give(person, Account.objects.get(external_id="T1"))
    yield viewer_of(person, now=timezone.now())
    for export in Export.objects.all():
        exporting.drop_files(export)


def ready(export: Export, log: Path) -> Export:
    """Wait until the worker is done."""
    deadline = time.monotonic() + 60
    while export.state in OPEN_EXPORTS:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
        export.refresh_from_db()
    assert export.state == ExportState.READY, export.failure_reason
    return export


def amounts(export: Export) -> list[tuple[str, int]]:
    """Line and micrograms of every row with a mass."""
    (file,) = export.files.all()
    with default_storage.open(file.stored_as) as stream:
        rows = list(csv.DictReader(io.TextIOWrapper(stream, "utf-8", newline="")))
    return sorted((row["line"], int(row["micrograms_co2e"])) for row in rows if row["micrograms_co2e"])


def expected() -> list[tuple[str, int]]:
    with (FOLDER / "expected_ledger.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["account"] == "T1"]
    return sorted((row["line"], int(row["ug"])) for row in rows)


def test_a_worker_writes_what_was_ordered(viewer: Viewer, live_worker: LiveWorker) -> None:
    month = Account.objects.get(external_id="T1").provider.published_months.get().month
    made = exports.request_export(viewer=viewer, order=ORDER, period=Period(month, shift(month, 1)))
    for _ in range(3):
        tasks.export_files.delay(export_id=made.pk)
    assert amounts(ready(made, live_worker.log)) == expected()
    assert made.attempt == 1


def test_a_schedule_is_carried_out_without_a_message(viewer: Viewer, live_worker: LiveWorker) -> None:
    schedule = exports.schedule_export(viewer=viewer, order=ORDER, start=None)
    made = schedule.exports.get()
    Export.objects.filter(pk=made.pk).update(requested_at=timezone.now() - dt.timedelta(minutes=1))
    tasks.sweep_exports.delay()
    assert amounts(ready(made, live_worker.log)) == expected()
