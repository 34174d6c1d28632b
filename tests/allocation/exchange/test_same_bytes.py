"""The same bytes whatever the order of rows, the number of workers and the size of the blocks that are read."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from allocation.models import RunChunk, RunState
from allocation.services.calculation import compute
from allocation.services.execution import execute_run, help_run
from allocation.services.packages import load_package
from allocation.services.runs import request_run
from tests.allocation.exchange.test_month import OPERATOR, allocated, exported
from tests.factories.connections import elsewhere
from tests.oracle.generator import random_draft

if TYPE_CHECKING:
    from pathlib import Path

    from allocation.engine.frames import Finding, Ledger
    from allocation.models import AllocationRun, RunLocation
    from allocation.services.calculation import Computation
    from tests.oracle.draft import Draft

pytestmark = pytest.mark.usefixtures("committed")


def draft() -> Draft:
    """Return the first random month with three clusters that bear something, machines and use between services."""
    for seed in range(10_000):
        found = random_draft(seed)
        sited = {row["cluster"] for row in found.tables["sites"]}
        if len(sited) == 3 and found.tables.get("machines") and found.tables.get("service_use"):
            return found
    raise AssertionError


@dataclass
class Helped:
    """Computes as the engine does; before its first cluster it lets a second worker write all others."""

    run: AllocationRun
    engine: Computation
    called: bool = False

    @property
    def clusters(self) -> tuple[str, ...]:
        return self.engine.clusters

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.engine.findings

    def settle(self, cluster: str) -> Ledger:
        if not self.called:
            self.called = True
            elsewhere(lambda: help_run(run_id=self.run.pk, worker="second"))
        return self.engine.settle(cluster)

    def locations(self) -> list[RunLocation]:
        return self.engine.locations()


def test_the_order_of_rows_and_the_style_of_files_do_not_change_a_byte(tmp_path: Path) -> None:
    first = allocated(draft().write(tmp_path / "plain"))
    month, provider = f"{first.month:%Y-%m}", first.provider.code
    bytes_before = exported(month, provider)

    again = allocated(draft().write(tmp_path / "shuffled", random.Random(1)))  # noqa: S311 # test data

    assert again.package.number == 2
    assert exported(month, provider) == bytes_before
    assert again.ledger_digest == first.ledger_digest


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    folder = draft().write(tmp_path / "package")
    alone = allocated(folder)
    month, provider = f"{alone.month:%Y-%m}", alone.provider.code
    bytes_before = exported(month, provider)
    package = load_package(viewer=OPERATOR, path=folder).package
    assert package is not None
    run = request_run(viewer=OPERATOR, package_id=package.pk, again=True)

    execute_run(run_id=run.pk, worker="first", prepare=lambda its: Helped(its, compute(its)))

    run.refresh_from_db()
    assert run.state == RunState.READY
    assert set(RunChunk.objects.filter(run=run).values_list("worker", flat=True)) == {"first", "second"}
    assert exported(month, provider, "--run", str(run.pk)) == bytes_before
    assert run.ledger_digest == alone.ledger_digest
