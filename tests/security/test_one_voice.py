"""Refusals that once told more than they should: each was found by the matrix or the oracle."""

from __future__ import annotations

import pytest

from accounts.services import delegations
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
