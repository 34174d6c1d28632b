"""The demo tells the story that docs/demo.md tells."""

import csv
import datetime as dt
import itertools
from pathlib import Path

import pytest

from allocation.exchange.estate.demo import AT_ALDERMOOR, AT_TARN, MONTH_COUNT, NEIGHBOUR, demo_estate
from allocation.exchange.estate.estates import Estate
from allocation.exchange.estate.organisation import Account, Organisation
from allocation.exchange.estate.writing import write_package
from tests.allocation.estate.samples import FIXTURES, ignore
from tests.oracle.ledger import expected_ledger


@pytest.fixture(scope="module")
def estate() -> Estate:
    return demo_estate(FIXTURES)


@pytest.fixture(scope="module")
def organisation(estate: Estate) -> Organisation:
    return estate.organisation


@pytest.fixture(scope="module")
def packages(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    out = tmp_path_factory.mktemp("demo")
    return {
        (part.provider.code, month): write_package(estate, part, month, out, ignore)
        for part in estate.providers
        for month in range(MONTH_COUNT)
    }


def places_of(account: Account) -> list[str | None]:
    return [stay.group for stay in account.stays]


def test_the_company_has_two_directories_at_two_providers(organisation: Organisation) -> None:
    owned = {each.external_id: each.provider for each in organisation.directories if each.enterprise == "lindenmark"}
    assert owned == {AT_TARN: "tarn", AT_ALDERMOOR: "aldermoor"}
    assert len(organisation.accounts) == 300
    assert len({(account.provider, account.external_id) for account in organisation.accounts}) == 300


def test_accounts_stand_where_their_directory_and_groups_are(organisation: Organisation) -> None:
    directory_of = {group.external_id: group.directory for group in organisation.groups}
    provider_of = {directory.external_id: directory.provider for directory in organisation.directories}
    for account in organisation.accounts:
        assert bool(account.stays) == (account.directory is not None)
        if account.directory is not None:
            assert provider_of[account.directory] == account.provider
        assert all(directory_of[group] == account.directory for group in places_of(account) if group)
    for group in organisation.groups:
        assert all(directory_of[stay.group] == group.directory for stay in group.stays if stay.group)


def test_some_moved_two_came_back_one_closed_and_some_are_in_no_group(organisation: Organisation) -> None:
    histories = [places_of(account) for account in organisation.accounts]
    assert sum(len(history) == 2 for history in histories) == 5
    assert [history for history in histories if len(history) == 3] == [
        ["innovation", "retail-web-apac", "innovation"]
    ] * 2
    closed = [account for account in organisation.accounts if account.closed is not None]
    assert [places_of(account) for account in closed] == [["finance-risk"]]
    assert sum(history == [None] for history in histories) == 7 + 6 + 1
    assert sum(not history for history in histories) == 8 + 10
    assert sum(account.internal for account in organisation.accounts) == 10


def test_stays_join_without_gap_or_overlap(organisation: Organisation) -> None:
    histories = [account.stays for account in organisation.accounts] + [group.stays for group in organisation.groups]
    for stays in histories:
        for before, after in itertools.pairwise(stays):
            assert before.valid_to == after.valid_from
        assert all(stay.valid_to is None for stay in stays[-1:])
    risk = next(group for group in organisation.groups if group.external_id == "finance-risk")
    assert [(stay.group, stay.valid_from) for stay in risk.stays] == [
        ("finance", dt.date(2025, 6, 1)),
        ("platform", dt.date(2026, 2, 1)),
    ]


def test_delegates_are_members_and_not_the_management_account(organisation: Organisation) -> None:
    members = {account.external_id: account.directory for account in organisation.accounts}
    managers = {each.external_id: each.management_account for each in organisation.directories}
    assert [(each.directory, each.group) for each in organisation.delegations] == [
        (AT_TARN, None),
        (AT_ALDERMOOR, "logistics"),
    ]
    for delegation in organisation.delegations:
        assert members[delegation.account] == delegation.directory
        assert delegation.account != managers[delegation.directory]
    assert all(members[manager or ""] == directory for directory, manager in managers.items())
    assert NEIGHBOUR in managers


def test_the_closed_account_uses_nothing_from_its_month_on(
    organisation: Organisation, packages: dict[tuple[str, int], Path]
) -> None:
    closed = next(account for account in organisation.accounts if account.closed is not None)
    months_with_rows = [
        month
        for month in range(MONTH_COUNT)
        if closed.external_id in (packages["tarn", month] / "usage.csv").read_text()
    ]
    assert closed.closed == 9
    assert months_with_rows == list(range(9))


@pytest.mark.parametrize(("provider", "month"), [("tarn", 0), ("tarn", 12), ("aldermoor", 0), ("aldermoor", 12)])
def test_the_oracle_takes_the_packages(provider: str, month: int, packages: dict[tuple[str, int], Path]) -> None:
    ledger, findings = expected_ledger(packages[provider, month])
    assert {finding.code for finding in findings} <= {"NO_RESIDUAL_MIX", "NEGATIVE_NET_USAGE"}
    by_line: dict[tuple[str, str], int] = {}
    for row in csv.DictReader(ledger.splitlines()):
        pair = row["cluster"], row["line"]
        by_line[pair] = by_line.get(pair, 0) + int(row["ug"])
    if provider == "aldermoor":
        assert by_line["eu-gb-dc1", "scope2_mbm"] == 0 < by_line["eu-gb-dc1", "scope2_lbm"]
        assert "Classic Infrastructure" in ledger
        assert "(core services)" in ledger
    else:
        assert by_line["ap-southeast-1b", "scope3_leased_lbm"] > 0
        assert by_line["eu-central-1a", "scope3_embodied"] > 0
    # Believable: a small provider's month, hundreds of tonnes.
    tonnes = sum(ug for (_, line), ug in by_line.items() if line.endswith("lbm")) / 10**12
    assert 100 < tonnes < 1000
