"""A run on its way: from the request to ready, delivered twice, interrupted, cancelled, failed."""

from __future__ import annotations

import datetime as dt
import re
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User
from accounts.policies import Viewer
from allocation.engine.frames import Finding, Ledger, PackageRejectedError
from allocation.models import (
    AllocationRun,
    Cluster,
    LedgerRow,
    PackageCluster,
    RunChunk,
    RunProof,
    RunState,
    RunTransition,
)
from allocation.services import partitions
from allocation.services.digests import chunk_digest
from allocation.services.execution import execute_run, help_run
from allocation.services.leases import claim_run, runs_to_wake, wake_again_after
from allocation.services.publication import publish_run
from allocation.services.retention import drop_leftovers
from allocation.services.runs import RunInProgress, cancel_run, request_run
from allocation.services.stored import stored_ledger
from allocation.services.transitions import Claim, RunCancelledError, move
from carbon.environment import CLONE_DIR
from tests.factories.connections import elsewhere
from tests.factories.months import NOW, OPERATOR, Handmade, month

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db


def states(run: AllocationRun) -> list[str]:
    return list(RunTransition.objects.filter(run=run).values_list("to_state", flat=True))


def test_a_run_goes_through_all_states_and_stores_what_was_computed() -> None:
    june = month()
    run = june.run()
    assert states(run) == ["queued", "reading", "allocating", "writing", "proving", "ready"]
    assert run.ledger_rows == sum(len(ledger.ug) for ledger in june.engine.ledgers.values())
    for chunk in run.chunks.select_related("cluster"):
        computed = june.engine.ledgers[chunk.cluster.code]
        assert chunk_digest(stored_ledger(run, chunk)) == chunk_digest(computed) == chunk.ledger_digest
    ids = list(LedgerRow.objects.filter(run=run).order_by("id").values_list("id", "cluster__code"))
    assert [code for _, code in ids] == sorted(code for _, code in ids)


def test_every_change_of_state_tells_when_by_whom_how_long_and_how_many_rows() -> None:
    june = month()
    person = User.objects.create(username="someone")
    viewer = Viewer(person.pk, is_active=True, is_operator=True, now=NOW)
    run = request_run(viewer=viewer, package_id=june.package.pk)
    execute_run(run_id=run.pk, worker="w1", prepare=june.engine)
    publish_run(viewer=viewer, run_id=run.pk)
    history = list(run.transitions.order_by("pk"))
    assert [(one.to_state, one.worker, one.actor_id) for one in history] == [
        ("queued", "", person.pk),
        *((state, "w1", None) for state in ("reading", "allocating", "writing", "proving", "ready")),
        ("published", "", person.pk),
    ]
    for before, after in pairwise(history):
        assert after.at > before.at
        assert after.duration_ms is not None
        assert after.duration_ms >= (after.at - before.at).total_seconds() * 1000 - 1
    run.refresh_from_db()
    (ready,) = [one for one in history if one.to_state == "ready"]
    assert ready.rows == run.ledger_rows
    assert ready.rows


def test_the_proof_holds_line_by_line_beyond_64_bits() -> None:
    june = month(clusters=1)
    run = june.run()
    proofs = {p.line: p for p in RunProof.objects.filter(run=run)}
    sources = june.engine.ledgers["k0"].source_ug
    assert {line: int(p.source_ug) for line, p in proofs.items()} == sources
    assert max(sources.values()) > 2**63
    assert all(p.unallocated_ug + p.internal_ug + p.external_ug == p.source_ug for p in proofs.values())
    ledger = june.engine.ledgers["k0"]
    internal = {ledger.accounts.index("a0"), ledger.accounts.index("(provider)")}
    for number, line in enumerate(ledger.lines):
        rows = ledger.line == number
        expected = sum(int(u) for u, a in zip(ledger.ug[rows], ledger.account[rows], strict=True) if a in internal)
        assert int(proofs[line].internal_ug) == expected


def test_a_request_is_idempotent_until_another_run_is_wanted() -> None:
    june = month()
    first = june.request()
    assert june.request() == first
    execute_run(run_id=first.pk, worker="test", prepare=june.engine)
    assert june.request() == first
    again = june.request(again=True)
    assert again != first
    assert again.generation == 2
    assert states(again) == ["queued"]


def test_only_one_package_of_a_month_runs_at_a_time() -> None:
    june = month()
    june.request()
    newer = month(june.provider, seed=1)
    with pytest.raises(RunInProgress):
        newer.request()


def test_a_message_delivered_twice_does_nothing_the_second_time() -> None:
    june = month()
    run = june.run()
    before = list(LedgerRow.objects.filter(run=run).order_by("id").values())
    execute_run(run_id=run.pk, worker="late", prepare=june.engine)
    help_run(run_id=run.pk, worker="later", prepare=june.engine)
    assert list(LedgerRow.objects.filter(run=run).order_by("id").values()) == before
    assert june.engine.settled == ["k0", "k1", "k2"]


