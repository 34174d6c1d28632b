"""What has to hold after every campaign: nothing lost, nothing twice, and every byte as if nothing had happened."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from django.db import connection
from psycopg import sql

from allocation.models import (
    LEGAL_TRANSITIONS,
    PROVED,
    AllocationRun,
    ContainerTotal,
    Publication,
    PublishedMonth,
    RunState,
)
from allocation.services.proof import ProofError, check_proof
from allocation.services.verification import verify_published_months
from tests.faults.units import exported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.faults.units import Shown, Unit
    from tests.faults.warrants import Death

PARTITIONED = ("allocation_ledgerrow", "allocation_accounttotal")


@dataclass
class Inspection:
    """Violations found, in words, and what was looked at."""

    violations: list[str] = field(default_factory=list)
    looked_at: Counter[str] = field(default_factory=Counter)

    def expect(self, truth: object, about: str) -> None:
        """Note a violation unless something is true."""
        if not truth:
            self.violations.append(about)

    def of_units(self, units: Sequence[Unit]) -> None:
        """Every run that was asked for has ended as it should, with the bytes that it should have."""
        asked = {run_id: unit for unit in units for run_id in unit.runs}
        runs = AllocationRun.objects.filter(package__in=[unit.package_id for unit in units])
        found = {run.pk: run for run in runs.select_related("package", "methodology_version", "provider")}
        self.expect(found.keys() >= asked.keys(), f"runs lost: {sorted(asked.keys() - found.keys())}")
        for run_id, run in sorted(found.items()):
            # A request whose answer was lost with the database may still have made a run.
            unit = asked.get(run_id) or next(unit for unit in units if unit.package_id == run.package_id)
            self.looked_at[run.state] += 1
            if run.state == RunState.WITHDRAWN:
                self.expect(run_id in unit.cancelled, f"run {run_id} was withdrawn, and nobody cancelled it")
            else:
                reason = f"run {run_id} is {run.state}: {run.failure_code} {run.failure_reason}"
                self.expect(run.state in PROVED, reason)
            if run.state in PROVED:
                self._of_ledger(run, unit.undisturbed)
            self._of_history(run)
        for unit in units:
            self._of_publications(unit, [run for run in found.values() if run.package_id == unit.package_id])

    def of_shown(self, shown: Shown) -> None:
        """The month that was restated all the time: each publication restates the one before."""
        for run in AllocationRun.objects.filter(pk__in=shown.runs):
            self._of_ledger(run, shown.expected[run.pk])
            self._of_history(run)
        chain = list(Publication.objects.filter(run__in=shown.runs).order_by("pk"))
        self.looked_at["restatements"] = len(chain) - 1
        for before, after in pairwise(chain):
            self.expect(after.restates_id == before.pk, f"publication {after.pk} restates {after.restates_id}")
            self.expect(after.run_id != before.run_id, f"publication {after.pk} shows the same run again")
            self.expect(after.published_at > before.published_at, f"publication {after.pk} is older than {before.pk}")
        current = PublishedMonth.objects.get(publication__run__in=shown.runs)
        self.expect(current.publication_id == chain[-1].pk, "the pointer is not at the newest publication")

    def of_partitions(self) -> None:
        """Every partition is that of a proved run, and attached; every total is that of a publication."""
        owners = set(AllocationRun.objects.filter(state__in=PROVED).values_list("pk", flat=True))
        for parent in PARTITIONED:
            attached, tables = partitions_of(parent)
            self.looked_at[f"partitions of {parent}"] = len(attached)
            self.expect(attached == owners, f"{parent}: {sorted(attached ^ owners)[:5]}")
            self.expect(tables == attached, f"{parent}: left alone: {sorted(tables - attached)[:5]}")
        totalled = set(ContainerTotal.objects.values_list("publication_id", flat=True).distinct())
        self.looked_at["publications with totals"] = len(totalled)
        strangers = sorted(totalled - set(Publication.objects.values_list("pk", flat=True)))
        self.expect(not strangers, f"totals of no publication: {strangers[:5]}")

    def of_proofs(self) -> None:
        """What was published is proved from what is stored."""
        verdicts = verify_published_months()
        self.looked_at["published runs verified"] = len(verdicts)
        for verdict in verdicts:
            self.expect(verdict.ok, f"{verdict.code} {verdict.message}")

    def of_steps(self, deaths: Iterable[Death], wanted: dict[str, int]) -> None:
        """Every named step was met as often as was wanted."""
        counts = Counter(death.step for death in deaths if death.kind != "halt")
        for step, count in wanted.items():
            self.expect(counts[step] >= count, f"step {step!r}: killed {counts[step]} times instead of {count}")

    def of_reads(self, reads: dict[str, int], wanted: int) -> None:
        """Enough answers were read, and none was torn."""
        self.expect(reads["torn"] == 0, f"{reads['torn']} torn reads")
        self.expect(reads["whole"] >= wanted, f"only {reads['whole']} reads instead of {wanted}")
        self.expect(reads["changes"] > 0 or not wanted, "the reader saw no change")

    def of_unchanged(self, before: dict[int, str]) -> None:
        """What was seen published at some time is what is stored now."""
        after = published_digests(before)
        self.looked_at["publications compared"] = len(before)
        for publication_id, digest in before.items():
            self.expect(after.get(publication_id) == digest, f"publication {publication_id} has changed")

    def _of_ledger(self, run: AllocationRun, undisturbed: bytes) -> None:
        try:
            check_proof(run)
        except ProofError as error:
            self.violations.append(f"run {run.pk}: {error}")
        self.looked_at["ledgers compared"] += 1
        self.expect(exported(run) == undisturbed, f"run {run.pk}: its ledger is not that of an undisturbed run")

    def _of_history(self, run: AllocationRun) -> None:
        states = list(run.transitions.order_by("pk").values_list("from_state", "to_state"))
        self.looked_at["transitions"] += len(states)
        self.expect(states and states[0] == ("", "queued"), f"run {run.pk} began as {states[:1]}")
        for (_, before), (start, after) in pairwise(states):
            legal = start == before and (after in LEGAL_TRANSITIONS[RunState(before)] or (before == after == "reading"))
            self.expect(legal, f"run {run.pk}: {start} to {after} after {before}")
        self.expect(states and states[-1][1] == run.state, f"run {run.pk} is {run.state}, its history says otherwise")
        ready = sum(after == RunState.READY for _, after in states)
        self.expect(ready == (run.state in PROVED), f"run {run.pk} became ready {ready} times")

    def _of_publications(self, unit: Unit, runs: Sequence[AllocationRun]) -> None:
        """A month with a ready run is published, exactly once."""
        about = f"{unit.provider}: {len(runs)} runs of {unit.requests} requests"
        self.expect(len(unit.runs) <= len(runs) <= unit.requests, about)
        publications = Publication.objects.filter(provider__code=unit.provider).count()
        wanted = int(any(run.state in PROVED for run in runs))
        self.looked_at["months published"] += publications
        self.expect(publications == wanted, f"{unit.provider}: {publications} publications instead of {wanted}")


def partitions_of(parent: str) -> tuple[set[int], set[int]]:
    """The keys of a table's attached partitions, and those of all tables that look like one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substring(c.relname FROM '[0-9]+$')::bigint,"
            " EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = to_regclass(%s))"
            " FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ %s",
            [parent, f"^{parent}_[0-9]+$"],
        )
        rows = cursor.fetchall()
    return {key for key, attached in rows if attached}, {key for key, _ in rows}


