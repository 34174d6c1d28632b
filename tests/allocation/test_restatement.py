"""Publishing a month again: cause, reason, author, and where it matters a second operator."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.db.models import Sum

from accounts.models import Account, AccountMembership, TreeVersion, User
from accounts.policies import Viewer
from accounts.services.refusal import PermissionDenied
from allocation.models import (
    AllocationRun,
    Cause,
    ContainerTotal,
    LedgerRow,
    Publication,
    PublishedMonth,
    Restatement,
    RunState,
)
from allocation.services.publication import NotPublished, lock_month, publish_run, withdraw_run
from allocation.services.restatement import (
    ApprovalRequired,
    RestatementDecided,
    RestatementOpen,
    approve_restatement,
    reject_restatement,
    restate_hierarchy,
    restate_month,
)
from tests.factories.months import MONTH, NOW, OPERATOR, Month, month
from tests.factories.trees import tree

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

    from allocation.engine.frames import Ledger

pytestmark = pytest.mark.django_db


@pytest.fixture
def first() -> Viewer:
    return Viewer(User.objects.create(username="first").pk, is_active=True, is_operator=True, now=NOW)


@pytest.fixture
def second() -> Viewer:
    return Viewer(User.objects.create(username="second").pk, is_active=True, is_operator=True, now=NOW)


def changed(june: Month, *, percent: int, seed: int = 7) -> Month:
    """Make a newer package of the same month in which every amount is larger by a share."""
    newer = month(june.provider, seed=seed)
    newer.engine.ledgers = {code: larger(ledger, percent) for code, ledger in june.engine.ledgers.items()}
    return newer


def larger(ledger: Ledger, percent: int) -> Ledger:
    ug = np.array([int(amount) * (100 + percent) // 100 for amount in ledger.ug], np.int64)
    source = {line: sum(int(u) for u in ug[ledger.line == number]) for number, line in enumerate(ledger.lines)}
    return dataclasses.replace(ledger, ug=ug, source_ug=source)


def published() -> Month:
    june = month(accounts=9)
    for code, ledger in june.engine.ledgers.items():
        # Large enough for a percent to be an integer, small enough for 20 percent more to fit.
        ledger.ug[:] = 1_000_000 + ledger.ug % 1_000_000
        ledger.estimated_ug[:] = 0
        june.engine.ledgers[code] = larger(ledger, 0)
    tree(june.provider, list(Account.objects.filter(provider=june.provider)), month=MONTH, seed=1)
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    return june


def current(june: Month) -> Publication:
    return PublishedMonth.objects.get(provider=june.provider, month=MONTH).publication


def test_a_small_difference_is_published_at_once_and_the_old_figures_stay(first: Viewer) -> None:
    june = published()
    old = current(june)
    run = changed(june, percent=4).run()
    restatement = restate_month(viewer=first, run_id=run.pk, cause=Cause.DATA, reason="late meter")
    new = current(june)
    assert restatement.publication == new
    assert (new.restates, new.cause, new.reason, new.published_by_id) == (old, Cause.DATA, "late meter", first.user_id)
    assert (restatement.approval_because, restatement.author_id) == ("", first.user_id)
    assert restatement.largest_difference_ppm is not None
    assert 39_000 < restatement.largest_difference_ppm <= 40_000
    old_run = AllocationRun.objects.get(pk=old.run_id)
    assert old_run.state == RunState.SUPERSEDED
    assert LedgerRow.objects.filter(run=old_run).count() == old_run.ledger_rows
    assert ContainerTotal.objects.filter(publication=old).exists()
    assert ContainerTotal.objects.filter(publication=new).exists()


def test_a_large_difference_waits_for_a_second_operator(first: Viewer, second: Viewer) -> None:
    june = published()
    old = current(june)
    run = changed(june, percent=6).run()
    restatement = restate_month(viewer=first, run_id=run.pk, cause=Cause.FACTOR, reason="new factors")
    assert restatement.publication is None
    assert "6.00 %" in restatement.approval_because or "5.99 %" in restatement.approval_because
    assert current(june) == old
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert Publication.objects.filter(provider=june.provider).count() == 1
    with pytest.raises(RestatementOpen):
        restate_month(viewer=first, run_id=run.pk, cause=Cause.FACTOR, reason="again")
    with pytest.raises(PermissionDenied):
        approve_restatement(viewer=first, restatement_id=restatement.pk)
    with pytest.raises(PermissionDenied):
        approve_restatement(viewer=OPERATOR, restatement_id=restatement.pk)
    approved = approve_restatement(viewer=second, restatement_id=restatement.pk)
    assert current(june) == approved.publication
    assert (approved.author_id, approved.approver_id) == (first.user_id, second.user_id)
    with pytest.raises(RestatementDecided):
        approve_restatement(viewer=second, restatement_id=restatement.pk)


def test_a_resource_group_alone_is_a_node_whose_total_matters(first: Viewer) -> None:
    june = published()
    newer = month(june.provider, seed=7)
    newer.engine.ledgers = {code: larger(ledger, 0) for code, ledger in june.engine.ledgers.items()}
    account = moved_within_an_account(newer)
    run = newer.run()
    restatement = restate_month(viewer=first, run_id=run.pk, cause=Cause.DATA, reason="other tags")
    before, after = (
        LedgerRow.objects.filter(run=one, account__external_id=account).aggregate(Sum("ug"))["ug__sum"]
        for one in (current(june).run_id, run)
    )
    assert before == after
    assert restatement.publication is None
    assert "the total of resource group " in restatement.approval_because


def moved_within_an_account(newer: Month) -> str:
    """Move a leaf's emissions to another resource group of its account and line; return the account."""
    for ledger in newer.engine.ledgers.values():
        for one in range(len(ledger.ug)):
            alike = (ledger.account == ledger.account[one]) & (ledger.line == ledger.line[one])
            for other in np.flatnonzero(alike & (ledger.group != ledger.group[one])):
                if ledger.lines[ledger.line[one]] != "energy_wh" and ledger.ug[one]:
                    ledger.ug[other] += ledger.ug[one]
                    ledger.ug[one] = 0
                    return str(ledger.accounts[ledger.account[one]])
    raise AssertionError("no account has two resource groups")


