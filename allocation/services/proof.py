"""The proof of a run: external + internal + unallocated = source, in integers, for every cluster and line.

Sums come from the ledger as it is stored, sources from the engine. A run is proved before it is ready, again before it
is published, and every published month by `manage.py verify_ledger`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from accounts.services.refusal import Refusal
from allocation.exchange.write import LINE_CODES
from allocation.models import AllocationRun, RunChunk, RunProof, RunState, SpecialAccount
from allocation.services import partitions
from allocation.services.calculation import internal_account_ids
from allocation.services.digests import ledger_digest
from allocation.services.intensities import fill_service_intensities
from allocation.services.rollups import account_sums, complete_account_totals
from allocation.services.simultaneous import at_once
from allocation.services.transitions import LeaseLostError, move
from allocation.services.withholding import withhold, withholds

if TYPE_CHECKING:
    from allocation.services.transitions import Claim


class ProofError(Refusal):
    """The ledger does not hold what its sources say; the message names the first cluster and line."""

    code = "PROOF_FAILED"


@dataclass(slots=True)
class Balance:
    """Sums of one (cluster, line) of the stored ledger: micrograms, watt-hours for `energy_wh`.

    `accounts_ug` and `accounts_estimated_ug` are those of ordinary accounts, whether external or internal.
    """

    external_ug: int = 0
    internal_ug: int = 0
    unallocated_ug: int = 0
    accounts_ug: int = 0
    accounts_estimated_ug: int = 0
    estimated_ug: int = 0
    rows: int = 0

    @property
    def total_ug(self) -> int:
        """All of it."""
        return self.external_ug + self.internal_ug + self.unallocated_ug

    def add(self, special: SpecialAccount, ug: int, estimated_ug: int, rows: int) -> None:
        """Add the rows of ordinary accounts, as external ones, or of a special account."""
        self.rows += rows
        self.estimated_ug += estimated_ug
        match special:
            case SpecialAccount.NONE:
                self.external_ug += ug
                self.accounts_ug += ug
                self.accounts_estimated_ug += estimated_ug
            case SpecialAccount.PROVIDER:
                self.internal_ug += ug
            case SpecialAccount.UNALLOCATED:
                self.unallocated_ug += ug

    def move_inside(self, ug: int) -> None:
        """Tell that so much of what is external belongs to internal accounts."""
        self.external_ug -= ug
        self.internal_ug += ug


Balances: TypeAlias = Mapping[tuple[int, str], Balance]
Told: TypeAlias = Mapping[tuple[int, str], tuple[int, int]]
"""By cluster and line: what account totals add up to, and the estimated part of it."""


def finish_run(claim: Claim) -> None:
    """Index, prove, roll up and attach a completely written run: writing → proving → ready.

    The ledger is indexed and proved on one connection while totals are completed on another. Each is a transaction
    that holds the run for this claim to its end, and does the same when it is done again: a run whose worker dies here
    is taken up with its chunks, and goes through all of this anew. Readers see nothing before the last transaction.

    Raises:
        ProofError: the ledger does not conserve its sources.
        LeaseLostError: another worker finishes it.
    """
    rows = _written_rows(claim.run_id)
    move(claim, RunState.WRITING, RunState.PROVING, rows=rows)
    with transaction.atomic():
        withhold(_held(claim))
    balances, told = at_once(lambda: _prove(claim), lambda: _roll_up(claim))
    _prove_totals(claim.run_id, balances, told)
    with transaction.atomic():
        run = claim.run().filter(state=RunState.PROVING).select_for_update(no_key=True).first()
        if run is None:
            raise LeaseLostError(f"run {claim.run_id}")
        partitions.attach(partitions.account_totals_of(run.pk))
        partitions.attach(partitions.ledger_of(run.pk))
        digests = dict(RunChunk.objects.filter(run=run).values_list("cluster__code", "ledger_digest"))
        claim.run().update(ledger_rows=rows, ledger_digest=ledger_digest(digests), lease_until=None, finished_at=Now())
        move(claim, RunState.PROVING, RunState.READY, rows=rows)


def _prove(claim: Claim) -> Balances:
    run = _held(claim)
    partitions.index(partitions.ledger_of(run.pk))
    return store_proof(run)


def _roll_up(claim: Claim) -> Told | None:
    """Complete the totals of accounts, and say what they add up to; None where something is withheld of it."""
    run = _held(claim)
    fine = complete_account_totals(run.pk)
    fill_service_intensities(run, fine)
    return None if withholds(run.pk) else account_sums(fine)


def _held(claim: Claim) -> AllocationRun:
    """Return the claimed run, which nobody else can take up before the current transaction ends.

    The lock lets signs of life through, and other transactions of the same claim.

    Raises:
        LeaseLostError: the claim no longer holds.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM allocation_allocationrun WHERE id = %s AND token = %s AND state = %s FOR KEY SHARE",
            [claim.run_id, claim.token, RunState.PROVING],
        )
        if not cursor.rowcount:
            raise LeaseLostError(f"run {claim.run_id}")
    return claim.run().select_related("package").get()


def store_proof(run: AllocationRun) -> dict[tuple[int, str], Balance]:
    """Compute the proof of an unproved run from its standalone partition and store it.

    Returns:
        The sums of the ledger by cluster and line.

    Raises:
        ProofError: it does not hold; nothing is stored.
    """
    balances = _balances(run, partitions.ledger_of(run.pk).table)
    sources = _sources(run)
    _compare(sources, balances)
    RunProof.objects.filter(run=run).delete()
    RunProof.objects.bulk_create(
        RunProof(
            run=run,
            cluster_id=cluster_id,
            line=line,
            source_ug=Decimal(source_ug),
            external_ug=Decimal(balance.external_ug),
            internal_ug=Decimal(balance.internal_ug),
            unallocated_ug=Decimal(balance.unallocated_ug),
            estimated_ug=Decimal(balance.estimated_ug),
        )
        for (cluster_id, line), source_ug in sources.items()
        for balance in (balances.get((cluster_id, line), Balance()),)
    )
    return balances


