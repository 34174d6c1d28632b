"""The web role belongs to the whole server: databases that migrate at once make it once."""

from __future__ import annotations

import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from django.db import connection
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

MAKE_ROLE: str = importlib.import_module("allocation.migrations.0007_row_level_security").ROLE
ROLE, LOGIN = "canopy_web_made_twice", "canopy_migrator_at_once"


def connect(**changed: str) -> psycopg.Connection:
    """A connection of its own, to the database of the tests or to another of the same server."""
    theirs = connection.get_connection_params()
    given = {name: theirs[name] for name in ("host", "port", "user", "password") if theirs.get(name)}
    return psycopg.connect(**(given | {"dbname": "postgres"} | changed), autocommit=True)


@pytest.fixture
def migrator() -> Iterator[str]:
    """A login that may create roles and is no superuser, as in a deployment; gone afterwards with what it made."""
    with closing(connect()) as server:

        def drop() -> None:
            server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(ROLE)))
            server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(LOGIN)))

        drop()
        server.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'at once'").format(sql.Identifier(LOGIN)))
        yield LOGIN
        drop()


def make(database: str) -> str:
    """What one migration does, in a transaction; the role that it could take on."""
    with closing(connect(dbname=database, user=LOGIN, password="at once")) as mine, mine.transaction():
        return made_by(mine)


def made_by(mine: psycopg.Connection) -> str:
    """Run the statement of the migration, for a role of the test's own."""
    mine.execute(MAKE_ROLE.replace("canopy_web", ROLE))
    mine.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(ROLE)))
    row = mine.execute("SELECT current_user").fetchone()
    mine.execute("RESET ROLE")
    return str(row and row[0])


def wait_until_waiting(server: psycopg.Connection) -> None:
    """Until a transaction of the login waits for another one."""
    deadline = time.monotonic() + 30
    waiting = "SELECT FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'"
    while server.execute(waiting, [LOGIN]).rowcount == 0:
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)


def overlapping() -> list[str]:
    """Two migrations: the second begins before the first has committed, and has to wait for it."""
    with ThreadPoolExecutor(1) as pool, closing(connect()) as server:
        with closing(connect(user=LOGIN, password="at once")) as mine, mine.transaction():
            first = made_by(mine)
            second = pool.submit(make, str(connection.settings_dict["NAME"]))
            wait_until_waiting(server)
        return [first, second.result(timeout=30)]


def test_two_databases_that_migrate_at_once_make_the_role_once(migrator: str) -> None:
    assert migrator
    assert overlapping() == [ROLE, ROLE]


def test_two_databases_that_migrate_at_once_give_themselves_the_role_once(migrator: str) -> None:
    """Somebody else made the role, and gave the right to hand it out."""
    with closing(connect()) as server:
        role, login = sql.Identifier(ROLE), sql.Identifier(migrator)
        server.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
        handed = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        server.execute(handed.format(role, login))
    assert overlapping() == [ROLE, ROLE]
