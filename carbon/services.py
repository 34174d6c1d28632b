"""The processes of an installation that one command runs together: worker, beat, API server.

They are children in sessions of their own, so that Ctrl-C on the terminal reaches only the command,
which then ends them in order. They write their logs to files, not into pipes: a command that is
killed leaves them whole, and the next one finds them by a mark in their environment and ends them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from carbon.embedded import processes
from carbon.embedded.folders import held_by, holding, tail
from carbon.environment import CLONE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType, TracebackType

MARK = "CANOPY_SERVICES"
STOP_PATIENCE_SECONDS = 10  # a running chunk may finish; a killed one is taken up by its lease
LOG_BYTES_MAX = 10_000_000


class ServiceError(RuntimeError):
    """A service did not start, or ended by itself; the message ends with its log."""


class StopRequestedError(Exception):
    """Somebody asked this command to stop: Ctrl-C, SIGTERM or a closed terminal."""


@dataclass(frozen=True)
class Service:
    """One process.

    Attributes:
        name: prefix of its lines and name of its log.
        arguments: for this Python interpreter.
    """

    name: str
    arguments: tuple[str, ...]


def worker(name: str = "worker", process_count: int = 2) -> Service:
    """A Celery worker for all queues.

    Args:
        name: tells several workers on one machine apart.
        process_count: how many tasks it runs side by side.
    """
    return Service(
        name,
        (
            *("-m", "celery", "--app=carbon", "worker", "--loglevel=INFO"),
            *(f"--concurrency={process_count}", f"--hostname={name}-{os.getpid()}@%h"),
            *("--without-gossip", "--without-mingle"),  # workers agree through PostgreSQL
        ),
    )


def beat() -> Service:
    """The clock that sends the periodic tasks; two of them are harmless."""
    return Service("beat", ("-m", "celery", "--app=carbon", "beat", "--loglevel=WARNING"))


def api(host: str, port: int) -> Service:
    """The HTTP server.

    Args:
        host: the address to listen on.
        port: its TCP port.
    """
    return Service(
        "api",
        (
            *("-m", "uvicorn", "carbon.asgi:application", f"--host={host}", f"--port={port}"),
            *("--lifespan=off", "--no-server-header", "--log-level=info", "--timeout-graceful-shutdown=5"),
        ),
    )


class Services:
    """Runs services side by side; leaving the context ends them all.

    Args:
        state: the state folder; logs go to `logs/` in it.
        services: what to run.
        environment: variables beside our own ones.
        show: gets every new line of every log, with its service's name in front; None for silence.
        mark: what tells these processes from those of other commands; the state folder by default.
    """

    def __init__(
        self,
        state: Path,
        services: Sequence[Service],
        *,
        environment: Mapping[str, str] | None = None,
        show: Callable[[str], None] | None = None,
        mark: str = "",
    ) -> None:
        self.logs = state / "logs"
        self.mark = mark or str(state)
        self._services = services
        self._environment = {**os.environ, **(environment or {}), MARK: self.mark}
        self._show = show
        self._running: dict[Service, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._tails: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Start all services; they may not be ready yet."""
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            for service in self._services:
                self._start(service)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all services."""
        self.stop()

    def log(self, service: Service) -> Path:
        """The file with a service's output."""
        return self.logs / f"{service.name}.log"

    def check(self) -> None:
        """See that all services still run.

        Raises:
            ServiceError: one has ended.
        """
        for service, process in self._running.items():
            code = process.poll()
            if code is not None:
                raise ServiceError(f"{service.name} ended with code {code}:\n{tail(self.log(service))}")

    def wait_for(self, probe: Callable[[], bool], what: str, timeout_seconds: float = 180) -> None:
        """Wait until a probe succeeds, while all services run.

        Args:
            probe: cheap, returns whether the thing is there.
            what: its name, for the message.
            timeout_seconds: how long to wait.

        Raises:
            ServiceError: a service ended, or the time is over.
        """
        deadline = time.monotonic() + timeout_seconds
        while not probe():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(f"{what} is not there after {timeout_seconds:.0f} s; see {self.logs}")
            time.sleep(0.1)

    def run_until_stopped(self) -> None:
        """Do nothing while all services run.

        Raises:
            ServiceError: one has ended.
            StopRequestedError: raised by the handler of `stop_requests`.
        """
        while True:
            self.check()
            time.sleep(0.3)

    def stop(self) -> None:
        """End all services, last started first; those that do not end in time are killed."""
        for process in reversed(self._running.values()):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_PATIENCE_SECONDS
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            # The whole session, whether or not its leader has ended: a worker has children.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()
        self._ended.set()
        for thread in self._tails:
            thread.join(timeout=2)

    def _start(self, service: Service) -> None:
        log = self.log(service)
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            position = output.tell()
            self._running[service] = subprocess.Popen(  # noqa: S603 our own interpreter and arguments
                [sys.executable, *service.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=CLONE_DIR,
                env=self._environment,
                start_new_session=True,
            )
        if self._show is not None:
            thread = threading.Thread(target=self._follow, args=(service, position), daemon=True)
            thread.start()
            self._tails.append(thread)

    def _follow(self, service: Service, position: int) -> None:
        """Show a log's new lines until the end."""
        show = self._show
        if show is None:
            return
        with self.log(service).open(errors="replace") as lines:
            lines.seek(position)
            part = ""
            while True:
                last = self._ended.is_set()  # before reading, so that nothing written is missed
                part += lines.readline()
                if part.endswith("\n"):
                    show(f"{service.name:>6} | {part.rstrip()}")
                    part = ""
                elif last:
                    return
                else:
                    self._ended.wait(0.2)


# --- One command at a time, and how it is stopped ---------------------------------------------------


@contextlib.contextmanager
def sole_command(state: Path) -> Iterator[None]:
    """Be the only command of this clone that runs services; end what a killed one left.

    Raises:
        ServiceError: another command runs them now.
    """
    state.mkdir(parents=True, exist_ok=True)
    with holding(state / "services.lock") as other_pid:
        if other_pid is not None:
            raise ServiceError(f"this clone is being served by process {other_pid}: make stop")
        end_leftovers(str(state))
        yield


def end_leftovers(mark: str) -> int:
    """End the services of a command that was killed.

    Args:
        mark: that of its `Services`.

    Returns:
        How many processes there were.
    """
    left = processes.marked(MARK, mark)
    processes.end(left, signal.SIGTERM, patience_seconds=STOP_PATIENCE_SECONDS)
    return len(left)


def stop_command(state: Path) -> bool:
    """Ask the command that runs this clone's services to stop, and wait until it has.

    Returns:
        Whether there was anything to stop.
    """
    pid = held_by(state / "services.lock")
    if pid is not None:
        processes.end([pid], signal.SIGTERM, patience_seconds=2 * STOP_PATIENCE_SECONDS)
    return bool(end_leftovers(str(state))) or pid is not None


@contextlib.contextmanager
def stop_requests() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into StopRequestedError, once: ending is not interrupted."""

    def request(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise StopRequestedError(signal.Signals(number).name)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for each in before:
        signal.signal(each, request)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def answers(url: str, timeout_seconds: float = 5) -> bool:
    """Whether a page answers with a success."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as response:  # noqa: S310 http, our own server
            return bool(response.status < 400)  # noqa: PLR2004 the first status that is an error
    except (urllib.error.URLError, OSError):
        return False


def worker_answers(timeout_seconds: float = 1) -> bool:
    """Whether any Celery worker of this installation answers a ping."""
    from carbon.celery import app  # noqa: PLC0415 the settings must be ready first

    return bool(app.control.ping(timeout=timeout_seconds, limit=1))
