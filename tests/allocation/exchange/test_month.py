"""A month from its folder to its export: loaded, allocated and written, byte for byte as expected."""

from __future__ import annotations

import datetime as dt
import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from allocation.models import AllocationRun, RunState
from allocation.services.execution import execute_run
from allocation.services.packages import load_package
from allocation.services.publication import publish_run
from allocation.services.runs import request_run
from allocation.services.system import system
from tests.allocation.exchange.sample import Sample

NOW = dt.datetime(2025, 8, 1, tzinfo=dt.UTC)
OPERATOR = system(NOW)
PACKAGES = sorted(folder for folder in (Path(__file__).parents[2] / "packages").iterdir() if folder.is_dir())

pytestmark = pytest.mark.usefixtures("committed")


def allocated(folder: Path) -> AllocationRun:
    """Load a folder and allocate it in this process."""
    package = load_package(viewer=OPERATOR, path=folder).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk)
    execute_run(run_id=run.pk, worker="test")
    run.refresh_from_db()
    assert run.state == RunState.READY, run.failure_reason
    return run


def exported(month: str, provider: str, *arguments: str) -> bytes:
    """Return what the command writes."""
    stream = io.BytesIO()
    out = io.TextIOWrapper(stream)
    call_command("export_ledger", month, "--provider", provider, *arguments, stdout=out)
    return stream.getvalue()


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_the_export_is_the_expected_file(folder: Path) -> None:
    run = allocated(folder)
    assert exported(f"{run.month:%Y-%m}", run.provider.code) == (folder / "expected_ledger.csv").read_bytes()


def test_which_run_is_exported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no package"):
        exported("2025-06", "echo")
    first = allocated(Sample().write(tmp_path / "one"))
    old = exported("2025-06", "echo")
    with pytest.raises(CommandError, match="not published"):
        exported("2025-06", "echo", "--published")
    publish_run(viewer=OPERATOR, run_id=first.pk)
    changed = Sample()
    changed.tables["sites"][1][5] = "401"
    newer = load_package(viewer=OPERATOR, path=changed.write(tmp_path / "two")).package
    assert newer is not None
    with pytest.raises(CommandError, match="no run of"):
        exported("2025-06", "echo")
    assert exported("2025-06", "echo", "--published") == old
    second = allocated(tmp_path / "two")
    new = exported("2025-06", "echo")
    assert new != old
    assert exported("2025-06", "echo", "--run", str(first.pk)) == old
    assert exported("2025-06", "echo", "--run", str(second.pk)) == new
    for arguments in (("--run", "0"), ("--run", str(second.pk + 1))):
        with pytest.raises(CommandError, match="has no run"):
            exported("2025-06", "echo", *arguments)
    with pytest.raises(CommandError, match="not a month"):
        exported("June", "echo")


def test_both_formats_hold_the_month(tmp_path: Path) -> None:
    allocated(Sample().write(tmp_path))
    assert exported("2025-06", "echo", "--format", "parquet")[:4] == b"PAR1"
