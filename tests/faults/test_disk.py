"""A full disk is arranged for ordinary users too, and PostgreSQL is itself again afterwards."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from carbon.embedded.postgres import PostgresServer
from tests.faults.disk import CappedFiles, seen_full

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "state")
    yield server
    server.remove()
    shutil.rmtree(folder)


def connected(server: PostgresServer) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(server.ensure()), user="canopy", dbname="canopy", autocommit=True)


def test_nothing_can_be_written_while_files_are_capped_and_nothing_is_lost(server: PostgresServer) -> None:
    with connected(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    with CappedFiles(Path(str(data))).full(), pytest.raises(psycopg.Error), connected(server) as connection:
        connection.execute("CREATE TABLE refused AS SELECT generate_series(1, 100000) AS number")
    with connected(server) as connection:
        assert connection.execute("SELECT sum(number), to_regclass('refused') FROM kept").fetchone() == (500_500, None)
        connection.execute("CREATE TABLE again AS SELECT generate_series(1, 100000) AS number")
    assert seen_full(Path(str(data)))
