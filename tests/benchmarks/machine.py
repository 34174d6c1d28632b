"""The machine on which figures were measured, and how busy it was: nobody can read them without."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import django
from django.db import connection


def load_1m() -> float:
    """The load average of the last minute; above the number of cores, somebody waits."""
    return os.getloadavg()[0]


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, versions, load."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        server = str(cursor.fetchone()[0])
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "django": django.get_version(),
        "postgresql": server,
        "load_1m_at_start": round(load_1m(), 2),
    }


def _field(path: str, name: str) -> str:
    """The first value of a name in a file of `name : value` lines; empty where there is none."""
    file = Path(path)
    if not file.exists():
        return ""
    values = [line.split(":", 1)[1].strip() for line in file.read_text().splitlines() if line.startswith(name)]
    return values[0] if values else ""
