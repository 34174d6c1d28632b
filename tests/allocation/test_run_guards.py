"""What the database itself refuses."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.models import EnterpriseParent, ResourceDirectory
from allocation.models import (
    LEGAL_TRANSITIONS,
    AllocationRun,
    ContainerTotal,
    LedgerRow,
    Publication,
    RunProof,
    RunState,
)
from allocation.services.publication import publish_run
from tests.factories.months import NOW, OPERATOR, Month, month

pytestmark = pytest.mark.django_db


@pytest.fixture
def published() -> Month:
    june = month()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return june


def refused(statement: str, *values: str | int) -> bool:
    """Tell whether the database refuses a statement that concerns some rows; it is taken back either way."""
    point = transaction.savepoint()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            assert cursor.rowcount > 0
    except DatabaseError:
        return True
    else:
        return False
    finally:
        transaction.savepoint_rollback(point)


@pytest.mark.parametrize("before", RunState)
def test_the_database_knows_the_legal_transitions(before: RunState) -> None:
    june = month()
    run = AllocationRun.objects.create(
        provider=june.provider,
        month=june.package.month,
        package=june.package,
        methodology_version=june.package.methodology_version,
        requested_at=NOW,
        state=before,
        ledger_rows=1,
    )
    for after in set(RunState) - {before}:
        statement = "UPDATE allocation_allocationrun SET state = %s WHERE id = %s"
        assert refused(statement, after, run.pk) == (after not in LEGAL_TRANSITIONS[before]), after


@pytest.mark.parametrize("change", ["ledger_digest = ''", "ledger_rows = 1", "worker = 'x'", "code_version = ''"])
def test_a_finished_run_cannot_be_changed(published: Month, change: str) -> None:
    run = AllocationRun.objects.get(package=published.package)
    assert refused(f"UPDATE allocation_allocationrun SET {change} WHERE id = %s", run.pk)  # noqa: S608 parametrized above


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE allocation_ledgerrow SET ug = ug + 1",
        "DELETE FROM allocation_ledgerrow",
        "INSERT INTO allocation_ledgerrow SELECT * FROM allocation_ledgerrow ORDER BY run_id DESC LIMIT 1",
        "UPDATE allocation_accounttotal SET scope1_ug = 0",
        "DELETE FROM allocation_accounttotal",
        "UPDATE allocation_runproof SET line = line || 'x'",
        "DELETE FROM allocation_runproof",
        "DELETE FROM allocation_runchunk",
        "UPDATE allocation_publication SET reason = 'x'",
        "DELETE FROM allocation_publication",
        "DELETE FROM allocation_allocationrun",
        "UPDATE allocation_runtransition SET reason = 'x'",
    ],
)
def test_what_was_published_cannot_be_changed(published: Month, statement: str) -> None:
    assert published.package.runs.get().state == RunState.PUBLISHED
    assert refused(statement)


def test_container_totals_are_never_changed(published: Month) -> None:
    publication = Publication.objects.get(run__package=published.package)
    enterprise = EnterpriseParent.objects.create(external_id="e", name="E")
    directory = ResourceDirectory.objects.create(
        provider=publication.provider, enterprise=enterprise, external_id="d", name="D"
    )
    ContainerTotal.objects.create(publication=publication, directory=directory, grain=0, accounts=1)
    for change in ("UPDATE allocation_containertotal SET accounts = 0", "DELETE FROM allocation_containertotal"):
        assert refused(f"{change} WHERE publication_id = %s", publication.pk)


def test_an_unpublished_run_may_be_dropped() -> None:
    run = month().run()
    assert not refused("DELETE FROM allocation_ledgerrow WHERE run_id = %s", run.pk)
    assert LedgerRow.objects.filter(run=run).exists()
    assert RunProof.objects.filter(run=run).exists()
