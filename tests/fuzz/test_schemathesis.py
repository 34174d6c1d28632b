"""Schemathesis writes documents that fit the schema, of every root field, and looks for faults of the server."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from graphql_api.management.commands.export_schema import COMMITTED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.conftest import Fuzzers

CASES = int(os.environ.get("CANOPY_FUZZ_CASES", "2000"))


def test_no_document_finds_a_fault_of_the_server(fuzzers: Fuzzers, tmp_path: Path) -> None:
    schema = COMMITTED.read_text()
    roots = [part.split("\n}")[0] for part in schema.split("type ") if part.startswith(("Query {", "Mutation {"))]
    fields = sum(line.startswith("  ") and line[2:3].islower() for part in roots for line in part.splitlines())
    log = tmp_path / "cases"
    status, said = fuzzers.run(
        "schemathesis",
        *("run", str(COMMITTED), f"--url={fuzzers.server}/graphql/", f"--header=Authorization: Bearer {fuzzers.token}"),
        *("--phases=fuzzing", "--mode=positive", f"--max-examples={-(-CASES // fields)}", "--seed=20260"),
        *("--continue-on-failure", "--generation-database=none", "--no-color"),
        *("--checks=not_a_server_error,nothing_unexpected", "--suppress-health-check=all"),
        timeout_seconds=3600,
        SCHEMATHESIS_HOOKS="tests.fuzz.hooks",
        CANOPY_FUZZ_IDS=" ".join(ids(fuzzers)),
        CANOPY_FUZZ_LOG=str(log),
    )
    assert status == 0, said
    cases = [json.loads(line) for line in log.read_text().splitlines()]
    answered = sum(case["data"] for case in cases)
    print(f"{len(cases)} cases, {answered} of them answered with data")  # noqa: T201 the figure of this run
    assert len(cases) >= CASES * 0.9
    assert answered > len(cases) / 10
    assert {case["status"] for case in cases} <= {200}


def ids(fuzzers: Fuzzers) -> list[str]:
    """Global ids of nodes of several kinds, as the API writes them."""
    query = """{ viewer { roles { node { id } } }
      hierarchyNode(by: {kind: RESOURCE_DIRECTORY, provider: "p", externalId: "north"}) {
        children(period: {from: "2025-01", until: "2025-02"}) { edges { node { id } } } } }"""
    data = fuzzers.ask(query)
    nodes = [role["node"] for role in data["viewer"]["roles"]]
    nodes += [edge["node"] for edge in data["hierarchyNode"]["children"]["edges"]]
    return [node["id"] for node in nodes]
