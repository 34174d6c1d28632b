"""What the database refuses, whoever writes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import (
    Account,
    AccountGroup,
    AccountMembership,
    AuditEntry,
    DelegatedAdministrator,
    GroupEdge,
    ResourceDirectory,
    ResourceGroup,
    User,
)
from tests.factories import hierarchy as make
from tests.factories import people

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db


def _commit() -> None:
    """Judge what is judged at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@contextmanager
def _judged() -> Iterator[None]:
    with transaction.atomic():
        yield
        _commit()


@contextmanager
def _refused(why: str) -> Iterator[None]:
    """What is done inside is refused by the database, at the latest at commit."""
    with pytest.raises(IntegrityError, match=why), _judged():
        yield


def _membership(
    account: Account, directory: ResourceDirectory, group: AccountGroup | None, start: str, end: str | None
) -> None:
    AccountMembership.objects.create(
        account=account,
        directory=directory,
        group=group,
        valid_from=make.month(start),
        valid_to=None if end is None else make.month(end),
        recorded_by=make.version(directory),
    )


def test_a_group_has_one_parent_at_a_time() -> None:
    root = make.directory()
    a, b = make.group("a", root), make.group("b", root)
    child = make.group("child", root, [(a, "2025-01", "2025-06")])
    make.edge(child, b, "2025-06", None)
    with _refused("group_edge_one_parent"):
        make.edge(child, b, "2025-05", "2025-06")


def test_an_account_is_in_one_place_at_a_time() -> None:
    root, other = make.directory(), make.directory()
    account = make.account("x", [(root, "2025-01", "2025-06")])
    _membership(account, other, None, "2025-06", None)
    with _refused("membership_one_place"):
        _membership(account, other, None, "2025-05", "2025-06")


@pytest.mark.parametrize(("start", "end"), [("2025-03", "2025-03"), ("2025-03", "2025-02")])
def test_a_stay_ends_after_it_starts(start: str, end: str) -> None:
    root = make.directory()
    with _refused("group_edge_months"):
        make.edge(make.bare_group("a", root), None, start, end)


def test_a_stay_starts_with_a_month() -> None:
    root = make.directory()
    group = make.bare_group("a", root)
    with _refused("group_edge_months"):
        GroupEdge.objects.create(directory=root, group=group, valid_from="2025-01-02", recorded_by=make.version(root))


def test_a_group_is_not_its_own_parent() -> None:
    root = make.directory()
    group = make.bare_group("a", root)
    with _refused("group_edge_not_itself"):
        make.edge(group, group)


def test_raw_edges_make_no_cycle() -> None:
    root = make.directory()
    a = make.group("a", root, [(None, "2025-01", "2025-06")])
    b = make.group("b", root, [(a, "2025-01", "2025-06"), (None, "2025-06", None)])
    c = make.group("c", root, [(b, "2025-01", None)])
    _commit()
    with _refused("its own ancestor"):
        GroupEdge.objects.filter(group=a).update(superseded_by=make.version(root))
        make.edge(a, None, "2025-01", "2025-05")
        make.edge(a, c, "2025-05", None)
    # In other months the same parent is fine: a went away from above b in June.
    make.edge(a, c, "2025-06", None)
    _commit()


