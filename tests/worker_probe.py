"""A task for tests of the worker itself; only the tests' worker knows it."""

import logging
import os

from celery import shared_task
from django.contrib.auth.models import Group


@shared_task(name="tests.leave_trace")
def leave_trace(*, name: str) -> None:
    """Write a row that the test can find, with the number of the worker's process."""
    Group.objects.create(name=f"{name} by {os.getpid()}")


@shared_task(name="tests.die_once", max_retries=3)
def die_once(*, name: str) -> None:
    """Kill the process that runs the task, the first time."""
    if not Group.objects.filter(name=name).exists():
        Group.objects.create(name=name)
        os._exit(9)
    Group.objects.create(name=f"{name} again")


@shared_task(name="tests.die_always", max_retries=3)
def die_always(*, name: str) -> None:
    """Kill the process that runs the task, every time."""
    Group.objects.create(name=f"{name} {Group.objects.count()}")
    os._exit(9)


@shared_task(name="tests.say")
def say(*, words: str) -> None:
    """Write a line to the worker's log."""
    logging.getLogger("carbon.probe").info("%s", words)
