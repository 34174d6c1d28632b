"""Work on several connections at once."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from accounts.models import Provider
from allocation.services.simultaneous import at_once, meanwhile

pytestmark = pytest.mark.usefixtures("committed")


def backend() -> int:
    """The number of the database's process at the other end of this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_works_meet_on_connections_of_their_own_and_are_kept() -> None:
    meeting = threading.Barrier(2, timeout=30)
    backends: list[int] = []

    def make(code: str) -> None:
        meeting.wait()
        assert connection.in_atomic_block
        backends.append(backend())
        Provider.objects.create(code=code, time_zone="UTC")

    at_once(lambda: make("one"), lambda: make("two"))
    assert len(set(backends)) == 2
    assert backend() in backends
    assert set(Provider.objects.filter(code__in=("one", "two")).values_list("code", flat=True)) == {"one", "two"}


@pytest.mark.parametrize("failing", [0, 1])
def test_a_work_that_fails_takes_back_its_own_and_is_told_when_all_have_ended(failing: int) -> None:
    def make(code: str, *, fails: bool) -> None:
        Provider.objects.create(code=code, time_zone="UTC")
        if fails:
            raise LookupError(code)

    codes = ("first", "second")
    with pytest.raises(LookupError, match=codes[failing]):
        at_once(*(lambda n=n, code=code: make(code, fails=n == failing) for n, code in enumerate(codes)))
    (kept,) = Provider.objects.filter(code__in=codes).values_list("code", flat=True)
    assert kept == codes[1 - failing]


def test_within_a_transaction_nothing_goes_elsewhere() -> None:
    backends: list[int] = []
    with transaction.atomic():
        at_once(lambda: backends.append(backend()), lambda: backends.append(backend()))
        assert set(backends) == {backend()}


def test_a_work_is_done_meanwhile_on_a_connection_of_its_own() -> None:
    meeting = threading.Barrier(2, timeout=30)
    backends: list[int] = []

    def work() -> None:
        meeting.wait()
        backends.append(backend())

    with transaction.atomic():
        with meanwhile(work):
            meeting.wait()
        assert backends != [backend()]


def test_what_fails_meanwhile_takes_back_the_transaction_and_is_told_first() -> None:
    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError), transaction.atomic(), meanwhile(fail):
        Provider.objects.create(code="taken back", time_zone="UTC")
    assert not Provider.objects.filter(code="taken back").exists()
    with pytest.raises(LookupError), meanwhile(fail):
        raise KeyError
    with pytest.raises(KeyError), meanwhile(backend):
        raise KeyError
