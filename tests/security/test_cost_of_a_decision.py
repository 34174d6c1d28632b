"""A decision costs the same few statements, and the same work in Python, however many grants and accounts there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import NodeKind
from accounts.months import Period
from accounts.policies import Action, VisibleSets, access_to, may, months_of
from accounts.selectors.roles import topmost
from accounts.selectors.search import search
from allocation.policies import NodeKey, Question
from allocation.selectors import children, emissions, publications
from allocation.selectors.child_page import ChildOrder, ChildPage
from tests.factories import hierarchy as make
from tests.factories import people
from tests.factories.effort import effort_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from accounts.models import AccountGroup, ResourceDirectory
    from accounts.policies import Viewer

pytestmark = pytest.mark.django_db

MONTHS = Period(make.month("2026-01"), make.month("2026-04"))
FEW, MANY = 100, 100_000


def fill(group: AccountGroup, accounts: int) -> None:
    """So many accounts in a group, written by the database itself."""
    directory = group.directory
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH made AS (INSERT INTO accounts_account (provider_id, external_id, name, kind, status)"
            " SELECT %(provider)s, 'many-' || %(group)s || '-' || n, 'Many ' || n, 'customer', 'active'"
            " FROM generate_series(1, %(accounts)s) AS n RETURNING id)"
            " INSERT INTO accounts_accountmembership (account_id, directory_id, group_id, valid_from, recorded_by_id)"
            " SELECT id, %(directory)s, %(group)s, '2025-01-01', %(version)s FROM made",
            {
                "provider": directory.provider_id,
                "group": group.pk,
                "accounts": accounts,
                "directory": directory.pk,
                "version": make.version(directory).pk,
            },
        )
        cursor.execute("ANALYZE accounts_account, accounts_accountmembership")


def viewer_with(grants: int, root: ResourceDirectory, group: AccountGroup) -> Viewer:
    """Somebody with a role on the group and on so many accounts less one that stand alone."""
    someone = people.person()
    people.give(someone, group, "administrator")
    permission = Permission.objects.get(codename="viewer", content_type__model="account")
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH made AS (INSERT INTO accounts_account (provider_id, external_id, name, kind, status)"
            " SELECT %(provider)s, 'alone-' || %(user)s || '-' || n, '', 'customer', 'active'"
            " FROM generate_series(2, %(grants)s) AS n RETURNING id)"
            " INSERT INTO accounts_accountuserpermission"
            " (user_id, content_object_id, permission_id, granted_at, authority)"
            " SELECT %(user)s, id, %(permission)s, now(), '{}' FROM made",
            {
                "provider": root.provider_id,
                "user": someone.pk,
                "grants": grants,
                "permission": permission.pk,
            },
        )
    return people.viewing(someone)


def decisions(viewer: Viewer, group: AccountGroup) -> dict[str, Callable[[], Any]]:
    """What is asked of policies and selectors all day long."""
    node = people.ref(group)
    key = NodeKey.of(node)
    page = ChildPage(limit=10, order=ChildOrder.NAME_ASC)

    def question() -> Question:
        published, role_kinds = publications.opening(viewer=viewer)
        return Question(viewer, published, MONTHS, role_kinds)

    return {
        "months": lambda: months_of(viewer, kind=NodeKind.ACCOUNT_GROUP, ids=[group.pk]),
        "access": lambda: access_to(viewer, kind=NodeKind.RESOURCE_DIRECTORY, ids=[10**9]),
        "may": lambda: may(viewer, Action.ADMINISTER, node),
        "how many accounts": lambda: VisibleSets(viewer).accounts().count(),
        "ten accounts": lambda: list(VisibleSets(viewer).accounts().order_by("pk")[:10]),
        "search": lambda: search(viewer=viewer, text="Many 1", kinds=[NodeKind.ACCOUNT], first=10),
        "total": lambda: emissions.by_month(question=question(), nodes=[key]),
        "children": lambda: children.children(question=question(), parents=[key], page=page),
        "number of children": lambda: children.count(question=question(), parents=[key]),
        "accounts below": lambda: children.accounts_below(question=question(), parents=[key], page=page),
    }


def test_a_decision_costs_the_same_with_1_and_1000_grants_with_100_and_100000_accounts() -> None:
    root = make.directory()
    small, large = make.group("small", root), make.group("large", root)
    fill(small, FEW)
    fill(large, MANY)
    costs = {}
    for decide in decisions(viewer_with(1, root, small), small).values():
        decide()  # what is computed once per process is not part of a decision
    for size, group in ((FEW, small), (MANY, large)):
        for grants in (1, 1_000):
            viewer = viewer_with(grants, root, group)
            costs[size, grants] = {name: effort_of(decide) for name, decide in decisions(viewer, group).items()}
    few = costs[FEW, 1]
    assert max(effort.statements for effort in few.values()) <= 4
    for sizes, found in costs.items():
        for name, effort in found.items():
            assert effort.statements == few[name].statements, (sizes, name)
            # A role more kind of node writes a part of a statement more; nothing is written or read for each account.
            assert effort.calls <= few[name].calls + 40, (sizes, name)


@pytest.mark.parametrize("grants", [1, 1_000])
def test_the_topmost_roles_are_found_in_a_few_statements(grants: int) -> None:
    root = make.directory()
    group = make.group("g", root)
    viewer = viewer_with(grants, root, group)
    with CaptureQueriesContext(connection) as captured:
        assert len(topmost(viewer=viewer)) == grants
    assert len(captured) <= 3
