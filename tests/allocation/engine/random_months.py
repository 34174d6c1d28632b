"""Random months and what the oracle says of them, worked out once however many tests ask."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.allocation.engine.packages import Package
from tests.oracle.generator import SMALL, Size, write_random_history, write_random_package
from tests.oracle.ledger import Allocation, allocate, expected_energy_wh, expected_ledger

if TYPE_CHECKING:
    from tests.oracle.demand import Leaf
    from tests.oracle.table import Finding


class RandomMonth(NamedTuple):
    """A package, those loaded before it, and the oracle's answer: ledger, findings, energy, exact amounts."""

    package: Package
    history: list[Package]
    ledger: str
    findings: list[Finding]
    energy_wh: dict[Leaf, int]
    allocation: Allocation


@cache
def random_month(seed: int, size: Size = SMALL) -> RandomMonth:
    """Return the month of a seed; nobody may change it.

    The mutants of the engine (docs/contributing.md) run in children of a process that has asked before: they find the
    oracle's answers and spend their time on the engine.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        earlier = write_random_history(folder, seed, size)
        path = write_random_package(folder / "package", seed, size)
        ledger, findings = expected_ledger(path, earlier)
        history = [Package.read(one) for one in earlier]
        return RandomMonth(
            Package.read(path),
            history,
            ledger,
            findings,
            expected_energy_wh(path, earlier),
            allocate(path, earlier),
        )
