"""Is the database's own line of defence in place? Asked by `manage.py check --database default` and by migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 Django's name
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from accounts.web_role import PROTECTED, WEB_ROLE

if TYPE_CHECKING:
    from collections.abc import Sequence

# Who may see through the policies: superusers, BYPASSRLS, and whoever has the rights of a table's owner.
_ROLE = """
SELECT role.rolsuper OR role.rolbypassrls,
       EXISTS (SELECT FROM pg_class held WHERE held.relname = ANY(%(tables)s) AND held.relkind IN ('p', 'r')
               AND pg_has_role(role.oid, held.relowner, 'USAGE')),
       role.rolcanlogin,
       pg_has_role(current_user, role.oid, 'SET')
FROM pg_roles role WHERE role.rolname = %(role)s
"""
_UNPROTECTED = """
SELECT held.relname FROM pg_class held
WHERE held.relname = ANY(%(tables)s) AND held.relkind IN ('p', 'r')
    AND NOT (held.relrowsecurity AND held.relforcerowsecurity)
ORDER BY 1
"""
# Partitions have no policies of their own, so nobody but their owner may touch them.
_OPEN_PARTITIONS = """
SELECT count(*) FROM pg_inherits part JOIN pg_class held ON held.oid = part.inhparent
WHERE held.relname = ANY(%(tables)s) AND has_table_privilege(%(role)s, part.inhrelid, 'SELECT')
"""


@register(Tags.database)
def row_level_security(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:  # noqa: ANN401 Django's signature
    """Errors where the web role could see more than its viewer, a warning where the process need not take it on."""
    return [message for using in databases or [] for message in _of(using)]


def _migrated(using: str) -> bool:
    """Whether nothing is left to migrate, so that role and policies are those that this code expects."""
    executor = MigrationExecutor(connections[using])
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _of(using: str) -> list[CheckMessage]:
    names: dict[str, Any] = {"tables": list(PROTECTED), "role": WEB_ROLE}
    with connections[using].cursor() as cursor:
        if not _migrated(using):
            return []  # `migrate` asks before it makes the role and protects what is new
        cursor.execute(_ROLE, names)
        role = cursor.fetchone()
        if role is None:
            return [Error(f"the database role {WEB_ROLE} is missing", id="accounts.E001")]
        cursor.execute(_UNPROTECTED, names)
        unprotected = [row[0] for row in cursor.fetchall()]
        cursor.execute(_OPEN_PARTITIONS, names)
        partitions = cursor.fetchone()[0]
    powerful, owner, login, may_become = role
    found: list[CheckMessage] = []
    if powerful:
        found.append(Error(f"{WEB_ROLE} is superuser or BYPASSRLS: it sees every row", id="accounts.E002"))
    elif owner:
        found.append(Error(f"{WEB_ROLE} has the rights of the owner of the numbers", id="accounts.E003"))
    if unprotected:
        found.append(Error(f"row-level security is not forced on {', '.join(unprotected)}", id="accounts.E004"))
    if partitions and not powerful and not owner:
        found.append(Error(f"{WEB_ROLE} may read {partitions} partitions past their parents", id="accounts.E005"))
    if not may_become:
        found.append(Error(f"this connection may not become {WEB_ROLE}", id="accounts.E006"))
    if login:
        found.append(Warning(f"{WEB_ROLE} can log in: it is meant as a group of logins", id="accounts.W001"))
    return found
