"""Work that is done at the same time: each on a connection to the database, and in a transaction, of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
        _in_one_process(own)
    for result in results:
        result.result()


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do a work that only reads what is committed, on a connection of its own, while the body is done on this one.

    When the body has ended, in whatever way, the work is waited for, and its failure is raised before that of the body.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="meanwhile") as pool:
        result = pool.submit(_alone, work)
        try:
            yield
        finally:
            result.result()


def _alone(work: Callable[[], object]) -> None:
    try:
        _in_one_process(work)
    finally:
        connection.close()


def _in_one_process(work: Callable[[], object]) -> None:
    """Do the work in a transaction for which PostgreSQL takes one process.

    Several for one statement cost it more processor time than they spare, and there is other work to be done.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
            cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        work()
