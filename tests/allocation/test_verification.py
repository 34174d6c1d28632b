"""Proving what was published again, and computing it again."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from allocation.models import AllocationRun, LedgerRow
from allocation.services.publication import publish_run
from allocation.services.verification import reproduce_run, verify_published_months
from tests.factories.months import OPERATOR, Month, month

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


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ug = ug - 1, estimated_ug = 0", "PROOF_FAILED"),
        ("quality = (quality + 1) % 7", "LEDGER_CHANGED"),
        ("estimated_ppm = 7", "LEDGER_CHANGED"),
        ("estimated_ug = 0", "LEDGER_CHANGED"),
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
                "UPDATE allocation_ledgerrow SET ug = %s, estimated_ug = 0 WHERE run_id = %s AND id = %s",
                [other.ug, run.pk, row.pk],
            )
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert [v.code for v in verify_published_months()] == ["LEDGER_CHANGED"]


def test_a_run_is_reproduced(published: tuple[Month, AllocationRun]) -> None:
    june, run = published
    run.refresh_from_db()
    verdicts = list(reproduce_run(run, prepare=june.engine))
    assert all(verdict.ok for verdict in verdicts)
    assert [verdict.code for verdict in verdicts[:3]] == ["INPUTS_SAME", "CODE_SAME", "CLUSTERS_SAME"]


def test_another_result_is_told_apart_from_another_ledger(published: tuple[Month, AllocationRun]) -> None:
    june, run = published
    run.refresh_from_db()
    other = month(seed=5).engine
    codes = {verdict.code for verdict in reproduce_run(run, prepare=other) if not verdict.ok}
    assert codes == {"COMPUTED_DIFFER"}
    tamper(run, "quality = (quality + 1) % 7")
    assert "STORED_DIFFER" in {v.code for v in reproduce_run(run, prepare=june.engine) if not v.ok}