def test_a_held_run_is_not_claimed_twice() -> None:
    run = month().request()
    assert claim_run(run_id=run.pk, worker="first") is not None
    assert claim_run(run_id=run.pk, worker="second") is None


@dataclass
class Dying(Handmade):
    """Dies like a killed process, without a word, when it settles a cluster."""

    at: str = ""

    def settle(self, cluster: str) -> Ledger:
        if cluster == self.at:
            raise KeyboardInterrupt
        return super().settle(cluster)


def expire(run: AllocationRun) -> None:
    AllocationRun.objects.filter(pk=run.pk).update(lease_until=Now() - dt.timedelta(seconds=1))


def test_a_run_left_by_a_dead_worker_is_taken_up_where_it_stood() -> None:
    june = month()
    run = june.request()
    with pytest.raises(KeyboardInterrupt):
        execute_run(run_id=run.pk, worker="dead", prepare=Dying(june.engine.ledgers, at="k1"))
    assert runs_to_wake() == []
    expire(run)
    assert runs_to_wake() == [run.pk]
    assert runs_to_wake() == []
    execute_run(run_id=run.pk, worker="alive", prepare=june.engine)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert june.engine.settled == ["k1", "k2"]
    assert states(run)[4:] == ["reading", "allocating", "writing", "proving", "ready"]
    assert "dead" in RunTransition.objects.filter(run=run, to_state="reading").latest("id").reason
    assert run.ledger_digest == month(june.provider, when=dt.date(2025, 7, 1)).run().ledger_digest


@dataclass
class Overtaken(Handmade):
    """While it computes, its lease runs out and another worker takes the run up."""

    run: AllocationRun = field(kw_only=True)

    def settle(self, cluster: str) -> Ledger:
        assert elsewhere(self._take) != [None]
        return super().settle(cluster)

    @transaction.atomic
    def _take(self) -> Claim | None:
        """At once: its heartbeat may not come between."""
        expire(self.run)
        return claim_run(run_id=self.run.pk, worker="other")


@pytest.mark.usefixtures("committed")
def test_a_worker_whose_token_is_stale_writes_nothing() -> None:
    june = month()
    run = june.request()
    execute_run(run_id=run.pk, worker="slow", prepare=Overtaken(june.engine.ledgers, run=run))
    assert not RunChunk.objects.filter(run=run, written_at__isnull=False).exists()
    run.refresh_from_db()
    assert (run.state, run.worker) == (RunState.READING, "other")
    expire(run)
    execute_run(run_id=run.pk, worker="third", prepare=june.engine)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert LedgerRow.objects.filter(run=run).count() == run.ledger_rows


def test_errors_that_may_pass_are_tried_again_and_then_given_up_with_a_reason(settings: Settings) -> None:
    settings.ALLOCATION_MAX_ATTEMPTS = 3
    june = month()
    run = june.request()
    broken = Handmade({"k0": june.engine.ledgers["k1"]}, clusters_said=("k0", "k1"))
    for _ in range(4):
        execute_run(run_id=run.pk, worker="test", prepare=broken)
    run.refresh_from_db()
    assert (run.state, run.failure_code) == (RunState.FAILED, "TOO_MANY_ATTEMPTS")
    assert "3 attempts" in run.failure_reason
    assert drop_leftovers(now=NOW) == [run.pk]
    assert not partitions.exists(partitions.ledger_of(run.pk))


def test_a_rejected_package_fails_the_run_with_all_its_findings() -> None:
    june = month()
    findings = tuple(Finding("NO_FACTOR", "package", "sites.csv", row, "no factor") for row in (2, 3))

    def refuse(_: AllocationRun) -> Handmade:
        raise PackageRejectedError(findings)

    run = june.request()
    execute_run(run_id=run.pk, worker="test", prepare=refuse)
    run.refresh_from_db()
    assert (run.state, run.failure_code) == (RunState.FAILED, "NO_FACTOR")
    assert list(run.findings.values_list("row", flat=True)) == [2, 3]
    assert june.request() != run


def refuse(_: AllocationRun) -> Handmade:
    raise PackageRejectedError((Finding("NO_FACTOR", "package", "sites.csv", 2, "no factor"),))


