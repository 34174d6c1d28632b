"""The short form of `make faults`: a few faults of every kind on servers of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from carbon.environment import CLONE_DIR
from tests.faults.steps import NAMES

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 900


def campaign(folder: Path, *options: str) -> dict[str, Any]:
    """Wage a campaign with the embedded broker; return its report."""
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--report", str(report), *options],
        cwd=CLONE_DIR,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert report.exists(), done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    assert done.returncode == 0, json.dumps(found, indent=1) + done.stderr
    return found


@pytest.mark.minutes
def test_a_few_faults_of_every_kind_leave_no_trace(tmp_path: Path) -> None:
    found = campaign(tmp_path, "--short", "--seed", "20261122")
    assert found["violations"] == []
    assert found["killed_at_steps"].keys() == set(NAMES)
    assert all(found["killed_at_steps"].values())
    assert found["others"].keys() >= {
        "broker_server",
        "postgres_server",
        "postgres_process",
        "lease_lost",
        "two_publish",
    }
    assert found["looked_at"]["ledgers compared"] + found["looked_at"].get("withdrawn", 0) >= found["runs"] > 0
    assert found["reads"]["torn"] == 0
    assert found["reads"]["changes"] > 0
