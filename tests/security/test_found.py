"""What services once told or gave too much of; each was found while writing the matrix and the oracle."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.services import delegations, directories
from accounts.services.directories import NotAMember
from accounts.services.refusal import NotFound
from tests.factories import hierarchy as make
from tests.factories import people

pytestmark = pytest.mark.django_db


def test_who_knows_a_directory_by_name_is_not_told_which_delegations_stand_in_it() -> None:
    root = make.directory()
    group, deputy = make.group("a", root), make.account("d", [(root, "2025-01", None)])
    standing = make.delegation(deputy, root)
    by_name = people.person()
    people.give(by_name, group)
    for number in (standing.pk, 10**9):
        with pytest.raises(NotFound):
            delegations.revoke_delegation(viewer=people.viewing(by_name), delegation_id=number)


def test_an_account_that_is_about_to_leave_gets_no_office_that_would_outlast_its_stay() -> None:
    root, operator = make.directory(), people.viewing(people.operator())
    leaving = make.account("leaving", [(root, "2025-01", "2026-09")])
    with pytest.raises(NotAMember):
        delegations.delegate_administrator(viewer=operator, directory_id=root.pk, account_id=leaving.pk)
    with pytest.raises(NotAMember):
        directories.set_management_account(viewer=operator, directory_id=root.pk, account_id=leaving.pk)
    short = delegations.delegate_administrator(
        viewer=operator, directory_id=root.pk, account_id=leaving.pk, ends_at=make.NOW + timedelta(days=20)
    )
    assert short.ends_at is not None
