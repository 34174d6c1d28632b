"""What row-level security costs: the questions of B2 with it and without it, in turns, on the same data and server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from accounts.web_role import PROTECTED
from tests.benchmarks.figure import Figure
from tests.benchmarks.question import questions
from tests.benchmarks.stopwatch import repeat, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.client import Client
    from tests.benchmarks.enterprise import LargeEnterprise

ROUNDS = 3
GOAL = "goal ≤ 1.2"


def defence_figures(client: Client, large: LargeEnterprise, times: int) -> Iterator[Figure]:
    """Ask each question in rounds, with and without; the median of the fastest round of each, and their ratio."""
    for question in questions(large):
        say(f"  {question.name}, with and without row-level security …")
        medians: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
        for number in range(2 * ROUNDS):
            switch = "ENABLE" if number % 2 == 0 else "DISABLE"
            _switch(switch)
            medians[switch].append(repeat(lambda query=question.query: client.ask(query), times=times).p50_ms)  # type: ignore[misc] # bound now
        _switch("ENABLE")
        kept, dropped = min(medians["ENABLE"]), min(medians["DISABLE"])
        yield Figure("RLS", large.work, f"{question.name}: p50 with row-level security", kept, "ms")
        yield Figure("RLS", large.work, "… ratio to the same without", kept / dropped, "×", f"{dropped:.1f} ms; {GOAL}")


def _switch(word: str) -> None:
    with connection.cursor() as cursor:
        for table in PROTECTED:
            cursor.execute(f"ALTER TABLE {table} {word} ROW LEVEL SECURITY")
