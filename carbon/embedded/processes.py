"""Which running processes belong to an embedded server.

A number in a pid file proves nothing: the process may be dead and the number given to another.
What a process works on (its current folder, its command line) does prove it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")


def number_taken(pid: int) -> bool:
    """Whether a process number is in use, be it by a dead child that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def alive(pid: int) -> bool:
    """Whether a process with this number runs."""
    try:
        # The state follows the name, which is in brackets and may itself hold brackets.
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not PROC.is_dir() and number_taken(pid)


def command_line(pid: int) -> str:
    """The command line of a process, arguments separated by spaces; empty if there is none."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def works_in(pid: int, folder: Path, program: str, mark: str) -> bool:
    """Whether a process runs a program in a folder.

    Args:
        pid: the process.
        folder: the folder it would have as its current one.
        program: the name of its executable, so that a shell in the folder is not meant.
        mark: text in its command line, believed where the kernel does not show us the folder
            (root in a container, for a process of another account).
    """
    try:
        if (PROC / str(pid) / "comm").read_text().strip() != program:
            return False
        return (PROC / str(pid) / "cwd").samefile(folder)
    except PermissionError:
        return mark in command_line(pid)
    except OSError:
        return False


def working_in(folder: Path, program: str, mark: str) -> list[int]:
    """All processes that run a program in a folder; see `works_in`. Empty where there is no /proc."""
    pids = (int(entry.name) for entry in PROC.glob("[0-9]*"))
    return [pid for pid in pids if works_in(pid, folder, program, mark)]


def marked(name: str, value: str) -> list[int]:
    """All other processes of ours that were started with a certain environment variable."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or not ours to look into
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def end(pids: list[int], first: signal.Signals, patience_seconds: float) -> None:
    """Ask processes to end, and kill those that have not after a while."""
    for number in (first, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience_seconds
        while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        pids = [pid for pid in pids if alive(pid)]