def test_the_limit_is_configurable(first: Viewer, settings: Settings) -> None:
    settings.ALLOCATION_APPROVAL_PPM = 100_000
    june = published()
    run = changed(june, percent=6).run()
    assert restate_month(viewer=first, run_id=run.pk, cause=Cause.DATA, reason="x").publication == current(june)


def test_a_locked_month_waits_for_a_second_operator_however_small_the_difference(first: Viewer) -> None:
    june = published()
    lock_month(viewer=first, provider_id=june.provider.pk, month=MONTH)
    run = changed(june, percent=0).run()
    restatement = restate_month(viewer=first, run_id=run.pk, cause=Cause.ERROR, reason="x")
    assert restatement.approval_because == "the month is locked"
    assert restatement.largest_difference_ppm == 0


def test_a_total_that_was_zero_always_matters(first: Viewer) -> None:
    june = month()
    ledgers = {code: dataclasses.replace(ledger) for code, ledger in june.engine.ledgers.items()}
    june.engine.ledgers = {code: larger(ledger, -100) for code, ledger in ledgers.items()}
    for ledger in june.engine.ledgers.values():
        ledger.estimated_ug[:] = 0
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    newer = month(june.provider, seed=7)
    newer.engine.ledgers = ledgers
    restatement = restate_month(viewer=first, run_id=newer.run().pk, cause=Cause.DATA, reason="x")
    assert restatement.publication is None
    assert restatement.largest_difference_ppm is None


