"""Two worker hosts for one month: network namespaces with a core each, RabbitMQ between them, against one alone.

A namespace reaches PostgreSQL and the broker by TCP over its own link, as another machine would; nothing else is shared
but the processors. Making namespaces needs root.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection

from allocation.models import AllocationRun, RunChunk, RunState, RunTransition
from carbon.environment import CLONE_DIR
from tests.benchmarks.figure import Figure
from tests.benchmarks.forwarding import forward
from tests.benchmarks.month import BenchmarkError, loaded_package
from tests.benchmarks.stopwatch import Stopwatch, say
from tests.faults.brokers import broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTS = ("a", "b")
DATABASE_PORT, BROKER_PORT = 5432, 5672
START_SECONDS = 180


def host_figures(*, row_count: int, folder: Path, first_month: str) -> list[Figure]:
    """Allocate the same package by one host, then by both; the bytes must be the same.

    Raises:
        BenchmarkError: a run failed, the bytes differ, or only one of two hosts worked.
    """
    package, usage_rows = loaded_package(Stopwatch(), row_count, folder, first_month)
    queue = broker("rabbitmq", folder / "rabbitmq", folder / "debian")
    queue.start()
    figures: list[Figure] = []
    found: dict[int, AllocationRun] = {}
    try:
        for names in (HOSTS[:1], HOSTS):
            with contextlib.ExitStack() as stack:
                for number, name in enumerate(names):
                    address = stack.enter_context(_namespace(name, number))
                    stack.enter_context(_worker(name, number, address, queue.port, folder))
                say(f"  {len(names)} host(s) …")
                _allocate(package.provider.code, first_month, queue.url)
            run = AllocationRun.objects.filter(package=package).latest("pk")
            found[len(names)] = run
            figures += _told(run, names, usage_rows)
    finally:
        queue.stop()
    alone, together = found[1], found[len(HOSTS)]
    if alone.ledger_digest != together.ledger_digest:
        raise BenchmarkError("two hosts wrote other bytes than one")
    gain = _seconds(alone) / _seconds(together)
    work = f"{usage_rows:,} usage rows"
    figures.append(Figure("hosts", work, "two hosts faster than one", gain, "×", "same bytes; goal > 1"))
    return figures


def _told(run: AllocationRun, names: tuple[str, ...], usage_rows: int) -> Iterator[Figure]:
    work = f"{usage_rows:,} usage rows"
    by_worker: dict[str, int] = {}
    for worker in RunChunk.objects.filter(run=run).values_list("worker", flat=True):
        by_worker[worker] = by_worker.get(worker, 0) + 1
    if len(by_worker) != len(names):
        raise BenchmarkError(f"of {len(names)} hosts {len(by_worker)} worked")
    note = ", ".join(f"{count} chunks" for count in sorted(by_worker.values(), reverse=True))
    yield Figure("hosts", work, f"{len(names)} host(s): taken up to ready", _seconds(run), "s", note)


def _seconds(run: AllocationRun) -> float:
    taken = RunTransition.objects.filter(run=run, to_state=RunState.READING).earliest("pk").at
    ready = RunTransition.objects.filter(run=run, to_state=RunState.READY).latest("pk").at
    return (ready - taken).total_seconds()


def _allocate(provider: str, month: str, broker_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "allocate", month, "--provider", provider, "--again"],
        cwd=CLONE_DIR,
        env=os.environ | {"CELERY_BROKER_URL": broker_url},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"allocate ended with {done.returncode}")


@contextlib.contextmanager
def _namespace(name: str, number: int) -> Iterator[str]:
    """Make a network namespace with a link of its own; the address of its other end, on which we forward."""
    space, link, peer = f"canopy-{name}", f"canopy-{name}0", f"canopy-{name}1"
    ours, theirs = f"10.213.{number}.1", f"10.213.{number}.2"
    _ip("netns", "add", space)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", peer, "netns", space)
        _ip("addr", "add", f"{ours}/24", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", space, "addr", "add", f"{theirs}/24", "dev", peer)
        _ip("-n", space, "link", "set", peer, "up")
        _ip("-n", space, "link", "set", "lo", "up")
        yield ours
    finally:
        _ip("netns", "delete", space)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def _worker(name: str, number: int, address: str, queue_port: int, folder: Path) -> Iterator[None]:
    """Run a worker with one process on one core inside the namespace, and wait until it takes messages."""
    connection.ensure_connection()
    database = connection.connection.info
    cores = sorted(os.sched_getaffinity(0))
    log = folder / f"host-{name}-{time.time_ns()}.log"
    environment = os.environ | {
        "DATABASE_URL": f"postgres://{database.user}@{address}:{DATABASE_PORT}/{database.dbname}",
        "CANOPY_SECRET_KEY": settings.SECRET_KEY,
        "CANOPY_ALLOWED_HOSTS": "localhost",
        "CANOPY_STATIC_DIR": str(folder),
        "CANOPY_LOG_LEVEL": "INFO",
        "CELERY_BROKER_URL": f"amqp://guest:guest@{address}:{BROKER_PORT}//",
    }
    ends = threading.Event()
    with (
        forward((address, DATABASE_PORT), f"{database.host}/.s.PGSQL.{database.port}", ends),
        forward((address, BROKER_PORT), ("127.0.0.1", queue_port), ends),
        log.open("wb") as output,
    ):
        process = subprocess.Popen(
            [
                *("ip", "netns", "exec", f"canopy-{name}", "taskset", "-c", str(cores[number % len(cores)])),
                *(sys.executable, "-m", "celery", "--app=carbon", "worker", "--loglevel=INFO", "--concurrency=1"),
                *(f"--hostname=host-{name}@%h", "--without-gossip", "--without-mingle"),
            ],
            cwd=CLONE_DIR,
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while b" ready." not in log.read_bytes():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchmarkError(f"the worker of host {name} does not start: {log.read_text()[-1000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait()
            ends.set()
