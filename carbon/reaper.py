"""In every worker: look for runs that nobody works on, and send messages for them.

Their worker died, or their message was lost. A thread of the worker's first process, so that it neither waits behind
runs nor needs a clock; what it finds is marked, so that several workers send one message.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from celery.signals import worker_ready, worker_shutting_down
from kombu.exceptions import OperationalError as BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class Reaper:
    """Sweeps every so many seconds until it is stopped; a sweep that fails is logged, and the next one comes."""

    def __init__(self, sweep: Callable[[], None], every_seconds: float) -> None:
        self._sweep = sweep
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the sweep that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        from django.db import Error, connection  # noqa: PLC0415 the worker has read the settings by now

        while not self._stop.wait(self._every_seconds):
            try:
                self._sweep()
            except (Error, BrokerError, OSError) as error:
                logger.warning("no sweep: %s", error)
            finally:
                # A process that is forked now must not inherit it.
                connection.close()


_reapers: list[Reaper] = []


@worker_ready.connect
def begin(**_: object) -> None:
    """Start the reaper of this worker, unless the settings want none."""
    from django.conf import settings  # noqa: PLC0415 as above

    from allocation.tasks import wake_abandoned_runs  # noqa: PLC0415 as above

    if settings.SWEEP_SECONDS:
        reaper = Reaper(wake_abandoned_runs, settings.SWEEP_SECONDS)
        reaper.start()
        _reapers.append(reaper)


@worker_shutting_down.connect
def end(**_: object) -> None:
    """Stop it: what it would send now belongs to other workers."""
    while _reapers:
        _reapers.pop().stop()
