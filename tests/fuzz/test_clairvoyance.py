"""Clairvoyance guesses a schema from what a server suggests where introspection is off."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from graphql_api.management.commands.export_schema import COMMITTED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.conftest import Fuzzers


def recovered(fuzzers: Fuzzers, folder: Path, *arguments: str) -> set[str]:
    """Fields that it found out, although every name of our schema is in its list of words."""
    words = folder / "words"
    words.write_text("\n".join(sorted(set(re.findall(r"[A-Za-z_]\w+", COMMITTED.read_text())))))
    found = folder / "found.json"
    found.unlink(missing_ok=True)
    _, said = fuzzers.run(
        "clairvoyance",
        *(f"{fuzzers.server}/graphql/", "-w", str(words), "-o", str(found), "-p", "slow", "-m", "1", *arguments),
        timeout_seconds=900,
    )
    if not found.exists():
        assert said.strip()
        return set()
    types = json.loads(found.read_text())["data"]["__schema"]["types"]
    return {field["name"] for one in types if not one["name"].startswith("__") for field in one.get("fields") or []}


def test_an_anonymous_caller_recovers_nothing(fuzzers: Fuzzers, tmp_path: Path) -> None:
    assert recovered(fuzzers, tmp_path) == set()
