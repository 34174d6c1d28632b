"""Publishing a month: checked, all at once, and never undone."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction
from django.db.models import F

from accounts.models import User
from allocation.models import (
    AccountTotal,
    Cause,
    ContainerTotal,
    LedgerRow,
    Publication,
    PublishedMonth,
    RunProof,
    RunState,
)
from allocation.selectors import publications
from allocation.selectors.publications import as_of
from allocation.services.proof import ProofError
from allocation.services.publication import (
    AlreadyPublished,
    MonthLocked,
    NotPublishable,
    VersionConflict,
    lock_month,
    publish_run,
    withdraw_run,
)
from allocation.services.restatement import approve_restatement, restate_month
from allocation.services.system import system
from tests.factories.connections import elsewhere
from tests.factories.months import MONTH, NOW, OPERATOR, month

if TYPE_CHECKING:
    from django.db.models.expressions import CombinedExpression

pytestmark = pytest.mark.django_db


def test_publishing_moves_the_pointer_and_binds_the_methodology() -> None:
    june = month()
    run = june.run()
    publication = publish_run(viewer=OPERATOR, run_id=run.pk)
    assert PublishedMonth.objects.get(provider=june.provider, month=MONTH).publication == publication
    assert (publication.cause, publication.restates, publication.published_at) == (Cause.FIRST, None, NOW)
    run.refresh_from_db()
    assert run.state == RunState.PUBLISHED
    june.package.methodology_version.refresh_from_db()
    assert june.package.methodology_version.bound_at == NOW
    assert publish_run(viewer=OPERATOR, run_id=run.pk) == publication


def test_a_methodology_published_with_other_options_is_not_published() -> None:
    june = month()
    july = month(june.provider, when=dt.date(2025, 7, 1), options={"pool_driver": "equal"})
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    run = july.run()
    with pytest.raises(VersionConflict) as refusal:
        publish_run(viewer=OPERATOR, run_id=run.pk)
    assert refusal.value.code == "VERSION_CONFLICT"
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert not PublishedMonth.objects.filter(month=july.package.month).exists()
    july.package.methodology_version.refresh_from_db()
    assert july.package.methodology_version.bound_at is None


def test_a_month_is_not_published_a_second_time_without_a_cause() -> None:
    june = month()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    newer = month(june.provider, seed=1).run()
    with pytest.raises(AlreadyPublished):
        publish_run(viewer=OPERATOR, run_id=newer.pk)
    assert newer.state == RunState.READY


def test_a_run_that_is_not_ready_is_not_published() -> None:
    run = month().request()
    with pytest.raises(NotPublishable, match="queued"):
        publish_run(viewer=OPERATOR, run_id=run.pk)


def test_a_ledger_changed_after_its_proof_is_not_published() -> None:
    june = month()
    run = june.run()
    row = LedgerRow.objects.filter(run=run, ug__gt=0).earliest("id")
    LedgerRow.objects.filter(run=run, pk=row.pk).update(ug=row.ug + 1)
    with pytest.raises(ProofError):
        publish_run(viewer=OPERATOR, run_id=run.pk)
    assert not PublishedMonth.objects.filter(provider=june.provider).exists()


def test_a_row_moved_between_customers_and_internal_is_not_published() -> None:
    run = month().run()
    row = LedgerRow.objects.filter(run=run, account__external_id="a0", ug__gt=0).earliest("id")
    customer = LedgerRow.objects.filter(run=run, account__external_id="a1").earliest("id")
    LedgerRow.objects.filter(run=run, pk=row.pk).update(account=customer.account)
    with pytest.raises(ProofError, match="stored"):
        publish_run(viewer=OPERATOR, run_id=run.pk)


def test_a_missing_row_of_zero_is_not_published() -> None:
    run = month().run()
    row = LedgerRow.objects.filter(run=run, ug=0).earliest("id")
    LedgerRow.objects.filter(run=run, pk=row.pk).delete()
    with pytest.raises(ProofError, match="rows"):
        publish_run(viewer=OPERATOR, run_id=run.pk)


@pytest.mark.parametrize(
    "change",
    [
        {"source_ug": F("source_ug") + 1, "external_ug": F("external_ug") + 1},
        {"estimated_ug": F("source_ug") - F("estimated_ug")},
    ],
)
def test_a_tampered_proof_is_not_published(change: dict[str, CombinedExpression]) -> None:
    run = month().run()
    proof = RunProof.objects.filter(run=run, source_ug__gt=0).earliest("id")
    RunProof.objects.filter(pk=proof.pk).update(**change)
    with pytest.raises(ProofError, match="stored"):
        publish_run(viewer=OPERATOR, run_id=run.pk)


@pytest.mark.usefixtures("committed")
def test_what_is_proved_wrong_beside_the_container_totals_is_not_published() -> None:
    run = month().run()
    RunProof.objects.filter(run=run).update(source_ug=F("source_ug") + 1, external_ug=F("external_ug") + 1)
    with pytest.raises(ProofError, match="stored"):
        publish_run(viewer=OPERATOR, run_id=run.pk)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert not Publication.objects.filter(run=run).exists()
    assert not ContainerTotal.objects.filter(publication__run=run).exists()


@pytest.mark.usefixtures("committed")
def test_two_publishers_at_once_publish_once() -> None:
    june = month()
    run = june.run()
    results = elsewhere(
        lambda: publish_run(viewer=OPERATOR, run_id=run.pk),
        lambda: publish_run(viewer=system(NOW + dt.timedelta(1)), run_id=run.pk),
    )
    assert len({p.pk for p in results}) == 1
    assert PublishedMonth.objects.filter(provider=june.provider).count() == 1


def test_withdrawing_takes_the_month_from_readers_and_keeps_its_figures() -> None:
    june = month()
    run = june.run()
    publication = publish_run(viewer=OPERATOR, run_id=run.pk)
    withdraw_run(viewer=system(NOW + dt.timedelta(1)), run_id=run.pk, reason="wrong meter")
    run.refresh_from_db()
    assert run.state == RunState.WITHDRAWN
    assert not PublishedMonth.objects.filter(provider=june.provider).exists()
    assert publication.withdrawal.reason == "wrong meter"
    assert LedgerRow.objects.filter(run=run).count() == run.ledger_rows
    assert AccountTotal.objects.filter(run=run).exists()


def test_a_locked_month_is_not_withdrawn() -> None:
    june = month()
    run = june.run()
    publish_run(viewer=OPERATOR, run_id=run.pk)
    lock_month(viewer=OPERATOR, provider_id=june.provider.pk, month=MONTH)
    with pytest.raises(MonthLocked):
        withdraw_run(viewer=OPERATOR, run_id=run.pk, reason="x")


def test_attaching_a_partition_waits_for_no_reader() -> None:
    """The lock that attaching takes does not conflict with the one that reading takes."""
    june = month()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'allocation_ledgerrow'::regclass"
        )
        assert "AccessExclusiveLock" not in {mode for (mode,) in cursor.fetchall()}


def test_publications_are_ordered_by_time_also_if_a_clock_went_backwards() -> None:
    june = month()
    first = publish_run(viewer=OPERATOR, run_id=june.run().pk)
    newer = month(june.provider, seed=1).run()
    earlier = system(NOW - dt.timedelta(days=1))
    approved = dataclasses.replace(earlier, user_id=User.objects.create(username="second").pk)
    restatement = restate_month(viewer=earlier, run_id=newer.pk, cause=Cause.DATA, reason="a clock was wrong")
    if restatement.publication is None:
        restatement = approve_restatement(viewer=approved, restatement_id=restatement.pk)
    assert restatement.publication is not None
    assert restatement.publication.published_at > first.published_at
    (pin,) = as_of(moment=restatement.publication.published_at).pins
    assert pin.publication_id == restatement.publication.pk


def test_readers_wait_until_a_publication_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY SEQUENCE settles")
    row = "nextval('settles') < 3, 1::bigint, 2::bigint, 3::bigint, '2025-06-01'::date, NULL::bigint"
    monkeypatch.setattr(publications, "_CURRENT", f"SELECT {row}")
    assert publications.current().pins == ((1, 2, 3, MONTH, None),)
    with connection.cursor() as cursor:
        cursor.execute("SELECT currval('settles')")
        assert cursor.fetchone() == (3,)


@pytest.mark.usefixtures("committed")
def test_a_publication_is_settled_for_its_own_connection_and_once_it_is_committed() -> None:
    run = month().run()
    with transaction.atomic():
        publication = publish_run(viewer=OPERATOR, run_id=run.pk)
        assert [pin.publication_id for pin in publications.current().pins] == [publication.pk]
    assert [pin.publication_id for pin in elsewhere(publications.current)[0].pins] == [publication.pk]


def test_a_ledger_that_readers_do_not_see_is_not_published() -> None:
    run = month().run()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE allocation_ledgerrow DETACH PARTITION allocation_ledgerrow_{run.pk}")
    with pytest.raises(ProofError, match="readers do not see"):
        publish_run(viewer=OPERATOR, run_id=run.pk)
