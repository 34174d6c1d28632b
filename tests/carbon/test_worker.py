"""A real worker on a real broker: what Celery is trusted with, and what a poison task may do."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from django.contrib.auth.models import Group

from carbon.celery import app
from tests.worker_probe import die_always, die_once, leave_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveWorker


def eventually(probe: Callable[[], bool], timeout_seconds: float = 30) -> bool:
    """Whether a probe succeeds within a time."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if probe():
            return True
        time.sleep(0.05)
    return False


def test_a_task_runs_in_another_process_on_the_test_database(live_worker: LiveWorker) -> None:
    assert live_worker.log.exists()
    leave_trace.delay(name="trace")
    assert eventually(Group.objects.filter(name__startswith="trace by ").exists)
    assert Group.objects.get(name__startswith="trace by ").name != f"trace by {os.getpid()}"


def test_a_task_that_loses_its_process_runs_again(live_worker: LiveWorker) -> None:  # noqa: ARG001 it runs the task
    die_once.delay(name="lost")
    assert eventually(Group.objects.filter(name="lost again").exists)


def test_a_poison_task_is_given_up(live_worker: LiveWorker) -> None:  # noqa: ARG001 it runs the task
    attempts_max = 4  # the first and max_retries
    die_always.delay(name="poison")
    leave_trace.delay(name="after")
    assert eventually(lambda: Group.objects.filter(name__startswith="poison").count() == attempts_max)
    assert eventually(Group.objects.filter(name__startswith="after by").exists)
    time.sleep(4)  # twice the delay of a retry
    assert Group.objects.filter(name__startswith="poison").count() == attempts_max


def test_every_delivery_setting_is_what_the_reliability_paper_asks_for() -> None:
    conf = app.conf
    assert conf.task_acks_late
    assert conf.worker_prefetch_multiplier == 1
    assert conf.get("result_backend") is None
    assert conf.accept_content == ["json"]
    assert {q.name.split(".")[-1] for q in conf.task_queues} == {"default", "allocation", "exports"}
    longest = conf.task_time_limit
    assert longest < conf.broker_transport_options["visibility_timeout"]
    assert longest < conf.result_backend_transport_options["visibility_timeout"]
    assert longest < conf.visibility_timeout


def test_tasks_go_to_their_queues() -> None:
    router = app.amqp.router
    prefix = app.conf.task_default_queue.removesuffix(".default")
    names = {
        "allocation.tasks.allocate": f"{prefix}.allocation",
        "allocation.tasks.export_month": f"{prefix}.exports",
        "accounts.tasks.expire": f"{prefix}.default",
    }
    found = {name: router.route({}, name)["queue"].name for name in names}
    assert found == names
