"""How much: packages, activity, methodology versions, runs, ledger, roll-ups, publications."""

from allocation.models.activity import (
    CrossUse,
    PackageAccount,
    PackageCluster,
    PackageService,
    ServiceUse,
    UsagePeriod,
    UsageRow,
)
from allocation.models.catalog import Cluster, Region, Service
from allocation.models.ledger import LedgerRow, SpecialAccount
from allocation.models.methodology import MethodologyVersion
from allocation.models.package import Package, PackageFinding, Severity
from allocation.models.publication import Cause, Publication, PublishedMonth, Restatement, Withdrawal
from allocation.models.racks import Machine, Rack, RackResource, RackUse
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
from allocation.models.sites import (
    Asset,
    DirectGas,
    GlobalWarmingPotential,
    Instrument,
    InstrumentHour,
    SharedPool,
    Site,
    SiteHour,
    Uncertainty,
)

__all__ = [
    "LEGAL_TRANSITIONS",
    "PROVED",
    "RUNNING",
    "AccountTotal",
    "AllocationRun",
    "Asset",
    "Cause",
    "Cluster",
    "ContainerTotal",
    "CrossUse",
    "DirectGas",
    "GlobalWarmingPotential",
    "Grain",
    "Instrument",
    "InstrumentHour",
    "LedgerRow",
    "LineAmounts",
    "Machine",
    "MethodologyVersion",
    "Package",
    "PackageAccount",
    "PackageCluster",
    "PackageFinding",
    "PackageService",
    "Publication",
    "PublishedMonth",
    "Rack",
    "RackResource",
    "RackUse",
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
    "ServiceUse",
    "Severity",
    "SharedPool",
    "Site",
    "SiteHour",
    "SpecialAccount",
    "Uncertainty",
    "UsagePeriod",
    "UsageRow",
    "Withdrawal",
]
