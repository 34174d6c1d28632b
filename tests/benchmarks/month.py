"""B1: one month of a generated estate, from its files to what readers see, against a bare COPY of the same ledger."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from psycopg import sql

from accounts.services.import_directory import import_directory
from allocation.models import RUNNING, AllocationRun, RunState, RunTransition
from allocation.services import partitions
from allocation.services.execution import execute_run
from allocation.services.packages import load_package
from allocation.services.publication import publish_run
from allocation.services.runs import request_run
from allocation.services.system import system
from carbon.memory import keep_loaded
from tests.benchmarks.export import export_figures
from tests.benchmarks.figure import Figure
from tests.benchmarks.helper import helper
from tests.benchmarks.statements import timed_statements
from tests.benchmarks.stopwatch import Stopwatch, peak_mib, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocation.models import Package

ROWS_PER_ACCOUNT = 250
SEED = 20251
COPIES = 5
# What the run itself says of its states, in the words of the stages.
STAGES = {
    RunState.READING: "allocate: read and prepare",
    RunState.ALLOCATING: "allocate: lay out",
    RunState.WRITING: "allocate: apportion and write",
    RunState.PROVING: "index, prove, roll accounts up",
}


class BenchmarkError(RuntimeError):
    """The work was not done, so there is nothing to measure."""


def month_figures(*, row_count: int, folder: Path, first_month: str) -> list[Figure]:
    """Generate, load, allocate, roll up and publish a month with about so many usage rows.

    Every size has a month of its own in one database (`first_month`, YYYY-MM), and so the same catalogue.
    """
    say(f"B1: {row_count:,} usage rows")
    watch = Stopwatch()
    with timed_statements() as statements:
        run, usage_rows, helper_mib = _work(watch, row_count, folder, first_month)
    states = RunTransition.objects.filter(run=run, from_state__in=STAGES).order_by("id")
    by_state = {STAGES[RunState(row.from_state)]: (row.duration_ms or 0) / 1000 for row in states}
    floor_seconds = _floor_seconds(run.pk)
    figures = list(_figures(watch, by_state, run, usage_rows, floor_seconds, statements))
    figures.append(Figure("B1", figures[0].work, "peak memory of the second worker", helper_mib, "MiB", "goal ≤ 4096"))
    return figures + list(export_figures(run, f"{run.ledger_rows or 0:,} ledger rows"))


def loaded_package(watch: Stopwatch, row_count: int, folder: Path, first_month: str) -> tuple[Package, int]:
    """Generate a month with about so many usage rows and load it; the package and its rows.

    Raises:
        BenchmarkError: it was rejected.
    """
    out = folder / f"rows-{row_count}"
    with watch.stage("generate"):
        lines = io.StringIO()
        call_command(
            "generate_estate",
            accounts=max(1, row_count // ROWS_PER_ACCOUNT),
            rows=row_count,
            seed=SEED,
            out=out,
            first_month=first_month,
            stdout=lines,
            stderr=io.StringIO(),
        )
    made = [json.loads(line) for line in lines.getvalue().splitlines()]
    hierarchy = next(Path(line["hierarchy"]) for line in made if "hierarchy" in line)
    package = next(line for line in made if "package" in line)
    with watch.stage("import the hierarchy"):
        import_directory(viewer=system(timezone.now()), text=hierarchy.read_bytes(), frozen_months={})
    with watch.stage("load"):
        report = load_package(viewer=system(timezone.now()), path=Path(package["package"]))
    if report.package is None:
        raise BenchmarkError(f"the package was rejected: {report.findings[:3]}")
    return report.package, int(package["rows"])


def _work(watch: Stopwatch, row_count: int, folder: Path, first_month: str) -> tuple[AllocationRun, int, float]:
    package, usage_rows = loaded_package(watch, row_count, folder, first_month)
    keep_loaded()  # as a worker does
    _settle()
    with helper() as second, watch.stage("allocate"):
        run = request_run(viewer=system(timezone.now()), package_id=package.pk)
        execute_run(run_id=run.pk, worker="benchmark", summon=lambda _: second.tell(run.pk))
        _wait_for(run)
    run.refresh_from_db()
    if run.state != RunState.READY:
        raise BenchmarkError(f"{run}: {run.failure_code} {run.failure_reason}")
    with watch.stage("publish"):
        publish_run(viewer=system(timezone.now()), run_id=run.pk)
    return run, usage_rows, second.peak_mib


def _wait_for(run: AllocationRun) -> None:
    """Wait until whoever wrote the last cluster has finished the run."""
    while AllocationRun.objects.filter(pk=run.pk, state__in=RUNNING).exists():
        time.sleep(0.01)


def _settle() -> None:
    """Let the server write what earlier work has left in its buffers, so that what follows does not pay for it."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def _floor_seconds(run_id: int) -> float:
    """The median time of COPY of the run's ledger rows, all columns, into a table without an index; committed."""
    say("  COPY of the same ledger …")
    names = {"ledger": sql.Identifier(partitions.ledger_of(run_id).table), "floor": sql.Identifier("benchmark_floor")}
    taken = []
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TABLE {floor} (LIKE {ledger})").format(**names))
        with cursor.copy(sql.SQL("COPY {ledger} TO STDOUT (FORMAT binary)").format(**names)) as out:
            blocks = [bytes(block) for block in out]
        for _ in range(COPIES):
            # Made and committed before, so that COPY writes WAL as it must for a table that others know.
            cursor.execute(sql.SQL("TRUNCATE {floor}").format(**names))
            _settle()
            begin = time.perf_counter()
            with cursor.copy(sql.SQL("COPY {floor} FROM STDIN (FORMAT binary)").format(**names)) as into:
                for block in _larger(blocks):
                    into.write(block)
            taken.append(time.perf_counter() - begin)
        cursor.execute(sql.SQL("DROP TABLE {floor}").format(**names))
    return sorted(taken)[COPIES // 2]


def _larger(blocks: list[bytes]) -> Iterator[bytes]:
    """Join rows to blocks of some 64 KiB: writing row by row would measure Python."""
    joined: list[bytes] = []
    size = 0
    for block in blocks:
        joined.append(block)
        size += len(block)
        if size >= 1 << 16:
            yield b"".join(joined)
            joined, size = [], 0
    yield b"".join(joined)


def _figures(  # noqa: PLR0913, PLR0917 everything that was measured
    watch: Stopwatch,
    by_state: dict[str, float],
    run: AllocationRun,
    usage_rows: int,
    floor_seconds: float,
    statements: dict[str, float],
) -> Iterator[Figure]:
    work = f"{usage_rows:,} usage rows, {run.ledger_rows or 0:,} ledger rows"

    def figure(name: str, value: float, unit: str, note: str = "") -> Figure:
        return Figure("B1", work, name, value, unit, note)

    seconds = watch.seconds
    for name in ("generate", "import the hierarchy", "load"):
        yield figure(
            name,
            seconds[name],
            "s",
            f"{usage_rows / seconds[name]:,.0f} rows/s" if name != "import the hierarchy" else "",
        )
    for name, taken in by_state.items():
        yield figure(name, taken, "s")
    yield figure("publish: prove again, roll containers up", seconds["publish"], "s")
    after_load = seconds["allocate"] + seconds["publish"]
    yield figure("all stages after load", after_load, "s", f"{usage_rows / after_load:,.0f} usage rows/s")
    yield figure("bare COPY of the ledger", floor_seconds, "s", f"{(run.ledger_rows or 0) / floor_seconds:,.0f} rows/s")
    yield figure("ratio of all stages after load to COPY", after_load / floor_seconds, "×", "goal ≤ 4 at 10⁷")
    whole = seconds["load"] + after_load
    yield figure("ratio with load", whole / floor_seconds, "×")
    yield figure("peak memory so far", peak_mib(), "MiB", "with the generator; goal ≤ 4096")
    for name, taken in sorted(statements.items(), key=lambda one: -one[1])[:6]:
        yield figure(f"of which {name}", taken, "s")
