"""The example package through database, real worker process and export, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from allocation import tasks
from allocation.exchange.export import export_csv
from allocation.models import AllocationRun, PublishedMonth, RunState
from allocation.services import leases
from allocation.services.packages import load_package
from allocation.services.runs import newest_package, request_run
from allocation.services.verification import reproduce_run, verify_published_months
from tests.conftest import LiveWorker, live_environment
from tests.factories.months import MONTH, OPERATOR

EXAMPLE = Path(__file__).parent.parent / "packages" / "b_alibaba_like"

pytestmark = pytest.mark.usefixtures("committed")


def load() -> None:
    report = load_package(viewer=OPERATOR, path=EXAMPLE)
    assert report.package is not None


def exported(run: AllocationRun) -> bytes:
    stream = BytesIO()
    export_csv(run, stream)
    return stream.getvalue()


def expected() -> bytes:
    return (EXAMPLE / "expected_ledger.csv").read_bytes()


def wait_for(run: AllocationRun, seconds: float = 60) -> AllocationRun:
    deadline = time.monotonic() + seconds
    while run.state in {"queued", "reading", "allocating", "writing", "proving"}:
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
        run.refresh_from_db()
    return run


def test_the_example_comes_out_byte_for_byte(live_worker: LiveWorker, capsys: pytest.CaptureFixture[str]) -> None:
    load()
    call_command("allocate", "2025-06", provider="bravo", publish=True)
    out, err = capsys.readouterr()
    run = PublishedMonth.objects.get(month=MONTH).publication.run
    assert exported(run) == expected(), live_worker.log.read_text()
    assert run.chunks.exclude(worker="").count() == run.chunks.count()
    assert all(json.loads(line)["code"] for line in out.splitlines())
    assert "starting one" not in err
    assert [verdict.ok for verdict in verify_published_months()] == [True]
    assert all(verdict.ok for verdict in reproduce_run(run))


def test_the_same_message_many_times_gives_one_run(live_worker: LiveWorker) -> None:  # noqa: ARG001 does the work
    load()
    run = request_run(viewer=OPERATOR, package_id=newest_package(provider_code="bravo", month=MONTH).pk)
    for _ in range(5):
        tasks.allocate_run.delay(run_id=run.pk)
        tasks.help_run.delay(run_id=run.pk)
    assert wait_for(run).state == RunState.READY
    assert exported(run) == expected()
    assert run.attempt == 1
    assert list(run.transitions.values_list("to_state", flat=True)) == [
        "queued", "reading", "allocating", "writing", "proving", "ready",
    ]  # fmt: skip


def test_a_message_that_was_lost_is_swept(live_worker: LiveWorker) -> None:  # noqa: ARG001 does the work
    load()
    run = request_run(viewer=OPERATOR, package_id=newest_package(provider_code="bravo", month=MONTH).pk)
    time.sleep(leases.QUEUED_GRACE.total_seconds() + 1)  # by the database's clock; until then its message is on its way
    tasks.sweep_runs.delay()
    assert wait_for(run).state == RunState.READY


def test_without_a_package_the_command_fails() -> None:
    with pytest.raises(CommandError, match="no package"):
        call_command("allocate", "2025-06", provider="nobody")


def connected() -> set[int]:
    """The processes of the server that serve somebody who is connected to this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_without_a_worker_the_command_starts_one_and_ends_it() -> None:
    load()
    before = connected()
    # Queues of its own, which nobody listens to.
    environment = {
        **os.environ, **live_environment(), "CANOPY_QUEUE_PREFIX": f"alone-{os.getpid()}",
        "CANOPY_EMBEDDED_BROKER_DATABASE": "63",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "manage.py", "allocate", "2025-06", "--provider", "bravo"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "starting one" in done.stderr
    run = AllocationRun.objects.get()
    assert exported(run) == expected()
    # The server notices after a moment that a client is gone; another test's worker may ask something meanwhile.
    deadline = time.monotonic() + 30
    while left := connected() - before:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
