"""Work that is done at the same time: each on a connection to the database, and in a transaction, of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from django.db import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Callable


def at_once(*works: Callable[[], None]) -> None:
    """Do all the works, each in a transaction of its own, and wait until all have ended; the last one on this thread.

    If some fail, the others are done all the same, and the first failure is raised. Within a transaction of the caller,
    which no other connection could see into, they are done one after the other.
    """
    if connection.in_atomic_block:
        for work in works:
            work()
        return
    *others, own = works
    with ThreadPoolExecutor(len(others), thread_name_prefix="at once") as pool:
        results = [pool.submit(_alone, work) for work in others]
        with transaction.atomic():
            own()
    for result in results:
        result.result()


def _alone(work: Callable[[], None]) -> None:
    try:
        with transaction.atomic():
            work()
    finally:
        connection.close()