@pytest.mark.usefixtures("committed")
def test_who_helps_prepares_while_the_leader_does() -> None:
    june = month()
    clusters = enumerate(Cluster.objects.filter(provider=june.provider))
    PackageCluster.objects.bulk_create(PackageCluster(package=june.package, row=n, cluster=one) for n, one in clusters)
    run = june.request()
    summoned, asked = threading.Event(), threading.Event()
    wanted: list[int] = []
    helper = Handmade(june.engine.ledgers)

    def summon(helpers: int) -> None:
        wanted.append(helpers)
        summoned.set()

    def led(_: AllocationRun) -> Handmade:
        assert asked.wait(30)
        return june.engine

    def helped(its: AllocationRun) -> Handmade:
        assert its.state == RunState.READING
        asked.set()
        return helper

    def help_it() -> None:
        assert summoned.wait(30)
        help_run(run_id=run.pk, worker="helper", prepare=helped)

    elsewhere(lambda: execute_run(run_id=run.pk, worker="leader", summon=summon, prepare=led), help_it)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert wanted == [2]
    assert sorted(june.engine.settled + helper.settled) == ["k0", "k1", "k2"]


@pytest.mark.parametrize("gone", ["lease_until", "token"])
def test_who_helps_does_not_wait_for_a_leader_that_is_gone(gone: str) -> None:
    june = month()
    run = june.request()
    assert claim_run(run_id=run.pk, worker="leader") is not None

    def leave(its: AllocationRun) -> Handmade:
        change = {"token": F("token") + 1} if gone == "token" else {"lease_until": Now() - dt.timedelta(seconds=1)}
        AllocationRun.objects.filter(pk=its.pk).update(**change)
        return june.engine

    help_run(run_id=run.pk, worker="helper", prepare=leave)
    assert june.engine.settled == []
    run.refresh_from_db()
    assert (run.state, run.worker) == (RunState.READING, "leader")


def test_a_package_that_is_rejected_is_told_by_the_leader_alone() -> None:
    run = month().request()
    assert claim_run(run_id=run.pk, worker="leader") is not None
    help_run(run_id=run.pk, worker="helper", prepare=refuse)
    run.refresh_from_db()
    assert run.state == RunState.READING
    assert not run.findings.exists()


def test_a_ledger_that_loses_a_microgram_fails() -> None:
    june = month()
    ledger = june.engine.ledgers["k1"]
    ledger.ug[np.flatnonzero(ledger.ug)[0]] -= 1
    run = june.run()
    assert (run.state, run.failure_code) == (RunState.FAILED, "PROOF_FAILED")


def test_cancelling_a_queued_run_withdraws_it_at_once_and_lets_another_start() -> None:
    june = month()
    run = june.request()
    assert cancel_run(viewer=OPERATOR, run_id=run.pk).state == RunState.WITHDRAWN
    assert june.run().state == RunState.READY


@dataclass
class Cancelled(Handmade):
    """Somebody cancels the run while it computes its second cluster."""

    run: AllocationRun = field(kw_only=True)

    def settle(self, cluster: str) -> Ledger:
        if cluster == "k1":
            (run,) = elsewhere(lambda: cancel_run(viewer=OPERATOR, run_id=self.run.pk))
            assert run.state == RunState.WRITING
        return super().settle(cluster)


@pytest.mark.usefixtures("committed")
def test_cancelling_a_working_run_stops_it_before_its_next_chunk() -> None:
    june = month()
    run = june.request()
    execute_run(run_id=run.pk, worker="test", prepare=Cancelled(june.engine.ledgers, run=run))
    run.refresh_from_db()
    assert run.state == RunState.WITHDRAWN
    assert not partitions.exists(partitions.ledger_of(run.pk))


@dataclass
class CancelledEarly(Handmade):
    """Somebody cancels the run while its inputs are read, or while its chunks are laid out."""

    run: AllocationRun = field(kw_only=True)
    while_in: RunState = field(kw_only=True)

    def cancel(self, state: RunState) -> None:
        if state == self.while_in:
            (run,) = elsewhere(lambda: cancel_run(viewer=OPERATOR, run_id=self.run.pk))
            assert run.state == state

    def __call__(self, run: AllocationRun) -> Handmade:
        self.cancel(RunState.READING)
        return super().__call__(run)

    @property
    def clusters(self) -> tuple[str, ...]:
        self.cancel(RunState.ALLOCATING)
        return super().clusters


@pytest.mark.parametrize("state", [RunState.READING, RunState.ALLOCATING])
@pytest.mark.usefixtures("committed")
def test_cancelling_stops_a_run_also_before_it_writes(state: RunState) -> None:
    june = month()
    run = june.request()
    engine = CancelledEarly(june.engine.ledgers, run=run, while_in=state)
    execute_run(run_id=run.pk, worker="test", prepare=engine)
    run.refresh_from_db()
    assert run.state == RunState.WITHDRAWN
    assert states(run)[-2:] == [state, "withdrawn"]
    assert not partitions.exists(partitions.ledger_of(run.pk))


