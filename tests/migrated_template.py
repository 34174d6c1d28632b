"""A migrated database that test databases are copied from: migrating takes half a minute, copying a second.

It is named after the migrations and made anew when one of them changes. Test databases are migrated all the same, which
finds nothing left to do. The tests of migrations themselves begin with an empty database.
"""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

PREFIX = "canopy_migrated_"
# Any number that nothing else locks: processes that begin together wait for the one that migrates.
LOCK = 0x7E3A_11A7


def ensure_template() -> str:
    """Make the template unless it is there, and drop those of other states of the migrations; returns its name."""
    name = f"{PREFIX}{_digest()}"
    with connection._nodb_cursor() as cursor:  # noqa: SLF001 as Django's own creation of test databases
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        found = {row[0] for row in cursor.fetchall()}
        for old in found - {name}:
            _drop(cursor, old)
        if name not in found:
            draft = f"{name}_draft"
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(draft)))
            _migrate(draft)
            # Nobody can connect to it any more: somebody connected would keep others from copying it.
            cursor.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(draft)))
            cursor.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name))
            )
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    return name


def _drop(cursor: CursorWrapper, name: str) -> None:
    cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _migrate(name: str) -> None:
    """Migrate another database than that of the settings."""
    settings = connection.settings_dict
    usual = settings["NAME"]
    connection.close()
    settings["NAME"] = name
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        connection.close()
        settings["NAME"] = usual


def _digest() -> str:
    """What a migrated database depends on: the text of all migrations, and Django."""
    digest = hashlib.sha256(django.__version__.encode())
    for key, migration in sorted(MigrationLoader(None).disk_migrations.items()):
        digest.update("/".join(key).encode())
        digest.update(Path(inspect.getfile(type(migration))).read_bytes())
    return digest.hexdigest()[:16]
