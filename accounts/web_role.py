"""The database role of the API: what it may touch, and how a transaction takes it on.

`canopy_web` cannot log in. A production gives its web processes a login of their own that is a member of it and of
nothing else; a deployment with one DATABASE_URL (the embedded server, the tests) takes the role on in each transaction.
Row-level security (`allocation` migration `0007_row_level_security`) shows that role nothing but what the viewer of the
transaction may see. docs/adr/0008-row-level-security.md has the reasons and the figures.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.db import connections, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper

WEB_ROLE: Final = "canopy_web"
PROTECTED: Final = (
    "allocation_ledgerrow",
    "allocation_accounttotal",
    "allocation_containertotal",
    "allocation_usagerow",
)
"""Parents of partitions: read through row-level security. The role has no right on the partitions themselves."""

PARTITIONED: Final = tuple(table for table in PROTECTED if table != "allocation_containertotal")

_APPEND_ONLY: Final = ("accounts_auditentry",)


@contextmanager
def as_web(
    *,
    viewer_id: int | None,
    now: datetime | None,
    timeout_ms: int | None = None,
    plan_once: bool = False,
    using: str = "default",
) -> Iterator[None]:
    """Be the web role, for this viewer at this instant, to the end of the transaction that is opened here.

    Everything is local to the transaction: a pooled connection carries neither role nor viewer to the next request.
    Inside an outer transaction (a test's), role and viewer are put back when the block ends.

    Args:
        viewer_id: the user; None sees no number at all.
        now: the instant of the request; None sees no number at all.
        timeout_ms: how long each statement of the transaction may take; None leaves that alone.
        plan_once: plan prepared statements (`accounts.statements`) without regard to their parameters.
        using: the database connection.
    """
    connection = connections[using]
    nested = connection.in_atomic_block
    viewer, instant = "" if viewer_id is None else str(viewer_id), "" if now is None else now.isoformat()
    with transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('role', %s, true), set_config('canopy.viewer', %s, true),"
                " set_config('canopy.now', %s, true),"
                " set_config('statement_timeout', COALESCE(%s, current_setting('statement_timeout')), true),"
                " set_config('plan_cache_mode', %s, true)",
                [
                    WEB_ROLE,
                    viewer,
                    instant,
                    None if timeout_ms is None else str(timeout_ms),
                    "force_generic_plan" if plan_once else "auto",
                ],
            )
        yield
        if nested:
            # A released savepoint keeps what SET LOCAL did; an exception, which rolls back to it, does not.
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('role', 'none', true), set_config('canopy.viewer', '', true),"
                    " set_config('canopy.now', '', true), set_config('plan_cache_mode', 'auto', true)"
                )


def tell_viewer(viewer_id: int, *, using: str = "default") -> None:
    """Tell the database who asks, in a transaction of `as_web` that began before that was known."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('canopy.viewer', %s, true)", [str(viewer_id)])


@contextmanager
def as_owner(*, using: str = "default") -> Iterator[None]:
    """Put the web role aside for a moment within its transaction, for work that only the owner of the tables may do.

    For operators' work that makes partitions (publishing). Possible only where one login serves all processes: a web
    login of its own cannot, and leaves such work to a worker.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('role'), set_config('role', 'none', true)")
        before = cursor.fetchone()[0]
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('role', %s, true)", [before])


def grant_tables(connection: BaseDatabaseWrapper) -> None:
    """Give the web role its rights on the tables of every model, as the owner; run after every migration.

    Tables are named one by one. Default privileges would reach partitions too, which have no policies of their own.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [WEB_ROLE])
        if cursor.rowcount == 0:
            return  # a migration of some apps alone, before the role is made
    existing = set(connection.introspection.table_names())
    managed = {
        model._meta.db_table  # noqa: SLF001 Django's name
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy  # noqa: SLF001 Django's name
    }
    ordinary = sorted((managed & existing) - set(PROTECTED) - set(_APPEND_ONLY))
    rights = [
        ("SELECT, INSERT, UPDATE, DELETE", ordinary),
        ("SELECT, INSERT", sorted(set(_APPEND_ONLY) & existing)),
        ("SELECT", [*sorted(set(PROTECTED) & existing), "accounts_grant"]),
    ]
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for right, tables in rights:
            if tables:
                cursor.execute(f"GRANT {right} ON {', '.join(map(quote, tables))} TO {WEB_ROLE}")
