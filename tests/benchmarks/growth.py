"""B5: the questions of B2 while the ledger grows a hundred times, in one database and in the enterprise itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from tests.benchmarks.client import Client, token_of
from tests.benchmarks.enterprise import Shape, build
from tests.benchmarks.figure import Figure
from tests.benchmarks.question import questions
from tests.benchmarks.stopwatch import repeat, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.enterprise import LargeEnterprise

# The others have so many times fewer accounts; months, groups, services and locations are the same.
SMALLER = (100, 10)


def growth_figures(url: str, large: LargeEnterprise, times: int) -> Iterator[Figure]:
    """Ask each question of enterprises with a hundredth, a tenth and all of the ledger rows, in turns.

    They stand in one database, so that the smaller ones have a large neighbour: what grows is the enterprise itself.
    """
    compared = [*(_smaller(large, parts) for parts in SMALLER), large]
    clients = [Client(url, token_of(each.viewer, timezone.now())) for each in compared]
    for asked in zip(*map(questions, compared), strict=True):
        say(f"  B5 {asked[0].name} …")
        medians = [
            repeat(lambda client=client, query=question.query: client.ask(query), times=times).p50_ms  # type: ignore[misc] # bound now
            for client, question in zip(clients, asked, strict=True)
        ]
        of_rows = ", ".join(
            f"{taken:.1f} ms of {each.ledger_rows:,}" for each, taken in zip(compared, medians, strict=True)
        )
        yield Figure(
            "B5", large.work, f"{asked[0].name}: growth", medians[-1] / medians[0], "×", f"{of_rows}; goal ≤ 1.5"
        )


def _smaller(large: LargeEnterprise, parts: int) -> LargeEnterprise:
    code = f"{large.code}-{parts}"
    return build(Shape(code, large.account_count // parts, large.group_count, len(large.publications)))
