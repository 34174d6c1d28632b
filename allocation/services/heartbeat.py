"""Signs of life while a worker is busy with a run or an export."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import DatabaseError, connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

logger = logging.getLogger(__name__)


def lease() -> dt.timedelta:
    """Return how long work is left alone after a sign of life of its worker."""
    return dt.timedelta(seconds=settings.ALLOCATION_LEASE_SECONDS)


class Heartbeat:
    """Keep a claim alive while long work goes on; a context manager.

    A thread of its own with a database connection of its own. It stops with the process, so a killed or halted worker
    gives no sign of life; a hung one is killed by the task's time limit.
    """

    def __init__(self, work: str, beat: Callable[[], bool]) -> None:
        """Beat four times a lease, until `beat` says that the claim no longer holds; `work` names it in the log."""
        self._work, self._beat = work, beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of {work}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause = lease().total_seconds() / 4
        try:
            while not self._stop.wait(pause):
                try:
                    if not self._beat():
                        return
                except DatabaseError:
                    # The database may be restarting: the lease decides, not this thread.
                    logger.warning("no heartbeat of %s: the database does not answer", self._work)
                    connection.close()
        finally:
            connection.close()