def published_digests(among: Iterable[int] | None = None) -> dict[int, str]:
    """A digest of everything that a publication shows, for each of them: ledger, account and container totals."""
    publications = Publication.objects.order_by("pk")
    if among is not None:
        publications = publications.filter(pk__in=list(among))
    digests = {}
    of_run: dict[int, bytes] = {}
    for publication in publications:
        if publication.run_id not in of_run:
            parts = [_digest(f"allocation_ledgerrow_{publication.run_id}")]
            parts.append(_digest(f"allocation_accounttotal_{publication.run_id}"))
            of_run[publication.run_id] = b"".join(parts)
        own = _digest("allocation_containertotal", publication.pk)
        row = repr((publication.run_id, publication.month, publication.published_at, publication.restates_id))
        digests[publication.pk] = hashlib.sha256(of_run[publication.run_id] + own + row.encode()).hexdigest()
    return digests


def _digest(table: str, publication_id: int | None = None) -> bytes:
    """Of the rows of a partition, or of a publication's rows in a table of all."""
    query = sql.SQL("SELECT coalesce(md5(string_agg(t::text, ';' ORDER BY id)), '') FROM {} t{}").format(
        sql.Identifier(table), sql.SQL("" if publication_id is None else " WHERE publication_id = %s")
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [] if publication_id is None else [publication_id])
        return str(cursor.fetchone()[0]).encode()
