"""The thread of every worker that looks for abandoned runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from django.db import OperationalError

from carbon import reaper
from carbon.reaper import Reaper

if TYPE_CHECKING:
    import pytest
    from pytest_django.fixtures import Settings


def test_it_sweeps_until_it_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    swept = threading.Semaphore(0)
    failures = iter([OperationalError("the database is being restarted"), ConnectionError("so is the broker")])

    def sweep() -> None:
        swept.release()
        for failure in failures:
            raise failure

    thread = Reaper(sweep, 0.001)
    thread.start()
    for _ in range(5):
        assert swept.acquire(timeout=30)
    thread.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "no sweep: the database is being restarted",
        "no sweep: so is the broker",
    ]
    while swept.acquire(blocking=False):
        pass
    assert not swept.acquire(timeout=0.05)


def test_the_settings_may_want_none(settings: Settings) -> None:
    settings.SWEEP_SECONDS = 0
    before = threading.active_count()
    reaper.begin()
    assert threading.active_count() == before


def test_a_worker_begins_and_ends_it(settings: Settings) -> None:
    settings.SWEEP_SECONDS = 3600
    reaper.begin()
    assert [thread.name for thread in threading.enumerate()].count("reaper") == 1
    reaper.end()
    assert "reaper" not in [thread.name for thread in threading.enumerate()]
