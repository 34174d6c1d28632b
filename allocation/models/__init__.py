"""How much: packages, methodology versions, runs, ledger, roll-ups, publications."""

from allocation.models.catalog import Cluster, Region, Service
from allocation.models.ledger import LedgerRow, SpecialAccount
from allocation.models.methodology import MethodologyVersion
from allocation.models.package import Package, PackageFinding, Severity
from allocation.models.publication import Cause, Publication, PublishedMonth, Restatement, Withdrawal
from allocation.models.rollups import AccountTotal, ContainerTotal, Grain, LineAmounts
from allocation.models.runs import (
    LEGAL_TRANSITIONS,
    PROVED,
    RUNNING,
    AllocationRun,
    RunChunk,
    RunFinding,
    RunInput,
    RunLocation,
    RunProof,
    RunState,
    RunTransition,
)

__all__ = [
    "LEGAL_TRANSITIONS",
    "PROVED",
    "RUNNING",
    "AccountTotal",
    "AllocationRun",
    "Cause",
    "Cluster",
    "ContainerTotal",
    "Grain",
    "LedgerRow",
    "LineAmounts",
    "MethodologyVersion",
    "Package",
    "PackageFinding",
    "Publication",
    "PublishedMonth",
    "Region",
    "Restatement",
    "RunChunk",
    "RunFinding",
    "RunInput",
    "RunLocation",
    "RunProof",
    "RunState",
    "RunTransition",
    "Service",
    "Severity",
    "SpecialAccount",
    "Withdrawal",
]
