"""Processor time: what a question costs, whatever else the machine does at the time. Linux alone tells it (/proc)."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

_PROC = Path("/proc")
_STATE_FIELDS = 2  # what stands before the fields below: the number and, in brackets, the name
_PARENT = 4 - _STATE_FIELDS - 1
_TIMES = slice(14 - _STATE_FIELDS - 1, 18 - _STATE_FIELDS - 1)  # user, system, and those of children that have ended


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds of the API server's processes and of PostgreSQL's, since they began."""

    server_seconds: float
    database_seconds: float

    def since(self, begin: ProcessorTime) -> ProcessorTime:
        """What was used after `begin`."""
        return ProcessorTime(self.server_seconds - begin.server_seconds, self.database_seconds - begin.database_seconds)

    def each(self, times: int) -> str:
        """Milliseconds of one of so many repetitions, for people."""
        server, database = (seconds * 1000 / times for seconds in (self.server_seconds, self.database_seconds))
        return f"processor {server:.0f} + {database:.0f} ms"


def processor_time() -> ProcessorTime | None:
    """Read both: of all that this process has started, and of the server to which Django's connection leads.

    None where the system does not tell, or PostgreSQL runs elsewhere.
    """
    if not _PROC.is_dir():
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    children: defaultdict[int, list[int]] = defaultdict(list)
    seconds: dict[int, float] = {}
    parents: dict[int, int] = {}
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        number = int(folder.name)
        parents[number] = int(fields[_PARENT])
        children[parents[number]].append(number)
        seconds[number] = sum(map(int, fields[_TIMES])) / os.sysconf("SC_CLK_TCK")
    if backend not in parents:
        return None
    postmaster = parents[backend]
    database = seconds[postmaster] + sum(_below(postmaster, children, seconds))
    # An embedded PostgreSQL may have been started by this process, too.
    children[parents[postmaster]].remove(postmaster)
    return ProcessorTime(sum(_below(os.getpid(), children, seconds)), database)


def _below(root: int, children: dict[int, list[int]], seconds: dict[int, float]) -> list[float]:
    return [one for child in children.get(root, ()) for one in (seconds[child], *_below(child, children, seconds))]
