"""Two at once, each in a transaction of its own: no cycle, no double parent, no lost interval."""

from __future__ import annotations

from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import closure
from accounts.models import AccountMembership, AccountUserPermission, GroupEdge, Role
from accounts.services import grants, groups, memberships
from accounts.services.refusal import Refusal
from tests.factories import hierarchy as make
from tests.factories import people
from tests.factories.connections import elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accounts.models import AccountGroup, ResourceDirectory

pytestmark = pytest.mark.django_db(transaction=True)
m = make.month


@pytest.fixture(autouse=True)
def _emptied(transactional_db: None) -> Iterator[None]:  # noqa: ARG001 what the test commits, other connections see
    """Let Django empty the tables afterwards: some of ours refuse that, as they should."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")


def _at_once(*works: Callable[[], object]) -> list[str]:
    """Start the works together; "done", or the code or class of what refused each."""
    barrier = Barrier(len(works))

    def guarded(work: Callable[[], object]) -> str:
        barrier.wait(timeout=30)
        try:
            work()
        except Refusal as refusal:
            return refusal.code
        except IntegrityError as error:
            return type(error).__name__
        return "done"

    return elsewhere(*[lambda work=work: guarded(work) for work in works])


def test_two_groups_moved_below_each_other_make_no_cycle() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    boss = people.viewing(people.operator())

    def move(group: AccountGroup, parent: AccountGroup) -> Callable[[], object]:
        return lambda: groups.move_group(
            viewer=boss, group_id=group.pk, parent_id=parent.pk, month=m("2026-01"), frozen_months=()
        )

    for _ in range(5):
        assert sorted(_at_once(move(a, b), move(b, a))) == ["CYCLE", "done"]
        assert closure.verify(directory_ids=[root.pk]) == []
        for group in (a, b):
            groups.move_group(viewer=boss, group_id=group.pk, parent_id=None, month=m("2026-01"), frozen_months=())


def test_raw_edges_written_at_once_make_no_cycle() -> None:
    root = make.directory()
    a, b = make.group("a", root, [(None, "2025-01", "2026-01")]), make.group("b", root, [(None, "2025-01", "2026-01")])
    meet = Barrier(2)

    def insert(group: AccountGroup, parent: AccountGroup) -> Callable[[], object]:
        def work() -> None:
            with transaction.atomic():
                make.edge(group, parent, "2026-01", None)
                meet.wait(timeout=30)

        return work

    results = _at_once(insert(a, b), insert(b, a))
    # Each sees only its own row until the other has committed: the second to be judged finds the cycle or the gap.
    assert "IntegrityError" in results
    parents = GroupEdge.objects.filter(superseded_by=None, valid_from=m("2026-01"), parent__isnull=False)
    assert parents.count() <= 1


def test_one_account_moved_to_two_places_at_once_is_in_one() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    x = make.account("x", [(root, "2025-01", None)])
    boss = people.viewing(people.operator())

    def move(group: AccountGroup) -> Callable[[], object]:
        return lambda: memberships.move_accounts(
            viewer=boss,
            account_ids=[x.pk],
            directory_id=root.pk,
            group_id=group.pk,
            month=m("2026-01"),
            frozen_months=(),
        )

    assert _at_once(move(a), move(b)) == ["done", "done"]
    rows = AccountMembership.objects.filter(account=x, superseded_by=None).order_by("valid_from")
    assert [(f"{row.valid_from:%Y-%m}", row.valid_to) for row in rows] == [("2025-01", m("2026-01")), ("2026-01", None)]
    assert rows[1].group in {a, b}


def test_a_standing_alone_account_joins_one_of_two_directories_at_once() -> None:
    first, second = make.directory(), make.directory()
    x = make.account("x")
    boss = people.viewing(people.operator())

    def join(directory: ResourceDirectory) -> Callable[[], object]:
        return lambda: memberships.move_accounts(
            viewer=boss,
            account_ids=[x.pk],
            directory_id=directory.pk,
            group_id=None,
            month=m("2026-01"),
            frozen_months=(),
        )

    assert _at_once(join(first), join(second)) == ["done", "done"]
    assert AccountMembership.objects.filter(account=x, superseded_by=None).count() == 1
    assert AccountMembership.objects.filter(account=x).count() == 2


def test_moves_in_different_months_at_once_lose_no_interval() -> None:
    root = make.directory()
    a, b, c = (make.group(name, root) for name in "abc")
    child = make.group("child", root, [(a, "2025-01", None)])
    boss = people.viewing(people.operator())

    def move(parent: AccountGroup, start: str, end: str) -> Callable[[], object]:
        return lambda: groups.move_group(
            viewer=boss, group_id=child.pk, parent_id=parent.pk, month=m(start), until=m(end), frozen_months=()
        )

    assert _at_once(move(b, "2025-03", "2025-05"), move(c, "2025-07", "2025-09")) == ["done", "done"]
    rows = GroupEdge.objects.filter(group=child, superseded_by=None).order_by("valid_from")
    assert [(row.parent, f"{row.valid_from:%Y-%m}") for row in rows] == [
        (a, "2025-01"),
        (b, "2025-03"),
        (a, "2025-05"),
        (c, "2025-07"),
        (a, "2025-09"),
    ]
    assert closure.verify(directory_ids=[root.pk]) == []


def test_a_group_is_not_closed_while_an_account_enters_it() -> None:
    root = make.directory()
    a = make.group("a", root)
    x = make.account("x", [(root, "2025-01", None)])
    boss = people.viewing(people.operator())
    results = _at_once(
        lambda: groups.close_group(viewer=boss, group_id=a.pk, month=m("2026-01"), frozen_months=()),
        lambda: memberships.move_accounts(
            viewer=boss, account_ids=[x.pk], directory_id=root.pk, group_id=a.pk, month=m("2026-02"), frozen_months=()
        ),
    )
    assert sorted(results) in (["NOT_EMPTY", "done"], ["OUTSIDE_LIFETIME", "done"])


def test_one_role_granted_twice_at_once_stands_once() -> None:
    x = make.account("x")
    boss, someone = people.viewing(people.operator()), people.person()

    def grant() -> object:
        return grants.grant_role(viewer=boss, node=people.ref(x), role=Role.VIEWER, user_id=someone.pk)

    assert _at_once(grant, grant) == ["done", "done"]
    assert AccountUserPermission.objects.filter(user=someone).count() == 1
