"""B2 and B3 by PostGraphile on the same tables.

It does less: it knows neither viewers nor months that hide, adds up the columns of one directory by publication,
service or cluster, and leaves scopes, units, names and pages to its client. Lists sorted by a sum it does not offer.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from django.db import connection

from tests.benchmarks.client import Client
from tests.benchmarks.crowd import crowd_figures
from tests.benchmarks.figure import Figure
from tests.benchmarks.peers.node import FOLDER, node
from tests.benchmarks.stopwatch import repeat, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.enterprise import LargeEnterprise

START_SECONDS = 120
# Of the tables themselves it makes no schema: two of their relations would get one name.
_VIEW = """
CREATE SCHEMA IF NOT EXISTS peers;
CREATE OR REPLACE VIEW peers.container_totals AS SELECT * FROM public.allocation_containertotal;
"""
_SUMS = (
    "keys sum { scope1Ug scope2LbmUg scope2HeatLbmUg scope3FeraLbmUg scope3LeasedLbmUg scope3EmbodiedUg scope3OtherUg }"
)
_QUERY = (
    '{ allContainerTotals(condition: {directoryId: "%d", groupId: null, miscellaneous: false, grain: %d})'
    " { groupedAggregates(groupBy: [%s]) { %s } } }"
)
_ASKED = {
    "root total by month": (0, "PUBLICATION_ID"),
    "root by service": (1, "SERVICE_ID"),
    "root by location": (2, "CLUSTER_ID"),
    "cube month × service": (1, "PUBLICATION_ID, SERVICE_ID"),
}


class NotStartedError(RuntimeError):
    """PostGraphile did not answer in time."""


def postgraphile_figures(large: LargeEnterprise, times: int, seconds: int) -> Iterator[Figure]:
    """Ask the questions of B2 that it can answer, one client and then many."""
    with connection.cursor() as cursor:
        cursor.execute(_VIEW)
    work = f"{large.account_count:,} accounts, {large.group_count:,} groups, {len(large.publications)} months"
    queries = {name: _QUERY % (large.directory_id, grain, keys, _SUMS) for name, (grain, keys) in _ASKED.items()}
    with _server() as url:
        client = Client(url, "none")
        for name, query in queries.items():
            say(f"  PostGraphile, {name} …")
            taken = repeat(lambda query=query: client.ask(query), times=times)  # type: ignore[misc] # bound now
            note = f"p95 {taken.p95_ms:,.0f} ms; no viewer, no names, no pages"
            yield Figure("peers", work, f"PostGraphile, {name}: p50", taken.p50_ms, "ms", note)
        for figure in crowd_figures(url, "none", list(queries.values()), seconds, work):
            yield Figure("peers", figure.work, f"PostGraphile, {figure.name}", figure.value, figure.unit, figure.note)


@contextlib.contextmanager
def _server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    connection.ensure_connection()
    database = connection.connection.info
    process = subprocess.Popen(
        [
            *(str(node()), "--no-deprecation", str(FOLDER / "node_modules" / "postgraphile" / "cli.js")),
            *("-c", f"socket:{database.host}?db={database.dbname}&user={database.user}", "--schema", "peers"),
            *("--host", "127.0.0.1", "--port", str(port), "--graphql", "/graphql/", "--disable-query-log"),
            *("--disable-default-mutations", "--append-plugins", "@graphile/pg-aggregates"),
        ],
        cwd=FOLDER,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            Client(url, "none").ask("{ __typename }")
            return
        time.sleep(0.2)
    raise NotStartedError(url)