def test_a_run_that_is_being_proved_does_not_become_ready_once_it_is_cancelled() -> None:
    run = month().request()
    claim = claim_run(run_id=run.pk, worker="test")
    assert claim is not None
    way = (RunState.READING, RunState.ALLOCATING, RunState.WRITING, RunState.PROVING)
    for before, after in pairwise(way):
        move(claim, before, after)
    assert cancel_run(viewer=OPERATOR, run_id=run.pk).state == RunState.PROVING
    with pytest.raises(RunCancelledError):
        move(claim, RunState.PROVING, RunState.READY)
    expire(run)
    assert cancel_run(viewer=OPERATOR, run_id=run.pk).state == RunState.WITHDRAWN


def test_a_change_of_code_between_two_attempts_writes_everything_anew() -> None:
    june = month()
    run = june.request()
    with pytest.raises(KeyboardInterrupt):
        execute_run(run_id=run.pk, worker="dead", prepare=Dying(june.engine.ledgers, at="k2"))
    AllocationRun.objects.filter(pk=run.pk).update(code_version="older")
    expire(run)
    execute_run(run_id=run.pk, worker="alive", prepare=june.engine)
    run.refresh_from_db()
    assert run.state == RunState.READY
    assert june.engine.settled == ["k0", "k1", "k2"]


def age_history(run: AllocationRun, seconds: int) -> None:
    """Let the history of a run be older, behind the back of the trigger that keeps it."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        RunTransition.objects.filter(run=run).update(at=F("at") - dt.timedelta(seconds=seconds))
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_a_lost_message_is_sent_again_after_a_while() -> None:
    run = month().request()
    assert runs_to_wake() == []
    age_history(run, 6)
    assert runs_to_wake() == [run.pk]
    assert runs_to_wake() == []
    AllocationRun.objects.filter(pk=run.pk).update(woken_at=Now() - dt.timedelta(seconds=31))
    assert runs_to_wake() == [run.pk]


def test_a_lost_message_is_sent_again_also_if_the_clock_of_who_asked_is_ahead() -> None:
    run = month().request()
    AllocationRun.objects.filter(pk=run.pk).update(requested_at=Now() + dt.timedelta(days=1))
    age_history(run, 6)
    assert runs_to_wake() == [run.pk]


def let_pass(run: AllocationRun, seconds: float) -> None:
    """Let a run be left alone for so long."""
    passed = dt.timedelta(seconds=seconds)
    AllocationRun.objects.filter(pk=run.pk).update(
        lease_until=F("lease_until") - passed, woken_at=F("woken_at") - passed
    )


def test_with_the_default_settings_a_dead_workers_run_is_taken_up_within_a_minute_even_if_a_message_is_lost() -> None:
    seconds = defaults("CANOPY_RUN_LEASE_SECONDS", "CANOPY_SWEEP_SECONDS")
    lease, sweep = seconds["CANOPY_RUN_LEASE_SECONDS"], seconds["CANOPY_SWEEP_SECONDS"]
    assert lease == settings.ALLOCATION_LEASE_SECONDS
    june = month()
    run = june.request()
    assert claim_run(run_id=run.pk, worker="dead") is not None
    let_pass(run, lease - 1)
    assert runs_to_wake() == []
    assert claim_run(run_id=run.pk, worker="early") is None
    waited = lease + sweep  # the sweep may have looked just before the lease ended
    let_pass(run, waited - (lease - 1))
    assert runs_to_wake() == [run.pk]  # and this message is lost
    again = wake_again_after().total_seconds() + sweep
    let_pass(run, again)
    assert runs_to_wake() == [run.pk]
    assert waited + again <= 60
    execute_run(run_id=run.pk, worker="alive", prepare=june.engine)
    run.refresh_from_db()
    assert run.state == RunState.READY


def defaults(*variables: str) -> dict[str, float]:
    """Return what the settings take where a variable is not set."""
    text = (CLONE_DIR / "carbon/settings.py").read_text()
    return {name: float(re.findall(rf'"{name}", ([0-9.]+)\)', text)[0]) for name in variables}


def test_a_request_pins_the_earlier_packages_that_shares_may_come_from() -> None:
    may = month(when=dt.date(2025, 5, 1))
    march = month(may.provider, when=dt.date(2025, 3, 1))
    month(may.provider, when=dt.date(2025, 2, 1))
    june = month(may.provider)
    version = june.package.methodology_version
    version.options = {"fallback": ["previous_shares", "unallocated"], "fallback_months": 3}
    version.save()
    newer = month(may.provider, when=dt.date(2025, 5, 1), seed=9)
    run = request_run(viewer=OPERATOR, package_id=june.package.pk)
    assert [i.package for i in run.inputs.all()] == [newer.package, march.package]
