"""How much: packages, methodology versions, runs, ledger, roll-ups, publications."""

from allocation.models.catalog import Cluster, Region, Service
from allocation.models.ledger import LedgerRow, SpecialAccount
from allocation.models.methodology import MethodologyVersion
from allocation.models.package import Package, PackageFinding, Severity
from allocation.models.publication import Cause, Publication, PublishedMonth
from allocation.models.rollups import AccountTotal, ContainerTotal, Grain, LineAmounts
from allocation.models.runs import (
    PROVED,
    RUNNING,
    AllocationRun,
    RunChunk,
    RunFinding,
    RunLocation,
    RunProof,
    RunState,
    RunTransition,
)

__all__ = [
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
    "RunChunk",
    "RunFinding",
    "RunLocation",
    "RunProof",
    "RunState",
    "RunTransition",
    "Service",
    "Severity",
    "SpecialAccount",
]
