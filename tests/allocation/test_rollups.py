"""Totals by account and by container, against sums over ledger rows and memberships in plain Python."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from accounts.models import Account, TreeVersion
from allocation.exchange.write import LINE_CODES
from allocation.models import AccountTotal, AllocationRun, Cluster, ContainerTotal, Grain, LedgerRow, RunState
from allocation.services import partitions
from allocation.services.chunks import lay_out, write_next_chunk
from allocation.services.digests import code_version
from allocation.services.execution import execute_run
from allocation.services.intensities import fill_service_intensities
from allocation.services.leases import claim_run
from allocation.services.publication import publish_run
from allocation.services.rollups import AMOUNT_COLUMNS, complete_account_totals
from allocation.services.transitions import move
from tests.factories.months import MONTH, OPERATOR, Handmade, month
from tests.factories.trees import Tree, tree

if TYPE_CHECKING:
    from allocation.engine.frames import Ledger

pytestmark = pytest.mark.django_db

ROWS = ("service", "account", "group", "line", "estimated_ppm", "quality")
Sums = dict[tuple[Any, ...], dict[str, int]]


def leaves(run: AllocationRun) -> list[tuple[int | None, int, int, dict[str, int]]]:
    """Return (account, service, cluster, amounts by column) of every ordinary ledger row."""
    columns = {number: (AMOUNT_COLUMNS[number], AMOUNT_COLUMNS[len(LINE_CODES) + number]) for number in range(12)}
    return [
        (
            row.account_id,
            row.service_id,
            row.cluster_id,
            dict(zip(columns[row.line], (row.ug, row.estimated_ug), strict=True)),
        )
        for row in LedgerRow.objects.filter(run=run, special=0)
    ]


def summed(run: AllocationRun, keys_of_account: Any) -> Sums:  # noqa: ANN401 account id to a list of keys
    sums: Sums = defaultdict(lambda: defaultdict(int))
    for account, service, cluster, amounts in leaves(run):
        for key in keys_of_account(account):
            for grain in ((0, None, None), (1, service, None), (2, None, cluster), (3, service, cluster)):
                for column, amount in amounts.items():
                    sums[(*key, *grain)][column] += amount
    return sums


def stored(row: AccountTotal | ContainerTotal) -> dict[str, int]:
    values = {column: getattr(row, column) for column in AMOUNT_COLUMNS}
    assert all(value is None or isinstance(value, Decimal) for value in values.values())
    return {column: int(value) for column, value in values.items() if value is not None}


def test_account_totals_are_the_sums_of_ledger_rows_in_all_four_grains() -> None:
    run = month(seed=3, clusters=4).run()
    expected = summed(run, lambda account: [(account,)])
    found = {
        (total.account_id, total.grain, total.service_id, total.cluster_id): stored(total)
        for total in AccountTotal.objects.filter(run=run)
    }
    assert found == {key: dict(amounts) for key, amounts in expected.items()}
    assert max(max(amounts.values()) for amounts in found.values()) > 2**63
    assert {grain for _, grain, _, _ in found} == set(Grain.values)


def containers_of(drawn: Tree, account: int) -> list[tuple[int, int | None, bool]]:
    directory, groups = drawn.holds(account)
    if directory is None:
        return []
    direct = [(directory, None, True)] if not groups else []
    return [(directory, None, False), *direct, *((directory, group, False) for group in groups)]


@pytest.mark.parametrize("seed", range(10))
def test_container_totals_are_the_sums_over_memberships(seed: int) -> None:
    june = month(seed=seed, clusters=2, accounts=9)
    accounts = list(Account.objects.filter(provider=june.provider))
    drawn = tree(june.provider, accounts, month=MONTH, seed=seed)
    run = june.run()
    publication = publish_run(viewer=OPERATOR, run_id=run.pk)
    expected = summed(run, lambda account: containers_of(drawn, account))
    rows = list(ContainerTotal.objects.filter(publication=publication))
    found = {
        (row.directory_id, row.group_id, row.miscellaneous, row.grain, row.service_id, row.cluster_id): stored(row)
        for row in rows
    }
    assert len(found) == len(rows)
    assert found == {key: dict(amounts) for key, amounts in expected.items()}
    members: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for account in {account for account, *_ in leaves(run) if account is not None}:
        for key in containers_of(drawn, account):
            members[key].add(account)
    assert {
        (row.directory_id, row.group_id, row.miscellaneous): row.accounts for row in rows if row.grain == Grain.TOTAL
    } == {key: len(accounts) for key, accounts in members.items()}
    assert publication.tree_version == TreeVersion.objects.order_by("-pk").first()


def test_a_line_that_does_not_exist_is_null_and_one_that_does_is_zero() -> None:
    june = month(clusters=1)
    ledger = june.engine.ledgers["k0"]
    ledger.ug[:] = 0
    ledger.estimated_ug[:] = 0
    june.engine.ledgers["k0"] = dataclasses.replace(ledger, source_ug=dict.fromkeys(ledger.source_ug, 0))
    total = AccountTotal.objects.filter(run=june.run(), grain=Grain.TOTAL).earliest("id")
    assert {column for column, value in stored(total).items()} == {
        column
        for line in ledger.lines
        for column in (AMOUNT_COLUMNS[LINE_CODES.index(line)], AMOUNT_COLUMNS[12 + LINE_CODES.index(line)])
    }
    assert set(stored(total).values()) == {0}


@dataclasses.dataclass
class Meddling(Handmade):
    """Changes what the first chunk wrote of accounts, before the next one is written."""

    change: str = ""

    def settle(self, cluster: str) -> Ledger:
        run = AllocationRun.objects.latest("pk")
        if self.settled:
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE allocation_accounttotal_{run.pk} SET {self.change} WHERE grain = 3")  # noqa: S608 ours
                assert cursor.rowcount > 0
        return super().settle(cluster)


@pytest.mark.parametrize("part", ["amount", "estimated"])
def test_totals_that_are_not_those_of_the_ledger_fail_the_run(part: str) -> None:
    june = month(clusters=2)
    number = LINE_CODES.index(june.engine.ledgers["k0"].lines[0])
    column = AMOUNT_COLUMNS[number + (12 if part == "estimated" else 0)]
    june.engine = Meddling(june.engine.ledgers, change=f"{column} = {column} + 1")
    run = june.run()
    assert (run.state, run.failure_code) == (RunState.FAILED, "PROOF_FAILED")
    assert "totals" in run.failure_reason
    assert not AccountTotal.objects.filter(run=run).exists()


def small(ledger: Ledger) -> Ledger:
    """The ledger with amounts that fit 64 bits however they are added up, and rows of one pair on a single line."""
    ug, estimated = ledger.ug >> 8, ledger.estimated_ug >> 8
    pair = (ledger.service == ledger.service[-1]) & (ledger.account == ledger.account[-1])
    kept = ~pair | (ledger.line == 0)
    arrays = {name: getattr(ledger, name)[kept] for name in ROWS} | {"ug": ug[kept], "estimated_ug": estimated[kept]}
    lines = {line: int(arrays["ug"][arrays["line"] == place].sum()) for place, line in enumerate(ledger.lines)}
    return dataclasses.replace(ledger, **arrays, source_ug=lines)


def test_sums_in_64_bits_and_lines_that_only_some_have() -> None:
    june = month(seed=5, clusters=3)
    june.engine.ledgers = {code: small(ledger) for code, ledger in june.engine.ledgers.items()}
    run = june.run()
    expected = summed(run, lambda account: [(account,)])
    found = {
        (total.account_id, total.grain, total.service_id, total.cluster_id): stored(total)
        for total in AccountTotal.objects.filter(run=run)
    }
    assert found == {key: dict(amounts) for key, amounts in expected.items()}
    assert len({frozenset(amounts) for key, amounts in found.items() if key[1] == Grain.SERVICE_CLUSTER}) > 3


def test_what_a_dead_worker_had_rolled_up_is_rolled_up_once() -> None:
    june = month(seed=4, clusters=2)
    run = june.request()
    claim = claim_run(run_id=run.pk, worker="dead")
    assert claim is not None
    move(claim, RunState.READING, RunState.ALLOCATING)
    clusters = Cluster.objects.filter(provider=june.provider).order_by("code")
    lay_out(claim, list(clusters.values_list("pk", flat=True)), code_version=code_version())
    move(claim, RunState.ALLOCATING, RunState.WRITING)
    while write_next_chunk(claim, june.engine):
        pass
    fill_service_intensities(run, complete_account_totals(run.pk))
    partitions.index(partitions.ledger_of(run.pk))
    AllocationRun.objects.filter(pk=run.pk).update(lease_until=None)
    execute_run(run_id=run.pk, worker="alive", prepare=june.engine)
    run.refresh_from_db()
    assert run.state == RunState.READY
    found = [
        (total.account_id, total.grain, total.service_id, total.cluster_id) for total in AccountTotal.objects.all()
    ]
    assert len(found) == len(set(found))
    assert set(found) == summed(run, lambda account: [(account,)]).keys()