def test_the_check_of_an_edge_does_not_read_all_edges() -> None:
    """Not even where most groups stand below the same one, and the planner takes that for the rule."""
    directory, recorded = make.directory(), make.version()
    top, *below = (make.bare_group(f"group {number}", directory) for number in range(200))
    GroupEdge.objects.bulk_create(
        GroupEdge(
            directory=directory,
            group=group,
            parent=None if group is top else top,
            valid_from=make.month("2025-01"),
            recorded_by=recorded,
        )
        for group in (top, *below)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_groupedge")
        before = _edges_read_by_scans()
        _commit()
    # A look for each of a few edges would be harmless; one for each edge reads 40 000.
    assert _edges_read_by_scans() - before < 10 * len(below)


def _edges_read_by_scans() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'accounts_groupedge'")
        return int(cursor.fetchone()[0])


def test_a_group_does_not_outlive_its_parent() -> None:
    root = make.directory()
    parent = make.group("parent", root, [(None, "2025-01", "2025-06")])
    child = make.bare_group("child", root)
    _commit()
    with _refused("outlive its parent"):
        make.edge(child, parent, "2025-01", "2025-07")
    make.edge(child, parent, "2025-01", "2025-06")
    _commit()
    with _refused("a group below"):
        GroupEdge.objects.filter(group=parent).update(superseded_by=make.version(root))
        make.edge(parent, None, "2025-01", "2025-05")


def test_an_account_does_not_outlive_its_group() -> None:
    root = make.directory()
    group = make.group("g", root, [(None, "2025-01", "2025-06")])
    account = make.account("x", [(group, "2025-01", "2025-06")])
    with _refused("does not exist in all"):
        _membership(account, root, group, "2025-06", None)
    with _refused("an account in group"):
        GroupEdge.objects.filter(group=group).update(superseded_by=make.version(root))


def test_edges_and_memberships_stay_inside_one_directory() -> None:
    root, other = make.directory(), make.directory()
    foreign = make.group("foreign", other)
    for wrong in (
        lambda: make.edge(make.bare_group("a", root), foreign),
        lambda: GroupEdge.objects.create(
            directory=root,
            group=foreign,
            valid_from=make.month("2024-01"),
            valid_to=make.month("2024-02"),
            recorded_by=make.version(root),
        ),
        lambda: _membership(make.account("x"), root, foreign, "2025-01", None),
        lambda: make.delegation(make.account("y", [(root, "2025-01", None)]), root, foreign),
    ):
        with _refused("_directory"):
            wrong()


def test_an_account_joins_a_directory_of_its_own_provider_only() -> None:
    root = make.directory()
    stranger = make.account("x", provider=make.provider("another"))
    with _refused("another provider"):
        _membership(stranger, root, None, "2025-01", None)


def test_owners_of_nodes_never_change() -> None:
    root, other = make.directory(), make.directory()
    group, account = make.group("g", root), make.account("x")
    part = make.resource_group(account)
    far = make.provider("another")
    with _refused("never changes"):
        Account.objects.filter(pk=account.pk).update(provider=far)
    with _refused("never changes"):
        ResourceDirectory.objects.filter(pk=root.pk).update(provider=far)
    with _refused("never changes"):
        AccountGroup.objects.filter(pk=group.pk).update(directory=other)
    with _refused("never changes"):
        ResourceGroup.objects.filter(pk=part.pk).update(account=make.account("y"))


def test_recorded_rows_are_superseded_once_and_nothing_else() -> None:
    root = make.directory()
    group = make.group("g", root)
    make.account("x", [(group, "2025-01", None)])
    for model in (GroupEdge, AccountMembership):
        rows = model._default_manager.filter(group=group)  # noqa: SLF001 Django's name
        with _refused("superseded, never changed"):
            rows.update(valid_to=make.month("2030-01"))
        with _refused("superseded, never changed"):
            rows.delete()
        rows.update(superseded_by=make.version(root))
        with _refused("superseded, never changed"):
            rows.update(superseded_by=None)


def test_the_audit_log_is_append_only() -> None:
    entry = AuditEntry.objects.create(at=make.NOW, action="test", node_kind="account", node_id=1)
    _commit()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditentry ENABLE TRIGGER audit_no_truncate")
    for change in (
        lambda: AuditEntry.objects.filter(pk=entry.pk).update(action="other"),
        lambda: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda: connection.cursor().execute("TRUNCATE accounts_auditentry"),
    ):
        with _refused("append-only"):
            change()


def test_a_grant_stands_once() -> None:
    root = make.directory()
    someone = people.person()
    people.give(someone, root)
    people.give(someone, root, "administrator")
    with _refused("unique"):
        people.give(someone, root)
    team = people.crew(someone)
    people.give(team, root)
    with _refused("unique"):
        people.give(team, root)


def test_a_delegation_stands_once_until_it_is_revoked() -> None:
    root = make.directory()
    account = make.account("x", [(root, "2025-01", None)])
    first = make.delegation(account, root)
    with _refused("delegation_once"):
        make.delegation(account, root)
    DelegatedAdministrator.objects.filter(pk=first.pk).update(revoked_at=make.NOW)
    make.delegation(account, root)


def test_users_with_grants_made_by_them_stay() -> None:
    root = make.directory()
    granter = people.person()
    people.give(people.person(), root, granted_by=granter)
    with _refused("granted_by"):
        User.objects.filter(pk=granter.pk)._raw_delete("default")  # noqa: SLF001 past Django's own protection
