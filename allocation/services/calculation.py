"""A run's computation: the stored activity through the engine, cluster by cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from accounts.models import Account
from accounts.models.account import AccountKind

if TYPE_CHECKING:
    from allocation.engine.frames import Finding, Ledger
    from allocation.models import AllocationRun, Package, RunLocation


class Computation(Protocol):
    """What a run asks of the engine."""

    clusters: tuple[str, ...]
    """Codes of the clusters with a ledger."""

    findings: tuple[Finding, ...]
    """What preparing found."""

    def settle(self, cluster: str) -> Ledger:
        """Return the ledger of one cluster, in the order of the export."""

    def locations(self) -> list[RunLocation]:
        """Return what the package says of each cluster, unsaved."""


def compute(run: AllocationRun) -> Computation:
    """Prepare the computation of a run from its stored inputs.

    Raises:
        PackageRejectedError: the activity cannot be allocated.
    """
    raise NotImplementedError(run)


def internal_account_ids(package: Package) -> list[int]:
    """Return the accounts that the package calls internal."""
    return list(
        Account.objects.filter(provider=package.provider_id, kind=AccountKind.INTERNAL).values_list("pk", flat=True)
    )