def test_a_rejected_restatement_is_decided_and_another_may_follow(first: Viewer, second: Viewer) -> None:
    june = published()
    run = changed(june, percent=50).run()
    restatement = restate_month(viewer=first, run_id=run.pk, cause=Cause.DATA, reason="x")
    rejected = reject_restatement(viewer=second, restatement_id=restatement.pk, reason="not yet")
    assert (rejected.rejected_because, rejected.publication) == ("not yet", None)
    assert restate_month(viewer=first, run_id=run.pk, cause=Cause.DATA, reason="y").pk != restatement.pk


def test_an_approval_is_refused_when_something_else_was_published_meanwhile(first: Viewer, second: Viewer) -> None:
    june = published()
    waiting = restate_month(viewer=first, run_id=changed(june, percent=50).run().pk, cause=Cause.DATA, reason="x")
    restate_hierarchy(viewer=first, provider_id=june.provider.pk, months=[MONTH], reason="y", change=lambda: None)
    with pytest.raises(RestatementDecided, match="out of date"):
        approve_restatement(viewer=second, restatement_id=waiting.pk)


def test_a_month_that_was_never_published_is_not_restated(first: Viewer) -> None:
    with pytest.raises(NotPublished):
        restate_month(viewer=first, run_id=month().run().pk, cause=Cause.DATA, reason="x")


def test_after_a_withdrawal_the_month_comes_back_as_a_restatement(first: Viewer) -> None:
    june = published()
    old = current(june)
    withdraw_run(viewer=first, run_id=old.run_id, reason="wrong")
    run = changed(june, percent=1).run()
    restatement = restate_month(viewer=first, run_id=run.pk, cause=Cause.ERROR, reason="right")
    assert restatement.publication == current(june)
    assert current(june).restates == old


def test_the_run_before_may_be_published_again(first: Viewer) -> None:
    june = published()
    old_run_id = current(june).run_id
    restate_month(viewer=first, run_id=changed(june, percent=1).run().pk, cause=Cause.DATA, reason="x")
    restate_month(viewer=first, run_id=old_run_id, cause=Cause.ERROR, reason="the meter was right")
    assert current(june).run_id == old_run_id
    assert Publication.objects.filter(provider=june.provider).count() == 3


def move_everybody_out(june: Month) -> None:
    """Change the structure of the month as a service of accounts would."""
    version = TreeVersion.objects.create(recorded_at=NOW)
    AccountMembership.objects.filter(account__provider=june.provider).update(superseded_by=version)


def test_a_change_of_published_structure_makes_a_new_publication_of_the_same_run(first: Viewer, second: Viewer) -> None:
    june = published()
    old = current(june)
    (restatement,) = restate_hierarchy(
        viewer=first,
        approver=second,
        provider_id=june.provider.pk,
        months=[MONTH, dt.date(2025, 7, 1)],
        reason="reorganised",
        change=lambda: move_everybody_out(june),
    )
    new = current(june)
    assert restatement.publication == new
    assert (new.run_id, new.cause, new.restates) == (old.run_id, Cause.HIERARCHY, old)
    assert (new.tree_version_id or 0) > (old.tree_version_id or 0)
    assert ContainerTotal.objects.filter(publication=old).exists()
    assert not ContainerTotal.objects.filter(publication=new).exists()
    assert AllocationRun.objects.get(pk=old.run_id).state == RunState.PUBLISHED


def test_a_large_change_of_structure_without_a_second_operator_changes_nothing(first: Viewer) -> None:
    june = published()
    old = current(june)
    with pytest.raises(ApprovalRequired):
        restate_hierarchy(
            viewer=first,
            provider_id=june.provider.pk,
            months=[MONTH],
            reason="reorganised",
            change=lambda: move_everybody_out(june),
        )
    assert current(june) == old
    assert AccountMembership.objects.filter(account__provider=june.provider, superseded_by=None).exists()
    assert not Restatement.objects.filter(provider=june.provider).exists()
    assert not ContainerTotal.objects.filter(publication_id__gt=old.pk).exists()
