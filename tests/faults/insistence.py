"""Doing something while servers are killed: again and again, until it is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connection
from kombu.exceptions import OperationalError as BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")
DATABASE_ERRORS = (OperationalError, InterfaceError, InternalError)
BROKER_ERRORS = (BrokerError, ConnectionError, OSError)
PATIENCE_SECONDS = 120


def insist(work: Callable[[], Result]) -> Result:
    """Do the work, anew after each failure of the database, which is back soon.

    Raises:
        OperationalError: it is not.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return work()
        except DATABASE_ERRORS:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