def check_proof(run: AllocationRun) -> None:
    """Prove a run again from its stored ledger, and compare with the stored proof and the chunks.

    Raises:
        ProofError: chunks or rows are missing, a sum does not hold, or the stored proof says something else.
    """
    chunks = RunChunk.objects.filter(run=run)
    if not chunks.exists() or chunks.filter(written_at__isnull=True).exists():
        raise ProofError(f"run {run.pk}: chunks are missing")
    # Readers see the partition, and of a table by itself the planner knows what it holds.
    ledger = partitions.ledger_of(run.pk)
    if not partitions.is_attached(ledger):
        raise ProofError(f"run {run.pk}: readers do not see its ledger")
    balances = _balances(run, ledger.table)
    stored_rows = sum(balance.rows for balance in balances.values())
    if stored_rows != run.ledger_rows or stored_rows != _written_rows(run.pk):
        raise ProofError(f"run {run.pk}: {stored_rows} ledger rows instead of {run.ledger_rows}")
    digests = dict(chunks.values_list("cluster__code", "ledger_digest"))
    if ledger_digest(digests) != run.ledger_digest:
        raise ProofError(f"run {run.pk}: the digests of its chunks are not those of the run")
    sources = _sources(run)
    _compare(sources, balances)
    proofs = {(p.cluster_id, p.line): p for p in RunProof.objects.filter(run=run)}
    if proofs.keys() != sources.keys():
        raise ProofError(f"run {run.pk}: the stored proof has other clusters and lines than its sources")
    for key, proof in proofs.items():
        balance = balances.get(key, Balance())
        estimated_ug = balance.estimated_ug if proof.estimated_ug is None else proof.estimated_ug
        stored = (proof.source_ug, proof.external_ug, proof.internal_ug, proof.unallocated_ug, estimated_ug)
        actual = (
            sources[key],
            balance.external_ug,
            balance.internal_ug,
            balance.unallocated_ug,
            balance.estimated_ug,
        )
        if tuple(int(value) for value in stored) != actual:
            raise ProofError(f"run {run.pk}: cluster {key[0]}, {key[1]}: stored {stored}, the ledger says {actual}")


def _prove_totals(run_id: int, balances: Balances, told: Told | None) -> None:
    """Compare what readers are told of accounts with the ledger, cluster by cluster and line by line.

    Where something is withheld the totals are less than the ledger, and come from it by SQL.

    Raises:
        ProofError: a sum of account totals is not that of the ledger.
    """
    if told is None:
        return
    for cluster_id, line in sorted(balances.keys() | told.keys()):
        balance = balances.get((cluster_id, line))
        of_ledger = balance and (balance.accounts_ug, balance.accounts_estimated_ug)
        of_totals = told.get((cluster_id, line), (0, 0))
        if of_ledger != of_totals:
            raise ProofError(f"run {run_id}: cluster {cluster_id}, {line}: ledger {of_ledger}, totals {of_totals}")


def _written_rows(run_id: int) -> int:
    return RunChunk.objects.filter(run_id=run_id).aggregate(rows=Sum("ledger_rows"))["rows"] or 0


def _sources(run: AllocationRun) -> dict[tuple[int, str], int]:
    return {
        (cluster_id, line): int(ug)
        for cluster_id, source_ug in RunChunk.objects.filter(run=run).values_list("cluster_id", "source_ug")
        for line, ug in source_ug.items()
    }


def _balances(run: AllocationRun, table: str) -> dict[tuple[int, str], Balance]:
    """Sum the stored ledger by cluster, line and kind of account, in one pass; what is internal is looked up.

    The table's CHECK says that all its rows are the run's: to ask each of them again takes a tenth of the time.
    """
    balances: dict[tuple[int, str], Balance] = defaultdict(Balance)
    with connection.cursor() as cursor:
        cursor.execute(
            # The table's name is one of two of our own.
            f"SELECT cluster_id, line, special, sum(ug), sum(estimated_ug), count(*) FROM {table}"  # noqa: S608 as said
            " GROUP BY cluster_id, line, special"
        )
        for cluster_id, line, special, ug, estimated_ug, rows in cursor.fetchall():
            balances[cluster_id, LINE_CODES[line]].add(SpecialAccount(special), int(ug), int(estimated_ug), rows)
        cursor.execute(
            f"SELECT cluster_id, line, sum(ug) FROM {table}"  # noqa: S608 as said
            " WHERE special = %s AND account_id = ANY(%s) GROUP BY cluster_id, line",
            [SpecialAccount.NONE, internal_account_ids(run.package)],
        )
        for cluster_id, line, ug in cursor.fetchall():
            balances[cluster_id, LINE_CODES[line]].move_inside(int(ug))
    return balances


def _compare(sources: dict[tuple[int, str], int], balances: dict[tuple[int, str], Balance]) -> None:
    for cluster_id, line in sorted(sources.keys() | balances.keys()):
        source_ug = sources.get((cluster_id, line))
        total_ug = balances.get((cluster_id, line), Balance()).total_ug
        if source_ug != total_ug:
            raise ProofError(f"cluster {cluster_id}, {line}: source {source_ug}, ledger {total_ug}")
