"""B7: the ledger of a month as a file, by the command in a process of its own, against COPY of the same rows."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from django.db import connection
from psycopg import sql

from allocation.services import partitions
from carbon.environment import CLONE_DIR
from tests.benchmarks.figure import Figure
from tests.benchmarks.stopwatch import KIB_PER_UNIT, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocation.models import AllocationRun

FORMATS = ("csv", "parquet")

_WATCHED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


class ExportError(RuntimeError):
    """The command failed, so there is nothing to measure."""


def export_figures(run: AllocationRun, work: str) -> Iterator[Figure]:
    """Export the published ledger in both formats; what is written goes nowhere."""
    rows = run.ledger_rows or 0
    floor_seconds = _copy_seconds(run.pk)
    yield Figure("B7", work, "bare COPY to a client, CSV", floor_seconds, "s", f"{rows / floor_seconds:,.0f} rows/s")
    for form in FORMATS:
        say(f"  B7 {form} …")
        seconds, peak_mib = _command(run, form)
        yield Figure(
            "B7", work, f"{form}, start of the process included", seconds, "s", f"{rows / seconds:,.0f} rows/s"
        )
        yield Figure("B7", work, f"{form}: peak memory", peak_mib, "MiB", "goal ≤ 500")


def _command(run: AllocationRun, form: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of one export."""
    command = [
        *(sys.executable, "manage.py", "export_ledger", f"{run.month:%Y-%m}"),
        *("--provider", run.provider.code, "--format", form, "--published"),
    ]
    begin = time.perf_counter()
    # A child's peak begins with that of its parent at the fork: a small process stands between.
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, *command], cwd=CLONE_DIR, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise ExportError(f"{' '.join(command)}: {done.returncode}")
    return time.perf_counter() - begin, int(done.stdout) * KIB_PER_UNIT / 1024


def _copy_seconds(run_id: int) -> float:
    """COPY the columns of the run's ledger as CSV, and forget them."""
    begin = time.perf_counter()
    with connection.cursor() as cursor:
        table = sql.Identifier(partitions.ledger_of(run_id).table)
        with cursor.copy(sql.SQL("COPY {} TO STDOUT (FORMAT csv)").format(table)) as out:
            for _ in out:
                pass
    return time.perf_counter() - begin
