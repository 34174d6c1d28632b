"""Proving what was published again, and computing it again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from allocation.models import AllocationRun, LedgerRow
from allocation.services.execution import execute_run
from allocation.services.packages import load_package
from allocation.services.publication import publish_run
from allocation.services.runs import request_run
from allocation.services.verification import (
    reproduce_in_turn,
    reproduce_run,
    run_to_reproduce,
    verify_published_months,
)
from carbon.celery import app
from tests.factories.months import NOW, OPERATOR, Month, month

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

EXAMPLE = Path(__file__).parent.parent / "packages" / "b_alibaba_like"

pytestmark = pytest.mark.django_db


@pytest.fixture
def published() -> tuple[Month, AllocationRun]:
    june = month()
    run = june.run()
    publish_run(viewer=OPERATOR, run_id=run.pk)
    return june, run


def tamper(run: AllocationRun, change: str) -> None:
    """Change the stored ledger behind the back of the triggers, as somebody with the owner's rights could."""
    table = f"allocation_ledgerrow_{run.pk}"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(f"UPDATE {table} SET {change} WHERE id = (SELECT min(id) FROM {table} WHERE ug > 10)")  # noqa: S608 ours
        assert cursor.rowcount == 1
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_untouched_months_are_proved(
    published: tuple[Month, AllocationRun], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify_ledger")
    out, err = capsys.readouterr()
    assert '"code": "PROVED"' in out
    assert f'"run_id": {published[1].pk}' in out
    assert "1 published runs are as they were" in err


def test_who_checks_a_month_finds_its_chunks_by_an_index(published: tuple[Month, AllocationRun]) -> None:
    def chunks_indexed() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"allocation_ledgerrow_{published[1].pk}_by_1"])
            return bool(cursor.fetchone()[0])

    assert not chunks_indexed()
    assert all(verdict.ok for verdict in verify_published_months())
    assert chunks_indexed()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ug = ug - 1, estimated_ug = 0", "PROOF_FAILED"),
        ("quality = (quality + 1) % 7", "LEDGER_CHANGED"),
        ("estimated_ppm = 7", "LEDGER_CHANGED"),
        ("estimated_ug = 0", "PROOF_FAILED"),
    ],
)
def test_a_changed_ledger_is_found(published: tuple[Month, AllocationRun], change: str, code: str) -> None:
    tamper(published[1], change)
    assert [(v.ok, v.code) for v in verify_published_months()] == [(False, code)]
    with pytest.raises(CommandError):
        call_command("verify_ledger")


def test_a_change_that_keeps_every_sum_is_found(published: tuple[Month, AllocationRun]) -> None:
    """Two customers' amounts exchanged: conservation holds, the digest does not."""
    run = published[1]
    rows = list(
        LedgerRow.objects.filter(run=run, line=LedgerRow.objects.filter(run=run).earliest("id").line, special=0)
        .exclude(account__external_id="a0")
        .order_by("cluster", "-ug")[:2]
    )
    assert rows[0].ug != rows[1].ug
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for row, other in (rows, rows[::-1]):
            cursor.execute(
                "UPDATE allocation_ledgerrow SET ug = %s, estimated_ug = %s WHERE run_id = %s AND id = %s",
                [other.ug, other.estimated_ug, run.pk, row.pk],
            )
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert [v.code for v in verify_published_months()] == ["LEDGER_CHANGED"]


def test_a_run_is_reproduced(published: tuple[Month, AllocationRun]) -> None:
    june, run = published
    run.refresh_from_db()
    verdicts = list(reproduce_run(run, prepare=june.engine))
    assert all(verdict.ok for verdict in verdicts)
    same = ["INPUTS_SAME", "OPTIONS_SAME", "CODE_SAME", "CLUSTERS_SAME"]
    assert [verdict.code for verdict in verdicts[:4]] == same
    assert verdicts[-1].code == "LEDGER_SAME"


