"""Groups and accounts through time, as services change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accounts import closure
from accounts.models import (
    Account,
    AccountGroup,
    AccountMembership,
    AuditEntry,
    GroupEdge,
    NodeStatus,
    ResourceDirectory,
    TreeVersion,
)
from accounts.services import directories, groups, memberships
from accounts.services.quotas import PRESETS, QuotaExceeded, Quotas
from accounts.services.refusal import Invalid, NotFound, PermissionDenied
from accounts.services.timeline import MonthPublished
from tests.factories import hierarchy as make
from tests.factories import people

if TYPE_CHECKING:
    from accounts.policies import Viewer

pytestmark = pytest.mark.django_db
m = make.month


def _stays(group: AccountGroup) -> list[tuple[int | None, str, str | None]]:
    rows = GroupEdge.objects.filter(group=group, superseded_by=None).order_by("valid_from")
    return [
        (row.parent_id, f"{row.valid_from:%Y-%m}", f"{row.valid_to:%Y-%m}" if row.valid_to else None) for row in rows
    ]


def _places(account: Account) -> list[tuple[int, int | None, str, str | None]]:
    rows = AccountMembership.objects.filter(account=account, superseded_by=None).order_by("valid_from")
    return [
        (row.directory_id, row.group_id, f"{row.valid_from:%Y-%m}", f"{row.valid_to:%Y-%m}" if row.valid_to else None)
        for row in rows
    ]


def _boss() -> Viewer:
    return people.viewing(people.operator())


def test_a_group_is_created_renamed_moved_and_closed() -> None:
    root = make.directory()
    boss = _boss()
    a = groups.create_group(
        viewer=boss,
        directory_id=root.pk,
        parent_id=None,
        external_id="a",
        name="A",
        month=m("2026-01"),
        frozen_months=(),
    )
    b = groups.create_group(
        viewer=boss,
        directory_id=root.pk,
        parent_id=a.pk,
        external_id="b",
        name="B",
        month=m("2026-02"),
        frozen_months=(),
    )
    assert groups.rename_group(viewer=boss, group_id=b.pk, name="Bee").name == "Bee"
    groups.move_group(viewer=boss, group_id=b.pk, parent_id=None, month=m("2026-05"), frozen_months=())
    groups.move_group(viewer=boss, group_id=b.pk, parent_id=a.pk, month=m("2026-06"), frozen_months=())
    assert _stays(b) == [(a.pk, "2026-02", "2026-05"), (None, "2026-05", "2026-06"), (a.pk, "2026-06", None)]
    with pytest.raises(groups.NotEmpty):
        groups.close_group(viewer=boss, group_id=a.pk, month=m("2026-07"), frozen_months=())
    groups.close_group(viewer=boss, group_id=b.pk, month=m("2026-07"), frozen_months=())
    closed = groups.close_group(viewer=boss, group_id=a.pk, month=m("2026-07"), frozen_months=())
    assert (closed.status, closed.closed_from, closed.name) == (NodeStatus.CLOSED, m("2026-07"), "A")
    assert closure.verify(directory_ids=[root.pk]) == []
    actions = list(AuditEntry.objects.filter(node_kind="account_group", node_id=b.pk).values_list("action", flat=True))
    assert sorted(actions) == ["close_group", "create_group", "move_group", "move_group", "rename_group"]


def test_earlier_trees_can_still_be_read() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    child = make.group("child", root, [(a, "2025-01", None)])
    before = TreeVersion.objects.latest("id").pk
    groups.move_group(viewer=_boss(), group_id=child.pk, parent_id=b.pk, month=m("2025-06"), frozen_months=())
    then = GroupEdge.objects.filter(group=child, recorded_by__lte=before).exclude(superseded_by__lte=before)
    assert [(row.parent_id, row.valid_to) for row in then] == [(a.pk, None)]
    assert _stays(child) == [(a.pk, "2025-01", "2025-06"), (b.pk, "2025-06", None)]


def test_moving_to_where_it_is_changes_nothing() -> None:
    root = make.directory()
    a = make.group("a", root)
    x = make.account("x", [(a, "2025-01", None)])
    rows = TreeVersion.objects.count()
    boss = _boss()
    groups.move_group(viewer=boss, group_id=a.pk, parent_id=None, month=m("2025-03"), frozen_months=())
    memberships.move_accounts(
        viewer=boss, account_ids=[x.pk], directory_id=root.pk, group_id=a.pk, month=m("2025-03"), frozen_months=()
    )
    assert TreeVersion.objects.count() == rows
    assert not AuditEntry.objects.exists()


def test_a_group_moves_for_some_months_only() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    child = make.group("child", root, [(a, "2025-01", None)])
    groups.move_group(
        viewer=_boss(), group_id=child.pk, parent_id=b.pk, month=m("2025-03"), until=m("2025-05"), frozen_months=()
    )
    assert _stays(child) == [(a.pk, "2025-01", "2025-03"), (b.pk, "2025-03", "2025-05"), (a.pk, "2025-05", None)]
    assert closure.verify(directory_ids=[root.pk]) == []


def test_a_group_cannot_stand_below_itself_in_any_month() -> None:
    root = make.directory()
    a = make.group("a", root)
    b = make.group("b", root, [(None, "2025-01", "2025-06"), (a, "2025-06", "2025-09"), (None, "2025-09", None)])
    boss = _boss()
    with pytest.raises(groups.Cycle):
        groups.move_group(viewer=boss, group_id=a.pk, parent_id=b.pk, month=m("2025-01"), frozen_months=())
    with pytest.raises(groups.Cycle):
        groups.move_group(viewer=boss, group_id=a.pk, parent_id=a.pk, month=m("2025-01"), frozen_months=())
    groups.move_group(viewer=boss, group_id=a.pk, parent_id=b.pk, month=m("2025-09"), frozen_months=())
    assert closure.verify(directory_ids=[root.pk]) == []


def test_groups_stay_in_their_directory_and_in_their_lifetimes() -> None:
    root, other = make.directory(), make.directory()
    foreign, young = make.group("foreign", other), make.group("young", root, [(None, "2025-06", None)])
    a = make.group("a", root)
    boss = _boss()
    with pytest.raises(Invalid, match="another directory"):
        groups.move_group(viewer=boss, group_id=a.pk, parent_id=foreign.pk, month=m("2025-06"), frozen_months=())
    with pytest.raises(groups.OutsideLifetime):
        groups.move_group(viewer=boss, group_id=a.pk, parent_id=young.pk, month=m("2025-05"), frozen_months=())
    with pytest.raises(groups.OutsideLifetime):
        groups.move_group(viewer=boss, group_id=young.pk, parent_id=a.pk, month=m("2025-05"), frozen_months=())


def test_names_and_ids_of_groups_are_checked() -> None:
    root = make.directory()
    boss = _boss()
    a = make.group("a", root)

    def create(external_id: str, name: str) -> None:
        groups.create_group(
            viewer=boss,
            directory_id=root.pk,
            parent_id=None,
            external_id=external_id,
            name=name,
            month=m("2025-01"),
            frozen_months=(),
        )

    with pytest.raises(groups.GroupExists):
        create(a.external_id, "again")
    with pytest.raises(Invalid):
        create("new", " ")
    with pytest.raises(Invalid):
        groups.rename_group(viewer=boss, group_id=a.pk, name="")


def test_administrators_move_only_between_places_that_they_administer() -> None:
    root = make.directory()
    mine, also_mine, foreign = (make.group(name, root) for name in ("mine", "also", "foreign"))
    x, y = make.account("x", [(mine, "2025-01", None)]), make.account("y", [(foreign, "2025-01", None)])
    user = people.person()
    people.give(user, mine, "administrator")
    people.give(user, also_mine, "administrator")
    people.give(user, foreign)
    viewer = people.viewing(user)

    def move(account: Account, to: AccountGroup | None, month: str = "2026-01") -> None:
        memberships.move_accounts(
            viewer=viewer,
            account_ids=[account.pk],
            directory_id=root.pk,
            group_id=None if to is None else to.pk,
            month=m(month),
            frozen_months=(),
        )

    move(x, also_mine)
    assert _places(x) == [(root.pk, mine.pk, "2025-01", "2026-01"), (root.pk, also_mine.pk, "2026-01", None)]
    with pytest.raises(PermissionDenied):
        move(x, foreign)
    with pytest.raises(PermissionDenied):
        move(y, mine)
    with pytest.raises(PermissionDenied):
        move(x, None)
    with pytest.raises(NotFound):
        move(make.account("alone"), mine)
    hidden = make.group("hidden", root)
    with pytest.raises(NotFound):
        move(x, hidden)


def test_a_new_parent_cannot_take_the_months_of_the_former_one() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    x = make.account("x", [(a, "2025-01", "2026-01"), (b, "2026-01", None)])
    user = people.person()
    people.give(user, b, "administrator")
    with pytest.raises(PermissionDenied):
        memberships.move_accounts(
            viewer=people.viewing(user),
            account_ids=[x.pk],
            directory_id=root.pk,
            group_id=b.pk,
            month=m("2025-06"),
            frozen_months=(),
        )


def test_published_months_change_for_nobody_but_a_restatement() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    x = make.account("x", [(a, "2025-01", None)])
    user = people.person()
    people.give(user, root, "administrator")

    def move(viewer: Viewer, month: str) -> None:
        memberships.move_accounts(
            viewer=viewer,
            account_ids=[x.pk],
            directory_id=root.pk,
            group_id=b.pk,
            month=m(month),
            frozen_months={m("2026-04"), m("2026-05")},
        )

    with pytest.raises(MonthPublished):
        move(people.viewing(user), "2026-05")
    with pytest.raises(MonthPublished):
        groups.move_group(
            viewer=people.viewing(user), group_id=a.pk, parent_id=b.pk, month=m("2026-05"), frozen_months={m("2026-05")}
        )
    move(people.viewing(user), "2026-06")
    # Those of the months that do not change may be published.
    move(people.viewing(user), "2026-06")
    with pytest.raises(MonthPublished):
        move(_boss(), "2026-04")
    assert _places(x) == [(root.pk, a.pk, "2025-01", "2026-06"), (root.pk, b.pk, "2026-06", None)]


def test_accounts_join_move_between_directories_and_leave() -> None:
    root, other = make.directory(), make.directory()
    x = make.account("x")
    boss = _boss()

    def place(to: ResourceDirectory, month: str) -> None:
        memberships.move_accounts(
            viewer=boss, account_ids=[x.pk], directory_id=to.pk, group_id=None, month=m(month), frozen_months=()
        )

    place(root, "2025-03")
    place(other, "2025-06")
    place(root, "2025-09")
    memberships.leave_directory(viewer=boss, account_ids=[x.pk], month=m("2025-12"), frozen_months=())
    assert _places(x) == [
        (root.pk, None, "2025-03", "2025-06"),
        (other.pk, None, "2025-06", "2025-09"),
        (root.pk, None, "2025-09", "2025-12"),
    ]


def test_accounts_of_other_providers_and_closed_ones_cannot_join() -> None:
    root = make.directory()
    boss = _boss()
    stranger = make.account("x", provider=make.provider("another"))
    closed = make.account("y")
    memberships.close_account(viewer=boss, account_id=closed.pk, month=m("2026-01"))

    def join(account: Account) -> None:
        memberships.move_accounts(
            viewer=boss,
            account_ids=[account.pk],
            directory_id=root.pk,
            group_id=None,
            month=m("2026-01"),
            frozen_months=(),
        )

    with pytest.raises(memberships.OtherProvider):
        join(stranger)
    with pytest.raises(memberships.AccountClosed):
        join(closed)


def test_a_closed_account_keeps_its_name_and_its_place() -> None:
    root = make.directory()
    x = make.account("x", [(root, "2025-01", None)])
    closed = memberships.close_account(viewer=_boss(), account_id=x.pk, month=m("2026-01"))
    assert (closed.name, closed.status, closed.closed_from) == ("x", NodeStatus.CLOSED, m("2026-01"))
    assert _places(x) == [(root.pk, None, "2025-01", None)]


def test_management_accounts_and_delegated_administrators_cannot_leave() -> None:
    root = make.directory()
    boss = _boss()
    x, y = make.account("x", [(root, "2025-01", None)]), make.account("y", [(root, "2025-01", None)])
    type(root).objects.filter(pk=root.pk).update(management_account=x)
    standing = make.delegation(y, root)
    for account in (x, y):
        with pytest.raises(memberships.Bound):
            memberships.leave_directory(viewer=boss, account_ids=[account.pk], month=m("2026-08"), frozen_months=())
        with pytest.raises(memberships.Bound):
            memberships.close_account(viewer=boss, account_id=account.pk, month=m("2026-08"))
    type(standing).objects.filter(pk=standing.pk).update(revoked_at=make.NOW)
    memberships.leave_directory(viewer=boss, account_ids=[y.pk], month=m("2026-08"), frozen_months=())
    assert _places(y) == [(root.pk, None, "2025-01", "2026-08")]


def test_quotas_limit_depth_groups_and_accounts() -> None:
    root = make.directory()
    boss = _boss()
    directories.set_quotas(viewer=boss, directory_id=root.pk, quotas=Quotas(depth=2, groups=3, accounts=1))

    def create(parent: AccountGroup | None, name: str) -> AccountGroup:
        return groups.create_group(
            viewer=boss,
            directory_id=root.pk,
            parent_id=None if parent is None else parent.pk,
            external_id=name,
            name=name,
            month=m("2026-01"),
            frozen_months=(),
        )

    def join(account: Account) -> None:
        memberships.move_accounts(
            viewer=boss,
            account_ids=[account.pk],
            directory_id=root.pk,
            group_id=None,
            month=m("2026-01"),
            frozen_months=(),
        )

    a = create(None, "a")
    b = create(a, "b")
    with pytest.raises(QuotaExceeded) as depth:
        create(b, "c")
    assert (depth.value.quota, depth.value.limit, depth.value.found) == ("depth", 2, 3)
    create(a, "c")
    with pytest.raises(QuotaExceeded) as number:
        create(a, "d")
    assert number.value.quota == "groups"
    join(make.account("x"))
    with pytest.raises(QuotaExceeded) as members:
        join(make.account("y"))
    assert members.value.quota == "accounts"
    assert PRESETS["ibm"] == Quotas(depth=5, groups=500, accounts=1_000)


def test_operators_alone_set_up_enterprises_directories_and_quotas() -> None:
    user = people.person()
    root = make.directory()
    people.give(user, root, "administrator")
    viewer = people.viewing(user)
    with pytest.raises(PermissionDenied):
        directories.create_enterprise(viewer=viewer, external_id="e", name="E")
    with pytest.raises(PermissionDenied):
        directories.set_quotas(viewer=viewer, directory_id=root.pk, quotas=Quotas())
    boss = _boss()
    company = directories.create_enterprise(viewer=boss, external_id="e", name="E")
    made = directories.create_directory(
        viewer=boss, provider=make.provider(), enterprise=company, external_id="d", name="D", quotas=PRESETS["aws"]
    )
    assert (made.max_depth, made.max_groups, made.max_accounts) == (5, 1_000, None)
    with pytest.raises(directories.Exists):
        directories.create_enterprise(viewer=boss, external_id="e", name="E")
    with pytest.raises(directories.Exists):
        directories.create_directory(
            viewer=boss, provider=make.provider(), enterprise=company, external_id="d", name="D", quotas=Quotas()
        )
