"""The database alone refuses: as the web role, without any policy of the application, nothing more is readable.

Every statement here reads the tables bare, as a forgotten policy would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.checks import run_checks
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from accounts.models import User
from accounts.web_role import PROTECTED, WEB_ROLE, as_web
from allocation.models import AllocationRun
from allocation.services import partitions
from tests.factories import people
from tests.factories.hierarchy import NOW
from tests.read_model.world import World, small_world

if TYPE_CHECKING:
    from datetime import datetime


pytestmark = pytest.mark.django_db

# The codes of the check at start-up.
CODES = {"accounts.E001", "accounts.E002", "accounts.E003", "accounts.E004", "accounts.E005", "accounts.W001"}
# Usage is smaller than micrograms may be.
SMALL = 1_000_003
BARE = "SELECT count(*) FROM {}"
LEAVES = """
SELECT run.month::text, account.external_id, part.code, row.ug
FROM allocation_ledgerrow row
JOIN allocation_allocationrun run ON run.id = row.run_id
JOIN accounts_account account ON account.id = row.account_id
JOIN accounts_resourcegroup part ON part.id = row.resource_group_id
"""


@pytest.fixture
def world(db: None) -> World:  # noqa: ARG001 the database is needed
    return world_with_usage()


def world_with_usage() -> World:
    """The small world, with a row of usage for each leaf and line of its ledgers."""
    world = small_world()
    for run_id, package_id in (
        AllocationRun.objects.distinct("package_id").order_by("package_id", "pk").values_list("pk", "package_id")
    ):
        part = partitions.usage_of(package_id)
        partitions.create(part)
        into = f"{part.table} (package_id, cluster_id, service_id, account_id, resource_group_id, quantity)"
        columns = f"cluster_id, service_id, account_id, resource_group_id, mod(ug, {SMALL})"
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {into} SELECT %s, {columns} FROM allocation_ledgerrow"  # noqa: S608 our own table
                " WHERE run_id = %s AND account_id IS NOT NULL",
                [package_id, run_id],
            )
        partitions.index(part)
        partitions.attach(part)
    return world


def bare() -> dict[str, int]:
    """How many rows of each protected table can be read at this moment of a transaction."""
    found = {}
    with connection.cursor() as cursor:
        for table in PROTECTED:
            cursor.execute(BARE.format(table))
            found[table] = cursor.fetchone()[0]
    return found


def counts(viewer_id: int | None, now: datetime | None = NOW) -> dict[str, int]:
    """How many rows of each protected table the viewer can read by a bare statement."""
    with as_web(viewer_id=viewer_id, now=now):
        return bare()


def test_without_a_viewer_nothing_is_there(world: World) -> None:
    assert all(counts(world.made["operator"].pk).values())
    assert not any(counts(None).values())
    assert not any(counts(world.made["operator"].pk, now=None).values())
    assert not any(counts(world.made["nobody"].pk).values())
    assert not any(counts(10**15).values())


def test_the_owner_reads_on_after_the_transaction_and_the_web_role_has_no_viewer_left(world: World) -> None:
    counts(world.made["operator"].pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user = %s, current_setting('canopy.viewer', true)", [WEB_ROLE])
        assert cursor.fetchone() == (False, "")
        cursor.execute(f"SET LOCAL ROLE {WEB_ROLE}")
        cursor.execute(BARE.format("allocation_ledgerrow"))
        assert cursor.fetchone() == (0,)
        cursor.execute("RESET ROLE")


@pytest.mark.django_db(transaction=True)
def test_nothing_leaks_into_the_next_request_of_a_pooled_connection() -> None:
    world = world_with_usage()
    assert all(counts(world.made["operator"].pk).values())
    with connection.cursor() as cursor:
        # The connection was never closed: the next transaction on it knows neither role nor viewer nor instant.
        cursor.execute(
            "SELECT current_user = %s, current_setting('canopy.viewer', true), current_setting('canopy.now', true)",
            [WEB_ROLE],
        )
        assert cursor.fetchone() == (False, "", "")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {WEB_ROLE}")
        for table in PROTECTED:
            cursor.execute(BARE.format(table))
            assert cursor.fetchone() == (0,), table


def test_a_failing_request_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(ZeroDivisionError), as_web(viewer_id=world.made["operator"].pk, now=NOW):
        raise ZeroDivisionError
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user = %s, current_setting('canopy.viewer', true)", [WEB_ROLE])
        assert cursor.fetchone()[0] is False


def refused(world: World, statement: str) -> None:
    """Not even for an operator has the web role the right to do this."""
    operator = world.made["operator"].pk
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        as_web(viewer_id=operator, now=NOW),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_partitions_are_closed_to_the_web_role(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = ANY(%s::regclass[])", [[*PROTECTED]]
        )
        partitions = [row[0] for row in cursor.fetchall()]
    assert {name.rsplit("_", 1)[0] for name in partitions} == {
        "allocation_ledgerrow",
        "allocation_accounttotal",
        "allocation_usagerow",
    }
    for partition in partitions:
        refused(world, BARE.format(partition))


@pytest.mark.parametrize("table", PROTECTED)
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET id = id", "INSERT INTO {} DEFAULT VALUES"])
def test_numbers_are_read_only_to_the_web_role(world: World, table: str, change: str) -> None:
    refused(world, change.format(table))


def test_sums_of_usage_are_nothing_to_the_web_role(world: World) -> None:
    refused(world, BARE.format("allocation_usagesum"))


def test_the_audit_log_can_only_grow(world: World) -> None:
    for change in ("DELETE FROM accounts_auditentry", "UPDATE accounts_auditentry SET action = ''"):
        refused(world, change)


def leaves(user: User) -> set[tuple[str, str, str, int]]:
    """The ledger as the viewer reads it bare."""
    with as_web(viewer_id=user.pk, now=NOW), connection.cursor() as cursor:
        cursor.execute(LEAVES)
        return set(cursor.fetchall())


USED = """
SELECT package.month::text, account.external_id, part.code, row.quantity::bigint
FROM allocation_usagerow row
JOIN allocation_package package ON package.id = row.package_id
JOIN accounts_account account ON account.id = row.account_id
JOIN accounts_resourcegroup part ON part.id = row.resource_group_id
"""


def test_of_usage_everybody_reads_what_they_read_of_the_ledger(world: World) -> None:
    runs = list(AllocationRun.objects.distinct("package_id").order_by("package_id", "pk").values_list("pk", flat=True))
    seen = {}
    for name, user in world.made.items():
        if not isinstance(user, User):
            continue
        with as_web(viewer_id=user.pk, now=NOW), connection.cursor() as cursor:
            cursor.execute(USED)
            used = set(cursor.fetchall())
            cursor.execute(f"{LEAVES} WHERE row.run_id = ANY(%s)", [runs])
            assert used == {(*leaf, ug % SMALL) for *leaf, ug in cursor.fetchall()}, name
        seen[name] = len(used)
    assert len(set(seen.values())) > 3
    assert seen["nobody"] == 0


def test_a_moved_account_is_seen_by_either_parent_in_its_own_months(world: World) -> None:
    everything = leaves(world.made["operator"])
    of_mover = {leaf for leaf in everything if leaf[1] == "mover"}
    by_a = {leaf for leaf in leaves(world.made["viewer-a"]) if leaf[1] == "mover"}
    by_b = {leaf for leaf in leaves(world.made["viewer-b"]) if leaf[1] == "mover"}
    assert by_a
    assert by_b
    assert not by_a & by_b
    assert max(month for month, *_ in by_a) < min(month for month, *_ in by_b)
    assert leaves(world.made["viewer-mover"]) == of_mover


def test_a_revoked_or_expired_role_is_gone_at_once(world: World) -> None:
    person = people.person()
    grant = people.give(person, world.made["north"])
    assert all(counts(person.pk).values())
    type(grant)._default_manager.filter(pk=grant.pk).update(ends_at=NOW)  # noqa: SLF001 the manager of a class known at run time
    assert not any(counts(person.pk).values())
    type(grant)._default_manager.filter(pk=grant.pk).update(ends_at=None)  # noqa: SLF001 the manager of a class known at run time
    type(person).objects.filter(pk=person.pk).update(is_active=False)
    assert not any(counts(person.pk).values())


@pytest.mark.parametrize("node", ["acme", "north", "a", "mover"])
def test_what_a_statement_worked_out_is_gone_at_the_next_one(world: World, node: str) -> None:
    """Keys are kept to the end of a statement: a role revoked in the same transaction counts at once."""
    person = people.person()
    grant = people.give(person, world.made[node])
    with as_web(viewer_id=person.pk, now=NOW):
        assert any(bare().values())
        assert "{[" in _kept()
        type(grant)._default_manager.filter(pk=grant.pk).delete()  # noqa: SLF001 the manager of a class known at run time
        assert not any(bare().values())
        assert "{[" not in _kept()


def _kept() -> str:
    """Everything that the policies keep in the transaction."""
    kinds = ("resource_directory", "account_group", "account", "resource_group")
    names = [f"{kind}{row}" for kind in kinds for row in ("", "_run", "_package", "_publication")]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(current_setting('canopy.keys_' || name, true), ' ') FROM unnest(%s::text[]) AS name",
            [names],
        )
        return str(cursor.fetchone()[0])


def found() -> set[str]:
    return {str(message.id) for message in run_checks(databases=["default"], tags=["database"])} & CODES


def test_an_upgrade_is_not_asked_for_what_it_is_about_to_bring() -> None:
    """`migrate` runs the checks first: a table that the next migration protects is no reason to refuse it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE allocation_usagerow DISABLE ROW LEVEL SECURITY")
        assert found() == {"accounts.E004"}
        cursor.execute("DELETE FROM django_migrations WHERE app = 'allocation' AND name >= '0013'")
        assert found() == set()
        transaction.set_rollback(True)


def test_the_start_up_check_tells_a_role_that_is_too_powerful() -> None:
    assert found() == set()
    for make_it_wrong, code in (
        (f"ALTER ROLE {WEB_ROLE} BYPASSRLS", "accounts.E002"),
        ("GRANT {} TO {}", "accounts.E003"),
        ("ALTER TABLE allocation_ledgerrow NO FORCE ROW LEVEL SECURITY", "accounts.E004"),
        (f"ALTER ROLE {WEB_ROLE} LOGIN", "accounts.W001"),
    ):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_user)")
            cursor.execute(make_it_wrong.format(cursor.fetchone()[0], WEB_ROLE))
            assert code in found(), make_it_wrong
            transaction.set_rollback(True)