def test_another_result_is_told_apart_from_another_ledger(published: tuple[Month, AllocationRun]) -> None:
    june, run = published
    run.refresh_from_db()
    other = month(seed=5).engine
    codes = {verdict.code for verdict in reproduce_run(run, prepare=other) if not verdict.ok}
    assert codes == {"COMPUTED_DIFFER", "LEDGER_DIFFER"}
    tamper(run, "quality = (quality + 1) % 7")
    assert "STORED_DIFFER" in {v.code for v in reproduce_run(run, prepare=june.engine) if not v.ok}


def test_changed_options_are_found(published: tuple[Month, AllocationRun]) -> None:
    june, run = published
    version = june.package.methodology_version
    version.options = {**version.options, "pool_driver": "equal"}
    version.save()
    found = AllocationRun.objects.select_related("methodology_version", "package", "provider").get(pk=run.pk)
    assert [v.code for v in reproduce_run(found, prepare=june.engine) if not v.ok] == ["OPTIONS_DIFFER"]


def test_changed_inputs_make_the_command_fail(capsys: pytest.CaptureFixture[str]) -> None:
    package = load_package(viewer=OPERATOR, path=EXAMPLE).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    execute_run(run_id=run.pk, worker="test")
    call_command("reproduce", str(run.pk))
    assert '"code": "LEDGER_SAME"' in capsys.readouterr().out
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE allocation_site SET facility_kwh = facility_kwh + 1 WHERE package_id = %s", [package.pk])
        assert cursor.rowcount > 0
        cursor.execute("SET LOCAL session_replication_role = origin")
    with pytest.raises(CommandError, match="differs"):
        call_command("reproduce", str(run.pk))
    assert '"code": "COMPUTED_DIFFER"' in capsys.readouterr().out


def test_a_sum_of_usage_that_is_not_that_of_its_rows_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    package = load_package(viewer=OPERATOR, path=EXAMPLE).package
    assert package is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE allocation_usagesum SET quantity = quantity + 1, positive_quantity = positive_quantity + 1"
            " WHERE package_id = %s AND quantity = 40000",
            [package.pk],
        )
        assert cursor.rowcount == 1
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    execute_run(run_id=run.pk, worker="test")
    with pytest.raises(CommandError, match="differs"):
        call_command("reproduce", str(run.pk))
    assert '"code": "COMPUTED_DIFFER"' in capsys.readouterr().out


def test_every_published_run_has_its_turn_to_be_reproduced(published: tuple[Month, AllocationRun]) -> None:
    other = month().run()
    month().run()  # is not published
    publish_run(viewer=OPERATOR, run_id=other.pk)
    turns = [run_to_reproduce(NOW + dt.timedelta(hours=hour)) for hour in range(3)]
    assert {run.pk for run in turns if run} == {published[1].pk, other.pk}
    assert turns[0] == turns[2] != turns[1]


def test_what_differs_in_its_turn_is_logged(
    published: tuple[Month, AllocationRun], caplog: pytest.LogCaptureFixture
) -> None:
    june, run = published
    assert all(verdict.ok for verdict in reproduce_in_turn(now=NOW, prepare=june.engine))
    assert not caplog.records
    tamper(run, "quality = (quality + 1) % 7")
    assert not all(verdict.ok for verdict in reproduce_in_turn(now=NOW, prepare=june.engine))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage().split()[0]) == ("ERROR", "STORED_DIFFER")


def test_without_a_published_run_nothing_is_reproduced() -> None:
    month().run()
    assert reproduce_in_turn(now=NOW) == []


def test_the_clock_verifies_and_reproduces(settings: Settings) -> None:
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    names = ("sweep_runs", "publish_due_months", "verify_ledger", "reproduce_in_turn", "drop_leftovers")
    assert scheduled >= {f"allocation.tasks.{name}" for name in names}
    assert scheduled <= set(app.tasks)
