"""Every kind of fault, as one function each; the name of the function is the name of the kind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from accounts.services.refusal import Refusal
from allocation import tasks
from allocation.models import RUNNING, AllocationRun, RunState
from allocation.services.publication import publish_run
from allocation.services.runs import cancel_run
from allocation.services.system import database_now, system
from carbon.celery import app
from tests.faults.disk import seen_full
from tests.faults.insistence import BROKER_ERRORS, DATABASE_ERRORS, insist
from tests.faults.warrants import HALT, PROCESS, WORKER, Warrants

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.faults.brokers import Broker
    from tests.faults.disk import Disk
    from tests.faults.plant import Plant
    from tests.faults.units import Unit

CLOCK_WRONG_SECONDS = 2
DISK_FULL_SECONDS = 3
DISK_FULL_PATIENCE_SECONDS = 30


@dataclass
class Injury:
    """What faults are done to: plant, broker, database, units of work. Each method returns whether it was done.

    `whole_workers` is the share of deaths at named steps that take the whole worker along.
    """

    draw: random.Random
    plant: Plant
    broker: Broker
    warrants: Warrants
    units: Sequence[Unit]
    data_folder: Path
    disk: Disk | None
    whole_workers: float

    def step(self, name: str) -> bool:
        """Have the next process that reaches a named step killed, alone or with its whole worker."""
        self.warrants.issue(name, WORKER if self.draw.random() < self.whole_workers else PROCESS)
        return True

    def halt(self, name: str) -> bool:
        """Have the next process that reaches a named step stand still for longer than a lease, and then go on."""
        self.warrants.issue(name, HALT)
        return True

    def worker_process(self) -> bool:
        """Kill a process that runs tasks, wherever it is."""
        children = [pid for worker in self.plant.workers for pid in worker.children()]
        return bool(children) and killed(self.draw.choice(children))

    def worker(self) -> bool:
        """Kill a worker with all its processes."""
        self.draw.choice(self.plant.workers).kill()
        return True

    def clock_process(self) -> bool:
        """Kill one of the two schedulers."""
        self.draw.choice(self.plant.clocks).kill()
        return True

    def broker_server(self) -> bool:
        """Kill the broker; it is back after a moment, or after many, while other things go wrong."""
        if not self.broker.answers():
            return False
        self.broker.kill()
        time.sleep(self.draw.uniform(0, 1))
        self.broker.launch()
        return True

    def postgres_server(self) -> bool:
        """Kill PostgreSQL's first process; whoever connects next starts it again, and it recovers."""
        first = int((self.data_folder / "postmaster.pid").read_text().split("\n", 1)[0])
        return killed(first)

    def postgres_process(self) -> bool:
        """Kill one of PostgreSQL's processes: it ends all the others, and recovers by itself."""
        pid = self._some_backend()
        return pid is not None and killed(pid)

    def connection_cut(self) -> bool:
        """Have PostgreSQL end somebody's connection."""
        pid = self._some_backend()
        if pid is None:
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        return True

    def queues_emptied(self) -> bool:
        """Lose all messages that wait."""
        app.control.purge()
        return True

    def message_again(self) -> bool:
        """Deliver messages of runs that are under way, have ended or never were, several times and in any order."""
        known = [run_id for unit in self.units for run_id in unit.runs[-2:]]
        chosen = [*self.draw.sample(known, min(3, len(known))), 999_999]
        messages = [(task, run_id) for run_id in chosen for task in (tasks.allocate_run, tasks.help_run)] * 2
        self.draw.shuffle(messages)
        for task, run_id in messages:
            task.apply_async(kwargs={"run_id": run_id}, countdown=self.draw.choice((0, 0, 1)))
        return True

    def two_publish(self) -> bool:
        """Publish one run from two sides, while the release calendar does it too: one publication comes of it.

        A run that is published already, if none waits: that is late, and changes nothing.
        """
        first = [unit.runs[0] for unit in self.units if unit.runs]
        states = (RunState.READY, RunState.PUBLISHED)
        runs = AllocationRun.objects.filter(pk__in=first, state__in=states).order_by("pk")
        by_state: dict[str, list[int]] = {}
        for run_id, state in runs.values_list("pk", "state"):
            by_state.setdefault(state, []).append(run_id)
        chosen = by_state.get(RunState.READY) or by_state.get(RunState.PUBLISHED)
        if not chosen:
            return False
        run_id = self.draw.choice(chosen)
        tasks.publish_due_months.delay()
        at_once(*[lambda: publish(run_id)] * 2)
        return True

    def two_schedulers(self) -> bool:
        """Send every periodic task twice at once, beside the two clocks that run all the time."""
        for task in (tasks.sweep_runs, tasks.publish_due_months, tasks.drop_leftovers) * 2:
            task.delay()
        return True

    def lease_lost(self) -> bool:
        """Let leases end early, as when the database's clock jumps ahead: a healthy worker is overtaken."""
        running = AllocationRun.objects.filter(state__in=RUNNING, lease_until__gt=Now())
        chosen = list(running.order_by("?").values_list("pk", flat=True)[:1])
        changed = AllocationRun.objects.filter(pk__in=chosen, state__in=RUNNING).update(lease_until=F("requested_at"))
        return bool(changed)

    def clock_jump(self) -> bool:
        """Set a worker's clock hours ahead or behind, and right again."""
        worker = self.draw.choice(self.plant.workers)
        if worker.offset_file is None:
            return False
        worker.offset_file.write_text(self.draw.choice(("+7200\n", "-7200\n", "+90000\n", "-90000\n")))
        time.sleep(CLOCK_WRONG_SECONDS)
        worker.offset_file.write_text("+0\n")
        return True

    def disk_full(self) -> bool:
        """Leave no room for new tables, or for anything, until PostgreSQL has met that and for longer than a lease."""
        if self.disk is None:
            return False
        before = seen_full(self.data_folder)
        deadline = time.monotonic() + DISK_FULL_PATIENCE_SECONDS
        with self.disk.full():
            while seen_full(self.data_folder) == before and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(DISK_FULL_SECONDS)
        return seen_full(self.data_folder) > before

    def cancel(self) -> bool:
        """Cancel a run, wherever it is."""
        unit = self.draw.choice(self.units)
        if not unit.runs:
            return False
        unit.cancelled.add(unit.runs[-1])
        try:
            cancel_run(viewer=system(database_now()), run_id=unit.runs[-1])
        except Refusal:
            return False
        return True

    def _some_backend(self) -> int | None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            pids = [pid for (pid,) in cursor.fetchall()]
        return self.draw.choice(pids) if pids else None


def killed(pid: int) -> bool:
    """Kill a process; whether there was one."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def publish(run_id: int) -> None:
    """Publish a run, if it still can be."""
    with contextlib.suppress(Refusal):
        publish_run(viewer=system(database_now()), run_id=run_id)


def at_once(*works: Callable[[], None]) -> None:
    """Do all works at the same time, each on a connection of its own."""

    def alone(work: Callable[[], None]) -> None:
        try:
            insist(work)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(alone, works))


def inflicted(fault: Callable[[], bool]) -> bool:
    """Do a fault; it may meet a server that an earlier one has killed, and then was not done."""
    try:
        return fault()
    except DATABASE_ERRORS:
        connection.close()
        return False
    except BROKER_ERRORS:
        return False
