"""The rehearsal of docs/deployment.md: dump, restore into an empty database, prove every ledger there."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.utils import IntegrityError

from accounts.web_role import as_web
from allocation.models import AllocationRun, LedgerRow
from allocation.services.publication import publish_run
from carbon.embedded.postgres import wheel_binaries
from tests.factories.months import OPERATOR, month

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("committed")


def run(program: str, *arguments: str, database: str = "") -> None:
    """Run a program of PostgreSQL on the server of the tests; fails with what it says."""
    known = connection.get_connection_params()
    variables = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    environment = os.environ | {name: str(known[key]) for name, key in variables.items() if known.get(key)}
    if database:
        environment["PGDATABASE"] = database
    found = wheel_binaries() / program
    words = [str(found if found.exists() else program), *arguments]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def working_on(database: str) -> Iterator[None]:
    """Let the default connection be one to another database."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connections["default"].settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connections["default"].settings_dict["NAME"] = before


def test_a_dump_restores_to_ledgers_that_prove_and_a_changed_row_is_noticed(tmp_path: Path) -> None:
    june = month()
    publish_run(viewer=OPERATOR, run_id=june.run().pk)
    rows = LedgerRow.objects.count()
    digest = AllocationRun.objects.get().ledger_digest
    name = str(connection.settings_dict["NAME"])
    dump, restored = str(tmp_path / "canopy.dump"), f"{name}_restored"
    run("pg_dump", "--format=custom", "--compress=gzip:6", f"--file={dump}", database=name)
    run("dropdb", "--if-exists", restored, database="postgres")
    arguments = ("--template=template0", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
    run("createdb", *arguments, restored, database="postgres")
    try:
        run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", dump)
        with working_on(restored):
            assert LedgerRow.objects.count() == rows > 0
            assert AllocationRun.objects.get().ledger_digest == digest
            call_command("verify_ledger")
            call_command("check_closure")
            call_command("migrate", "--check", verbosity=0)
            assert [str(one) for one in run_checks(databases=["default"], tags=["database"]) if one.is_serious()] == []
            with as_web(viewer_id=None, now=OPERATOR.now), connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM allocation_ledgerrow")
                assert cursor.fetchone() == (0,)
            with pytest.raises(IntegrityError, match="cannot be changed"):
                LedgerRow.objects.filter(run=AllocationRun.objects.get()).update(ug=1)
            row = LedgerRow.objects.filter(run=AllocationRun.objects.get()).earliest("id")
            with connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = replica")
                cursor.execute(
                    "UPDATE allocation_ledgerrow SET ug = ug + 1 WHERE run_id = %s AND id = %s", [row.run_id, row.pk]
                )
                assert cursor.rowcount == 1
            with pytest.raises(CommandError):
                call_command("verify_ledger")
    finally:
        run("dropdb", "--force", restored, database="postgres")
