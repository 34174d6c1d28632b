"""B3: many clients at once, each asking the questions of B2 in turn, for a while."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tests.benchmarks.client import AnswerError, Client
from tests.benchmarks.figure import Figure
from tests.benchmarks.stopwatch import quantile, say

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 32


def crowd_figures(url: str, token: str, queries: list[str], seconds: int, work: str) -> Iterator[Figure]:
    """Let the clients ask for so many seconds; they share this process and its core with nobody but the server."""
    say(f"  {CLIENTS} clients, {seconds} s …")
    taken_ms: list[float] = []
    errors: list[str] = []
    deadline = time.perf_counter() + seconds

    def ask(number: int) -> None:
        client = Client(url, token)
        turn = number
        while time.perf_counter() < deadline:
            begin = time.perf_counter()
            try:
                client.ask(queries[turn % len(queries)])
            except (AnswerError, OSError) as error:
                errors.append(str(error))
                client = Client(url, token)
            taken_ms.append((time.perf_counter() - begin) * 1000)
            turn += 1

    begin = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    taken_ms.sort()
    work = f"{CLIENTS} clients, {work}"
    note = f"{len(taken_ms):,} requests in {elapsed:.0f} s"
    yield Figure("B3", work, "requests a second", (len(taken_ms) - len(errors)) / elapsed, "1/s", note)
    yield Figure("B3", work, "p50", quantile(taken_ms, 0.5), "ms")
    yield Figure("B3", work, "p99", quantile(taken_ms, 0.99), "ms")
    yield Figure("B3", work, "errors", len(errors), "", errors[0][:80] if errors else "goal 0")
