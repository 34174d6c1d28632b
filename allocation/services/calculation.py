"""A run's computation: the stored activity through the engine, cluster by cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allocation.engine.frames import Finding, Ledger
    from allocation.models import AllocationRun


class Calculation:
    """What the engine makes of a run's inputs; clusters are settled on demand, one at a time."""

    def __init__(self, run: AllocationRun) -> None:
        self._run = run
        raise NotImplementedError

    @property
    def clusters(self) -> tuple[str, ...]:
        """Codes of the clusters with a ledger, in the order of the export."""
        raise NotImplementedError

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What preparing found."""
        raise NotImplementedError

    def settle(self, cluster: str) -> Ledger:
        """Return the ledger of one cluster."""
        raise NotImplementedError
