"""B2: roll-ups of a large enterprise over HTTP, one client, against SQL by hand; RLS, B3, B4, B6 on the same data."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from carbon.services import Services, answers, api
from tests.benchmarks.changes import change_figures
from tests.benchmarks.client import Client, WrongAnswerError, token_of
from tests.benchmarks.crowd import crowd_figures
from tests.benchmarks.defence import defence_figures
from tests.benchmarks.enterprise import CODE, Shape, build
from tests.benchmarks.figure import Figure
from tests.benchmarks.growth import growth_figures
from tests.benchmarks.peers.cloud_carbon import cloud_carbon_figures
from tests.benchmarks.peers.plain_orm import plain_orm_figures
from tests.benchmarks.peers.postgraphile import postgraphile_figures
from tests.benchmarks.question import questions
from tests.benchmarks.shapes import shape_figures
from tests.benchmarks.stopwatch import repeat, say
from tests.benchmarks.viewers import scattered, viewer_figures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.enterprise import LargeEnterprise
    from tests.benchmarks.question import Question

UG_PER_KG = 10**9
RELATIVE_DIFFERENCE_MAX = 1e-9


def reading_figures(chosen: argparse.Namespace, folder: Path) -> list[Figure]:
    """Build the enterprise, start an API server, and ask."""
    begin = time.perf_counter()
    large = build(Shape(CODE, chosen.accounts, chosen.groups, chosen.months))
    figures = [Figure("B2", large.work, "write and roll up the data", time.perf_counter() - begin, "s")]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    with Services(
        folder,
        [api("127.0.0.1", port)],
        environment={"CANOPY_SECRET_KEY": settings.SECRET_KEY, "CANOPY_REQUESTS_PER_MINUTE": "0"},
    ) as services:
        services.wait_for(lambda: answers(f"{url}/health/live"), "the API server")
        client = Client(url, token_of(large.viewer, timezone.now()))
        if "B2" in chosen.only:
            figures += _questions(client, large, chosen.times)
        if "RLS" in chosen.only:
            figures += defence_figures(client, large, chosen.times)
        if "B4" in chosen.only:
            figures += viewer_figures(url, large, chosen.times)
        if "B3" in chosen.only:
            queries = [question.query for question in questions(large)]
            figures += crowd_figures(url, token_of(large.viewer, timezone.now()), queries, chosen.seconds, large.work)
        if "peers" in chosen.only:
            figures += postgraphile_figures(large, chosen.times, chosen.seconds)
            figures += plain_orm_figures(large, scattered(large), chosen.times)
            figures += cloud_carbon_figures(max(chosen.rows))
        if "shapes" in chosen.only:
            figures += shape_figures(url, large, chosen)
        if "B5" in chosen.only:
            figures += growth_figures(url, large, chosen.times)
        # Last, since the changes stay.
        if "B6" in chosen.only:
            figures += change_figures(client, url, large)
    return figures


def _questions(client: Client, large: LargeEnterprise, times: int) -> Iterator[Figure]:
    floor = repeat(lambda: client.ask("{ __typename }"), times=times)
    note = f"p95 {floor.p95_ms:,.0f} ms: the price of asking"
    yield Figure("B2", large.work, "an empty question, p50", floor.p50_ms, "ms", note)
    params = {
        "publications": list(large.publications),
        "runs": list(large.runs),
        "directory": large.directory_id,
    }
    for question in questions(large):
        yield from _question(client, question, params, times, large.work)


def _question(client: Client, question: Question, params: dict[str, Any], times: int, work: str) -> Iterator[Figure]:
    say(f"  {question.name} …")
    begin = time.perf_counter()
    ledger = _select(question.ledger, params)
    ledger_ms = (time.perf_counter() - begin) * 1000
    _compare(question, client.ask(question.query), _select(question.read_model, params), ledger)
    http = repeat(lambda: client.ask(question.query), times=times)
    best = repeat(lambda: _select(question.read_model, params), times=times)
    yield Figure("B2", work, f"{question.name}: p50", http.p50_ms, "ms", f"{http.processor}, server + database")
    yield Figure("B2", work, f"{question.name}: p95", http.p95_ms, "ms", "goal ≤ 100")
    yield Figure("B2", work, "… ratio of p50 to SQL by hand", http.p50_ms / best.p50_ms, "×", f"{best.p50_ms:.1f} ms")
    yield Figure(
        "B2", work, "… faster than the ledger", ledger_ms / http.p50_ms, "×", f"{ledger_ms:,.0f} ms; goal ≥ 50"
    )


def _select(text: str, params: dict[str, Any]) -> list[int]:
    """The last column of each row, micrograms."""
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        return [int(row[-1]) for row in cursor.fetchall()]


def _compare(question: Question, data: dict[str, Any], read_model: list[int], ledger: list[int]) -> None:
    """Hold the three answers together: integers exactly, the API's kilograms as near as they were rounded."""
    if sorted(read_model) != sorted(ledger):
        raise WrongAnswerError(f"{question.name}: the read model does not say what the ledger says")
    found = sorted(question.kilograms(data))
    wanted = sorted(ug / UG_PER_KG for ug in read_model)
    near = len(found) == len(wanted) and all(
        abs(one - other) <= RELATIVE_DIFFERENCE_MAX * max(abs(other), 1)
        for one, other in zip(found, wanted, strict=True)
    )
    if not near:
        raise WrongAnswerError(f"{question.name}: the API says {found[:3]}…, the read model {wanted[:3]}…")
