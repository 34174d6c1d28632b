"""The processes under test: workers, clocks, a restater and a reader, started again whenever they are gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from carbon.embedded import processes
from carbon.environment import CLONE_DIR
from carbon.services import MARK, beat, end_leftovers, worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WATCH_SECONDS = 0.1
LIBRARY = "usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@dataclass
class Member:
    """One process, with its children in one session.

    `offset_file`, where given, holds the seconds by which the process's wall clock is wrong.
    """

    name: str
    arguments: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    offset_file: Path | None = None
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self, log: Path, environment: Mapping[str, str]) -> None:
        """Start it; what it says is added to its log."""
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=CLONE_DIR,
                env={**environment, **self.variables},
                start_new_session=True,
            )
        self.starts += 1

    def kill(self) -> None:
        """End the process and its children by SIGKILL."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def children(self) -> list[int]:
        """Its child processes: those of a worker run the tasks."""
        return [] if self.process is None else children_of(self.process.pid)


class Plant:
    """Starts members, and starts them again when they die; leaving the context ends all of them for good."""

    def __init__(self, folder: Path, environment: Mapping[str, str], clock_library: Path | None) -> None:
        self.members: dict[str, Member] = {}
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._mark = mark_of(folder)
        self._environment = {**environment, MARK: self._mark}
        self._clock_library = clock_library
        self._folder = folder
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        """Start the members."""
        for member in self.members.values():
            self._start(member)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._ended.set()
        self._watch.join()
        for member in self.members.values():
            member.kill()
            if member.process is not None:
                member.process.wait()
        end_leftovers(self._mark)

    def add_worker(self, name: str, process_count: int, *modules: str) -> None:
        """Add a Celery worker for all queues, whose clock can be set wrong where the library is there."""
        arguments = (*worker(name, process_count).arguments, *(f"--include={module}" for module in modules))
        member = Member(name, arguments)
        if self._clock_library is not None:
            member.offset_file = self._folder / f"{name}.offset"
            member.offset_file.write_text("+0\n")
            member.variables = {
                "LD_PRELOAD": str(self._clock_library),
                "FAKETIME_TIMESTAMP_FILE": str(member.offset_file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        self.members[name] = member

    def add_clock(self, name: str) -> None:
        """Add a Celery beat with a schedule file of its own."""
        schedule = self._folder / f"{name}.schedule"
        self.members[name] = Member(name, (*beat().arguments, f"--schedule={schedule}"))

    def add(self, name: str, *arguments: str) -> None:
        """Add another Python process."""
        self.members[name] = Member(name, arguments)

    @property
    def workers(self) -> list[Member]:
        """The members that run tasks."""
        return [member for name, member in self.members.items() if name.startswith("worker")]

    @property
    def clocks(self) -> list[Member]:
        """The members that send periodic tasks."""
        return [member for name, member in self.members.items() if name.startswith("clock")]

    def _start(self, member: Member) -> None:
        member.start(self._logs / f"{member.name}.log", self._environment)

    def _keep(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            for member in self.members.values():
                if member.process is not None and member.process.poll() is not None:
                    member.kill()  # its children, if it left any
                    self._start(member)


def mark_of(folder: Path) -> str:
    """What tells the processes of a campaign from all others."""
    return f"faults {folder}"


def children_of(pid: int) -> list[int]:
    """The child processes of a process."""
    found = []
    for entry in processes.PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found
